"""Compare the methods as the paper does, and write what came out into docs/comparison.md.

    python -m tools.comparison --run --steps 200 --jobs 2 --pairs FOLDER --features vgg16
    python -m tools.comparison                # only writes, from the folders of what was run

The first trains all that is not done yet, by python -m tf_cyclegan.compare, into runs/comparison.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

from tf_cyclegan.ablate import VARIANTS
from tf_cyclegan.evaluation.comparison import with_deviation

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "comparison.md"
FOLDER = Path("runs/comparison")
MARKED = re.compile(r"(<!-- results: .*? -->\n).*?(<!-- end of results -->)", re.DOTALL)
PAPER = "[Zhu, Park, Isola, Efros 2017](https://arxiv.org/abs/1703.10593)"

# In the paper's order, by the names that it has for them.
METHODS = {
    "cogan": "CoGAN",
    "bigan": "BiGAN/ALI",
    "simgan": "SimGAN",
    "feature_loss": "Feature loss + GAN",
    "cyclegan": "CycleGAN",
    "pix2pix": "pix2pix, which has pairs",
}
# What came after, by entries of compare; the paper's own stands beside them.
AFTER = {
    "cyclegan": "CycleGAN",
    "cut": "CUT",
    "fastcut": "FastCUT",
    "dclgan": "DCLGAN",
}
ONE_WAY = ("simgan", "feature_loss", "pix2pix")
# The paper's five; the sixth of `ablate`, with the identity loss, is not in its tables.
ABLATION = {
    "cycle_alone": "Cycle alone",
    "gan_alone": "GAN alone",
    "gan_forward": "GAN + forward cycle",
    "gan_backward": "GAN + backward cycle",
    "cyclegan": "CycleGAN",
}
BASELINES = ("not translated", "one colour")
COLUMNS = [
    f"{metric} {arrow}"
    for arrow in ("x→y", "y→x")
    for metric in ("l1", "ssim", "sliced wasserstein")
]
HEADINGS = ["L1 x→y", "SSIM x→y", "SWD x→y", "L1 y→x", "SSIM y→x", "SWD y→x"]
TITLES = {
    "earth": "The methods on `earth`: maps (x) and photographs (y)",
    "emoji": "The methods on `emoji`: Noto (x) and Fluent 3D (y)",
    "earth_after": "After the paper, on `earth`",
    "emoji_after": "After the paper, on `emoji`",
    "earth_ablation": "The terms of the objective, on `earth`",
    "emoji_ablation": "The terms of the objective, on `emoji`",
}


def entries_of(name: str, pairs: str | None, features: str | None) -> list[str]:
    """The entries of a comparison, as its command line has them.

    Args:
        name: One of `TITLES`.
        pairs: A folder with earth_pairs.zip and emoji_pairs.zip, for pix2pix; without it that is
            left out.
        features: Of feature_loss; without them it is left out.
    """
    if name.endswith("_ablation"):
        return [
            f"{variant}=cyclegan/plain:"
            + ",".join(f"{k}={v}" for k, v in VARIANTS[variant].items())
            for variant in ABLATION
        ]
    if name.endswith("_after"):
        return [
            "cut=cut",
            "cut_back=cut:direction=b_to_a",
            "fastcut=cut/fastcut_demo",
            "fastcut_back=cut/fastcut_demo:direction=b_to_a",
            "dclgan=dclgan",
        ]
    entries = []
    for method in METHODS:
        own = ["search_steps=50"] if method == "cogan" else []
        if method == "feature_loss":
            own.append(f"features={features}")
        if method == "pix2pix":
            own.append(f"dataset={pairs}/{name}_pairs.zip")
        if (method == "feature_loss" and not features) or (method == "pix2pix" and not pairs):
            continue
        for suffix, back in (("", []), ("_back", ["direction=b_to_a"])):
            if not suffix or method in ONE_WAY:
                values = ",".join([*own, *back])
                settings = "cyclegan/plain" if method == "cyclegan" else method
                entries.append(f"{method}{suffix}={settings}" + (f":{values}" if values else ""))
    return entries


def command_of(name: str, args: argparse.Namespace) -> list[str]:
    """The command that makes a comparison, or goes on with it."""
    options = {
        "--dataset": name.split("_")[0],
        "--steps": args.steps,
        "--seeds": args.seeds,
        "--jobs": args.jobs,
        "--output": FOLDER / name,
        # A picture at the end, for whoever looks at a run, and one checkpoint.
        "--sample-every": args.steps,
        "--checkpoint-every": args.steps,
        "--keep-checkpoints": 1,
    }
    words = [str(word) for option in options.items() for word in option]
    entries = entries_of(name, args.pairs, args.features)
    return ["tf_cyclegan.compare", *words, "--entries", *entries]


def table(rows: dict, names: dict[str, str]) -> str:
    """The table of one comparison in Markdown; a method's way back stands in its row."""
    timed = ["steps", "minutes"]
    lines = [f"| | {' | '.join([*HEADINGS, *timed])} |", "|---|" + "---|" * (len(HEADINGS) + 2)]
    for key, told in ({name: name for name in BASELINES} | names).items():
        if key not in rows:
            continue
        parts = [rows[key], *([rows[f"{key}_back"]] if f"{key}_back" in rows else [])]
        cells = []
        for column in COLUMNS:
            part = next((part for part in parts if column in part["mean"]), None)
            values = part and [numbers[column] for numbers in part["numbers"]]
            cells.append(with_deviation(values, "#.3g") if values else "-")
        minutes = [sum(both) for both in zip(*(part["minutes"] for part in parts), strict=True)]
        cells.append("-" if parts[0]["steps"] is None else f"{len(parts)} x {parts[0]['steps']:,}")
        cells.append(with_deviation(minutes, "#.3g") if minutes else "-")
        lines.append(f"| {told} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def results(folder: Path) -> str:
    """All tables, from the folders of the comparisons that were made."""
    parts = []
    for name, title in TITLES.items():
        path = folder / name / "table.json"
        if path.is_file():
            told = json.loads(path.read_text())
            paper = folder / name.removesuffix("_after") / "table.json"
            if name.endswith("_after") and paper.is_file():
                told["rows"]["cyclegan"] = json.loads(paper.read_text())["rows"]["cyclegan"]
            seeds = max(len(row["numbers"]) for row in told["rows"].values())
            kinds = {"ablation": ABLATION, "after": AFTER}
            names = kinds.get(name.partition("_")[2], METHODS)
            parts.append(
                f"### {title}\n\n{table(told['rows'], names)}\n"
                f"{seeds} seeds: mean ± standard deviation.\n"
            )
    return "\n".join(parts)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", action="store_true", help="make the comparisons first")
    parser.add_argument("--steps", type=int, default=500, help="of every run")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each entry")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument(
        "--pairs", help="folder of what the make tools write with --pairs; without, no pix2pix"
    )
    parser.add_argument("--features", help="of feature_loss; without, it is left out")
    parser.add_argument("--only", nargs="*", default=list(TITLES), help="of the comparisons")
    args = parser.parse_args()
    if args.run:
        for name in args.only:
            subprocess.run([sys.executable, "-m", *command_of(name, args)], check=True)
    text = results(FOLDER)
    if not text:
        sys.exit(f"{FOLDER} holds no comparison yet: begin with --run")
    before = PAGE.read_text()
    PAGE.write_text(MARKED.sub(lambda match: match[1] + text + match[2], before))


if __name__ == "__main__":
    main()
