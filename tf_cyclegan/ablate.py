"""What each term of the objective is worth: `python -m tf_cyclegan.ablate --dataset emoji`."""

import dataclasses
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .commands import import_tensorflow, parse, run_command
from .data.embedded import EMBEDDED
from .errors import UserError
from .files import check_writable, write_file
from .methods.cyclegan.settings import PRESETS, Config
from .progress import log
from .settings import MAX_PIXELS
from .training.run import Run

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
    output: Path | None = None
    """folder for a run of each variant and table.md (default: runs/DATASET_ablation)"""


def variant_config(base: Config, name: str, folder: Path) -> Config:
    """The settings of a variant: those of `base` but for its terms of the objective."""
    return dataclasses.replace(base, **VARIANTS[name], run_dir=str(folder / name))


def ablate(base: Config, variants: list[str], folder: Path) -> str:
    """Train and judge each variant that is not done yet, in a run folder of its own.

    Returns:
        The table, in Markdown.

    Raises:
        UserError: The data, a folder or the settings do not allow it.
        Interrupted: Ctrl-C, SIGTERM or SIGHUP came; the same call goes on.
    """
    import keras

    from . import evaluate, train

    results = {}
    for name in variants:
        config = variant_config(base, name, folder)
        run = config.run_folder
        if is_done(config):
            log(f"{name} is done: {run}")
        else:
            train.train(config)
            evaluate.evaluate(evaluate.Options(run=run))
            keras.utils.clear_session()
        results[name] = Run(run).read_evaluation()
    return table(results)


def is_done(config: Config) -> bool:
    """Whether a run with just these settings was trained to its end and judged there."""
    run = Run(config.run_folder)
    evaluation = run.read_evaluation()
    if evaluation is None or not run.is_exported:
        return False
    return evaluation["step"] == run.trained().step and run.read_settings() == config


def table(results: Mapping[str, Mapping]) -> str:
    """The headline numbers of evaluations in Markdown, one a row, after those of not translating.

    Args:
        results: What metrics.json holds, by variant.
    """
    rows = {name: _numbers(result["directions"], "translated") for name, result in results.items()}
    first = next(iter(results.values()))
    rows = {"not translated": _numbers(first["directions"], "untranslated")} | rows
    columns = list(dict.fromkeys(column for numbers in rows.values() for column in numbers))
    lines = [f"| variant | {' | '.join(columns)} |", "|---|" + "---|" * len(columns)]
    for name, numbers in rows.items():
        cells = [numbers.get(column) for column in columns]
        cells = ["-" if number is None else f"{number:#.4g}" for number in cells]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _numbers(directions: Mapping, which: str) -> dict[str, float]:
    """A number for each metric and direction; metrics of several numbers give their last."""
    numbers = {}
    for direction, result in directions.items():
        arrow = direction.replace("_to_", "→")
        for section in ("distribution", "paired"):
            for name, columns in result.get(section, {}).items():
                value = columns[which]
                value = list(value.values())[-1] if isinstance(value, Mapping) else value
                numbers[f"{name.replace('_', ' ')} {arrow}"] = value
        for name, value in result.get("cycle", {}).items() if which == "translated" else ():
            numbers[f"cycle {name.replace('_', ' ')} {arrow}"] = value
    return {name: value for name, value in numbers.items() if value is not None}


def main(arguments: list[str] | None = None) -> None:
    """The command: `python -m tf_cyclegan.ablate`."""
    options = parse(Options, arguments, "ablate")
    if len(options.variants) != len(set(options.variants)) or not options.variants:
        raise UserError(f"--variants takes each of {', '.join(VARIANTS)} once at most")
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
    check_writable(folder / "table.md")
    import_tensorflow()
    from .training.trainer import Interrupted

    try:
        text = ablate(base, list(options.variants), folder)
    except Interrupted as interruption:
        log(f"stopped after a checkpoint of step {interruption.step}; the same command goes on")
        sys.exit(128 + interruption.signal)
    write_file(folder / "table.md", text)
    print(text, end="")
    log(f"wrote {folder / 'table.md'}, and a run and its evaluation for each variant beside it")


if __name__ == "__main__":
    run_command(main)
