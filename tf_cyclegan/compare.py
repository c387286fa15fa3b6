"""Compare methods: `python -m tf_cyclegan.compare --entries cyclegan pix2pix --steps 500`."""

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from .commands import import_tensorflow, parse, run_command
from .errors import UserError
from .evaluation.entries import parse_entries
from .evaluation.processes import Stopped
from .methods import methods
from .progress import log
from .training.options import common_options, given
from .training.run import Run

# What the comparison itself gives each run.
OWN = ("steps", "epochs", "seed", "run_dir")
Common = common_options([method.settings for method in methods().values()], OWN)


@dataclass(frozen=True)
class Options:
    """Train methods, presets or variants on one data set with one budget, several seeds each, and put
    their numbers and pictures side by side.
    """

    entries: tuple[str, ...]
    """what to compare: METHOD, METHOD/PRESET or METHOD:setting=value,setting=value each, with NAME=
    before it if it is to have another name"""
    run: Path | None = None
    """take the settings of this run where an entry has such and names no preset, and its data"""
    steps: int | None = None
    """train each for this many steps (default: as the run); or"""
    minutes: float | None = None
    """for as many as take so many minutes of the processor, all cores together"""
    seeds: int = 3
    """runs of each, that differ in their seed"""
    seed: int = 0
    """the first seed"""
    judge_features: str | None = None
    """measure FID and KID too, on what evaluate takes as --features: inception (fetched once), its
    weights by path, a .keras model or a SavedModel"""
    jobs: int = 1
    """runs at a time, each a process of its own"""
    output: Path | None = None
    """folder for the runs, table.md and index.html (default: runs/DATASET_comparison, or
    RUN_comparison)"""
    settings: Annotated[Common, tyro.conf.OmitArgPrefixes] = dataclasses.field(
        default_factory=Common
    )


def main(arguments: list[str] | None = None) -> None:
    """The command: `python -m tf_cyclegan.compare`."""
    options = parse(Options, arguments, "compare")
    run = Run(options.run).read_settings() if options.run else None
    steps = options.steps
    if run and steps is None and options.minutes is None:
        steps = run.steps
    if (steps is None) == (options.minutes is None):
        raise UserError("give each the same --steps, or the same --minutes of the processor")
    for name in ("steps", "minutes", "seeds", "jobs"):
        value = getattr(options, name)
        if value is not None and not value > 0:
            raise UserError(f"--{name} is {value}; it must be above 0")
    entries = parse_entries(options.entries, given(options.settings), OWN, run)
    default = options.run or next(iter(entries.values())).run_folder
    folder = options.output or default.with_name(f"{default.name}_comparison")
    seeds = range(options.seed, options.seed + options.seeds)
    import_tensorflow()
    from .evaluation.run_comparison import compare

    try:
        text = compare(
            entries,
            folder,
            seeds,
            options.jobs,
            steps=steps,
            minutes=options.minutes,
            features=options.judge_features,
        )
    except Stopped as stopped:
        log("stopped; the same command goes on")
        sys.exit(128 + stopped.signal)
    print(text, end="")
    grids = " and ".join(str(path) for path in sorted(folder.glob("*_to_*.png")))
    log(f"wrote {folder / 'table.md'}, {folder / 'index.html'} and their pictures, {grids}")


if __name__ == "__main__":
    run_command(main)
