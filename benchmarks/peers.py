"""What CycleGAN and FastCUT in PyTorch translate after the same minutes, beside what ours does.

    python -m tf_cyclegan.compare --dataset emoji --minutes 10 --output runs/ten --entries demo
    python -m benchmarks.peers emoji --minutes 10 --torch PYTHON --output runs/peers --beside runs/ten

The authors' networks and steps, written for these comparisons (`pytorch.py`, `pytorch_cut.py`), of
the demo's size: 6 blocks, 32 filters, one image of each domain a step, mirrored at random, a pool of
50, rates that fall to zero over the second half. Each seed trains on one core for so many minutes of
the processor, or so many steps, wherever; its translations of the test images are judged as `evaluate`
judges ours, and stand in one table with those of `--beside`. What is done is not done again.
"""

import argparse
import json
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from tf_cyclegan.data.embedded import EMBEDDED
from tf_cyclegan.evaluation import comparison
from tf_cyclegan.evaluation.comparison import ARROWS, Row
from tf_cyclegan.evaluation.distribution import sliced_wasserstein, total_variation
from tf_cyclegan.evaluation.features import feature_metrics, load_extractor
from tf_cyclegan.evaluation.paired import l1, ssim
from tf_cyclegan.files import write_file

from .cases import PEERS
from .pictures import read_pixels
from .turns import ROOT, child_environment

COLUMNS = comparison.COLUMNS | {"total variation": "TV"}


def trained(torch: str, archive: Path, length: list[str], folder: Path, peer_and_seed) -> None:
    """Let PyTorch train and translate, unless it has."""
    peer, seed = peer_and_seed
    output = folder / peer / f"seed_{seed}"
    if (output / "run.json").exists():
        return
    arguments = [peer, str(archive), str(output.resolve()), *length, "--seed", str(seed)]
    command = [torch, "-m", "benchmarks.torch_pictures", *arguments]
    subprocess.run(command, check=True, cwd=ROOT, env=child_environment())


def judged(folder: Path, archive: Path, kid: Callable | None = None) -> dict[str, float]:
    """The numbers of one run's translations, named as those of a comparison."""
    numbers = {}
    for direction, arrow in ARROWS.items():
        if not (folder / direction).exists():
            continue
        names, target = read_pixels(archive, "testB" if direction == "x_to_y" else "testA")
        paths = sorted((folder / direction).iterdir())
        images = {path.stem: np.asarray(Image.open(path)) for path in paths}
        translated = np.stack(list(images.values()))
        paired = [place for place, name in enumerate(names) if name in images]
        ours = np.stack([images[names[place]] for place in paired])
        numbers |= {
            f"l1 {arrow}": float(l1(ours, target[paired]).mean()),
            f"ssim {arrow}": float(ssim(ours, target[paired]).mean()),
            f"sliced wasserstein {arrow}": sliced_wasserstein(target, translated)["mean"],
            f"total variation {arrow}": total_variation(target, translated)["ratio"],
        }
        if kid is not None:
            numbers[f"kid {arrow}"] = kid(target, translated)["mean"]
    return numbers


def row_of(name: str, folders: list[Path], archive: Path, kid: Callable | None = None) -> Row:
    """A row of all seeds of a peer."""
    runs = [json.loads((folder / "run.json").read_text()) for folder in folders]
    return Row(
        f"{name}, PyTorch",
        [judged(folder, archive, kid) for folder in folders],
        round(np.mean([run["steps"] for run in runs])),
        [run["minutes"] for run in runs],
    )


def rows_of_comparison(folder: Path) -> list[Row]:
    """The rows of a comparison that `compare` made."""
    rows = json.loads((folder / "table.json").read_text())["rows"]
    return [Row(name, row["numbers"], row["steps"], row["minutes"]) for name, row in rows.items()]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dataset", help="emoji, earth, or a .zip with trainA, trainB, testA, testB")
    parser.add_argument("--minutes", type=float, default=10.0, help="of the processor, a run")
    parser.add_argument("--steps", type=int, help="so many, on a GPU say, in place of minutes")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=["cyclegan", "fastcut"])
    parser.add_argument("--torch", required=True, help="the Python that has PyTorch")
    parser.add_argument("--beside", type=Path, nargs="*", default=[], help="folders of `compare`")
    parser.add_argument("--features", help="measure KID too, on what evaluate takes by this name")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, a core each")
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    known = EMBEDDED.get(args.dataset)
    archive = known.archive if known else Path(args.dataset).resolve()
    runs = [(peer, seed) for seed in range(args.seeds) for peer in args.peers]
    minutes = ["--minutes", str(args.minutes)]
    length = minutes if args.steps is None else ["--steps", str(args.steps)]
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(partial(trained, args.torch, archive, length, args.output), runs))
    kid = feature_metrics(load_extractor(args.features))["kid"] if args.features else None
    rows = [row for folder in args.beside for row in rows_of_comparison(folder)]
    for peer in args.peers:
        folders = [args.output / peer / f"seed_{seed}" for seed in range(args.seeds)]
        rows.append(row_of(peer, folders, archive, kid))
    columns = comparison.main_numbers(rows, COLUMNS)
    table = comparison.markdown(comparison.cells_of(rows, columns, "method"))
    write_file(args.output / "table.md", table)
    print(table)


if __name__ == "__main__":
    main()
