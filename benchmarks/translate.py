"""How fast does a folder of pictures go from files to files?

    python -m benchmarks.translate [--torch PYTHON] [--json FILE]

The `translate` command's work, after its model is loaded, on 200 PNG files of 256x256 and on a folder
of 60 JPEG files of mixed sizes; beside it a loop in PyTorch that is written alike: the same network,
files decoded and encoded by Pillow in as many threads while the network computes, pictures of equal
size together. Both load their libraries and translate a batch of 256x256 before the clock starts.
"""

import tempfile
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from tf_cyclegan.commands import run_command

from .report import Setting, number, parser, print_header, print_row
from .turns import Contender, Ratio, take_turns

SIZES = ((256, 256), (320, 240), (240, 320), (384, 256), (200, 300), (512, 384), (300, 300))


def write_pictures(folder: Path, count: int, sizes, suffix: str) -> float:
    """Write smooth pictures with some noise, the same ones every time.

    Returns:
        Their megapixels.
    """
    random = np.random.default_rng(0)
    folder.mkdir()
    pixels = 0
    for index in range(count):
        width, height = sizes[index % len(sizes)]
        coarse = Image.fromarray(random.integers(0, 256, [8, 8, 3], np.uint8))
        image = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
        image += random.integers(-12, 13, image.shape)
        Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(
            folder / f"{index:03}{suffix}", quality=95
        )
        pixels += width * height
    return pixels / 1e6


def measure(name: str, folder: Path, megapixels: float, setting: Setting) -> dict:
    """Let all contenders translate a folder in turn.

    Returns:
        Medians of seconds, and how many times as fast as PyTorch ours is.
    """
    options = setting.options
    network = (str(folder), options.blocks, options.filters)
    makers = {"ours": partial(Contender, "benchmarks.ours", "translate_folder", *network)}
    if setting.torch:
        for size in options.batch_sizes:
            makers[f"pytorch_{size}"] = partial(
                Contender,
                "benchmarks.pytorch",
                "translate_folder",
                *(*network, size),
                python=setting.torch.python,
            )
    times = take_turns(makers, options.rounds, 0.0, name)
    theirs = [name for name in times if name != "ours"]
    best = min(theirs, key=lambda name: median(times[name]), default=None)
    return {
        "folder": name,
        "megapixels": megapixels,
        "seconds": {name: median(seconds) for name, seconds in times.items()},
        "fastest_pytorch": best,
        "ratio": vars(Ratio.of(times[best], times["ours"])) if best else None,
        "machine": setting.machine,
    }


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    options = parser(__doc__, rounds=3)
    options.add_argument("--count", type=int, default=200, help="files of 256x256 (200)")
    options.add_argument("--mixed", type=int, default=60, help="files of mixed sizes (60)")
    options.add_argument("--blocks", type=int, default=9, help="residual blocks (9)")
    options.add_argument("--filters", type=int, default=64, help="of the first layer (64)")
    options.add_argument(
        "--batch-sizes",
        nargs="+",
        type=int,
        default=[1, 8],
        help="PyTorch's, the faster counts (1 8)",
    )
    setting = Setting.of(options.parse_args(arguments))
    print_header("folder", "megapixels", "ours, s", "PyTorch, s", "times PyTorch")
    results = []
    with tempfile.TemporaryDirectory() as root:
        for name, count, sizes, suffix in (
            ("256x256", setting.options.count, SIZES[:1], ".png"),
            ("mixed", setting.options.mixed, SIZES, ".jpg"),
        ):
            folder = Path(root, name)
            megapixels = write_pictures(folder, count, sizes, suffix)
            result = measure(name, folder, megapixels, setting)
            results.append(result)
            theirs = result["fastest_pytorch"]
            print_row(
                f"{count} files, {name}",
                number(megapixels),
                number(result["seconds"]["ours"]),
                number(result["seconds"].get(theirs)),
                Ratio(**result["ratio"]) if result["ratio"] else "-",
            )
            setting.save(results)


if __name__ == "__main__":
    run_command(main)
