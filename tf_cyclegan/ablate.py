"""What each term of the objective is worth: `python -m tf_cyclegan.ablate --dataset emoji`."""

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .commands import import_tensorflow, parse, run_command
from .data.embedded import EMBEDDED
from .errors import UserError
from .evaluation.processes import Stopped
from .files import check_writable, holding
from .methods.cyclegan.settings import PRESETS, Config
from .progress import log
from .settings import MAX_PIXELS

# The paper's variants, section 5.1.4, and its identity loss, section 5.2. None but the last has that.
VARIANTS = {
    "cycle_alone": {"lambda_adversarial": 0.0, "lambda_identity": 0.0},
    "gan_alone": {"lambda_cycle": 0.0, "lambda_identity": 0.0},
    "gan_forward": {"cycle_terms": "forward", "lambda_identity": 0.0},
    "gan_backward": {"cycle_terms": "backward", "lambda_identity": 0.0},
    "cyclegan": {"lambda_identity": 0.0},
    "cyclegan_identity": {},
}


@dataclass(frozen=True)
class Options:
    """Train variants of the objective with one budget and seed, and compare them in a table."""

    dataset: str = "emoji"
    """a TFDS name, a folder or .zip with trainA and trainB, emoji or earth"""
    data_dir: str | None = None
    """where TFDS keeps prepared data sets (default: ~/tensorflow_datasets)"""
    preset: Literal["tutorial", "paper", "demo"] | None = None
    """all other settings (default: demo for emoji and earth, else tutorial)"""
    variants: tuple[Literal[tuple(VARIANTS)], ...] = tuple(VARIANTS)
    """which variants, in the order of the table"""
    max_pixels: int = MAX_PIXELS
    """images of more pixels are not decoded: a small file can fill the memory"""
    steps: int | None = None
    """train each for this many steps (default: as the preset)"""
    seed: int = 0
    """initial weights, data order and every random choice, the same for all"""
    jobs: int = 1
    """variants at a time, each a process of its own"""
    output: Path | None = None
    """folder for a run of each variant, table.md and index.html (default: runs/DATASET_ablation)"""


def variant_config(base: Config, name: str, folder: Path) -> Config:
    """The settings of a variant: those of `base` but for its terms of the objective."""
    return dataclasses.replace(base, **VARIANTS[name], run_dir=str(folder / name))


def ablate(base: Config, variants: list[str], folder: Path, jobs: int = 1) -> str:
    """Train and judge each variant that is not done yet, in a run folder of its own.

    Args:
        base: The settings of all of them, but for their terms of the objective.
        variants: Names of `VARIANTS`, in the order of the table.
        folder: For a run of each, table.md, table.json, index.html and a PNG file for each direction.
        jobs: How many are at work at a time.

    Returns:
        The table, in Markdown.

    Raises:
        UserError: The data, a folder or the settings do not allow it.
        Stopped: Ctrl-C, SIGTERM or SIGHUP came; the same call goes on.
    """
    from .evaluation.comparison import complete, every_number
    from .evaluation.run_comparison import write_comparison

    runs = {name: [variant_config(base, name, folder)] for name in variants}
    check_writable(folder / "table.md")
    with holding(folder, "ablation", "choose another --output"):
        complete(runs, jobs)
        return write_comparison(runs, folder, every_number, "variant")


def main(arguments: list[str] | None = None) -> None:
    """The command: `python -m tf_cyclegan.ablate`."""
    options = parse(Options, arguments, "ablate")
    if len(options.variants) != len(set(options.variants)) or not options.variants:
        raise UserError(f"--variants takes each of {', '.join(VARIANTS)} once at most")
    if options.jobs < 1:
        raise UserError(f"--jobs is {options.jobs}; it must be at least 1")
    preset = options.preset or ("demo" if options.dataset in EMBEDDED else "tutorial")
    base = dataclasses.replace(
        PRESETS[preset],
        dataset=options.dataset,
        data_dir=options.data_dir,
        seed=options.seed,
        max_pixels=options.max_pixels,
        **({"steps": options.steps} if options.steps else {}),
    )
    default = base.run_folder
    folder = options.output or default.with_name(f"{default.name}_ablation")
    import_tensorflow()
    try:
        text = ablate(base, list(options.variants), folder, options.jobs)
    except Stopped as stopped:
        log("stopped; the same command goes on")
        sys.exit(128 + stopped.signal)
    print(text, end="")
    log(f"wrote {folder / 'table.md'} and {folder / 'index.html'}; the runs are beside them")


if __name__ == "__main__":
    run_command(main)
