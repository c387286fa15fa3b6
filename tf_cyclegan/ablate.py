"""What each term of the objective is worth: `python -m tf_cyclegan.ablate --dataset emoji`."""

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from .commands import import_tensorflow, parse, run_command
from .errors import UserError
from .evaluation.processes import Stopped
from .files import check_writable, holding
from .methods.cyclegan.settings import PRESETS, Config
from .progress import log
from .training.options import common_options, find_preset, given
from .training.run import Run

# The paper's variants, section 5.1.4, and its identity loss, section 5.2. None but the last has that.
VARIANTS = {
    "cycle_alone": {"lambda_adversarial": 0.0, "lambda_identity": 0.0},
    # A beginning as copies is weighed as the cycle is.
    "gan_alone": {"lambda_cycle": 0.0, "lambda_identity": 0.0, "copy_steps": 0},
    "gan_forward": {"cycle_terms": "forward", "lambda_identity": 0.0},
    "gan_backward": {"cycle_terms": "backward", "lambda_identity": 0.0},
    "cyclegan": {"lambda_identity": 0.0},
    "cyclegan_identity": {},
}


Common = common_options([Config], without=["run_dir"])


@dataclass(frozen=True)
class Options:
    """Train variants of the objective with one budget and seed, and compare them in a table."""

    run: Path | None = None
    """take the settings of this run of CycleGAN, and its data"""
    preset: Literal[tuple(PRESETS)] | None = None
    """settings to start from (default: as train chooses for the data)"""
    variants: tuple[Literal[tuple(VARIANTS)], ...] = tuple(VARIANTS)
    """which variants, in the order of the table"""
    jobs: int = 1
    """variants at a time, each a process of its own"""
    output: Path | None = None
    """folder for a run of each variant, table.md and index.html (default: runs/DATASET_ablation, or
    RUN_ablation)"""
    settings: Annotated[Common, tyro.conf.OmitArgPrefixes] = dataclasses.field(
        default_factory=Common
    )


def settings_to_start_from(options: Options) -> Config:
    """The settings of all variants, but for their terms: a run's or a preset's, and what is given.

    Raises:
        UserError: There is no such run, it is one of another method, or a value does not fit.
    """
    values = given(options.settings)
    if options.run is None:
        base = find_preset("cyclegan", options.preset, values.get("dataset") or values.get("x"))
    elif options.preset is not None:
        raise UserError("give either --run or --preset: both are settings to start from")
    else:
        base = dataclasses.replace(Run(options.run).read_settings(), run_dir=str(options.run))
        if not isinstance(base, Config):
            raise UserError(
                f"{options.run} is a run of {base.method}; ablate varies CycleGAN alone"
            )
    if "epochs" in values:
        values.setdefault("steps", None)
    return dataclasses.replace(base, **values)


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
    base = settings_to_start_from(options)
    default = base.run_folder
    folder = options.output or default.with_name(f"{default.name}_ablation")
    import_tensorflow()
    from .training.devices import accelerated

    try:
        base = base.sized(accelerated())
        text = ablate(base, list(options.variants), folder, options.jobs)
    except Stopped as stopped:
        log("stopped; the same command goes on")
        sys.exit(128 + stopped.signal)
    print(text, end="")
    log(
        f"wrote {folder / 'table.md'}, {folder / 'index.html'} and the pictures of all variants, "
        f"{folder / 'x_to_y.png'} and {folder / 'y_to_x.png'}; the runs are beside them"
    )


if __name__ == "__main__":
    run_command(main)
