"""Several methods, presets or variants on one data set with one budget, judged beside each other.

Every run has a folder and a process of its own. What is done is not done again, and what was
interrupted goes on, so that the same call always ends with the same comparison.
"""

import dataclasses
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..files import write_file
from ..methods import method_of
from ..progress import log
from ..settings import RunSettings, named
from ..training.run import Run
from .processes import run_commands

Runs = Mapping[str, Sequence[RunSettings]]

PROBE_STEPS = 21  # of which the first, which traces, is not timed
# What the table of a comparison shows of a direction; all else is in comparison.json.
COLUMNS = {"l1": "L1", "ssim": "SSIM", "sliced wasserstein": "SWD", "kid": "KID"}
ARROWS = {"x_to_y": "x→y", "y_to_x": "y→x"}


@dataclasses.dataclass(frozen=True)
class Row:
    """An entry of a comparison, or a baseline.

    Attributes:
        name: Of the entry.
        numbers: Of each of its runs, by a metric's and a direction's name, "l1 x→y".
        steps: Of a run; None of a baseline.
        minutes: What the steps of each run took of the processor, of all cores together.
    """

    name: str
    numbers: Sequence[Mapping[str, float]]
    steps: int | None = None
    minutes: Sequence[float] = ()

    def cell(self, column: str) -> str:
        """Mean and standard deviation over the runs, or the number of the only one."""
        values = [numbers[column] for numbers in self.numbers if column in numbers]
        if not values or len(values) < len(self.numbers):
            return "-"
        return with_deviation(values)


def with_deviation(values: Sequence[float], form: str = "#.4g") -> str:
    """Their mean, and how far they lie around it: the standard deviation of a sample, with n - 1."""
    mean = format(float(np.mean(values)), form)
    return mean if len(values) < 2 else f"{mean} ± {float(np.std(values, ddof=1)):.2g}"


def runs_of(
    entries: Mapping[str, RunSettings], folder: Path, steps: Mapping[str, int], seeds: Sequence[int]
) -> dict[str, list[RunSettings]]:
    """The settings of every run of a comparison, in FOLDER/NAME/seed_0 and so on."""
    return {
        name: [
            dataclasses.replace(
                settings,
                steps=steps[name],
                seed=seed,
                run_dir=str(folder / name / f"seed_{seed}"),
            )
            for seed in seeds
        ]
        for name, settings in entries.items()
    }


def steps_in_minutes(
    entries: Mapping[str, RunSettings], folder: Path, minutes: float, jobs: int
) -> dict[str, int]:
    """How many steps of each entry take so many minutes of the processor.

    Measured once, on a few steps, and kept in FOLDER/NAME/budget.json: a run is a function of its
    settings, and its steps are one of them.

    Raises:
        UserError: The data or the settings do not allow it.
        Stopped: A signal came.
    """
    probes = {
        name: dataclasses.replace(
            settings,
            steps=PROBE_STEPS,
            sample_every=0,
            evaluate_every=0,
            steps_per_call=1,
            run_dir=str(folder / name / "speed"),
        )
        for name, settings in entries.items()
        if _kept_budget(folder / name, minutes) is None
    }
    for probe in probes.values():
        shutil.rmtree(probe.run_folder, ignore_errors=True)
    run_commands({f"speed of {name}": _training(probe) for name, probe in probes.items()}, jobs)
    for name, probe in probes.items():
        run = Run(probe.run_folder)
        seconds = run.processor_seconds_a_step()
        budget = {
            "minutes": minutes,
            "processor_seconds_a_step": seconds,
            "steps": max(1, math.floor(minutes * 60 / seconds)),
        }
        write_file(folder / name / "budget.json", json.dumps(budget, indent=2) + "\n")
        shutil.rmtree(run.folder)
    return {name: _kept_budget(folder / name, minutes) for name in entries}


def _kept_budget(folder: Path, minutes: float) -> int | None:
    """The steps that were measured for so many minutes; None if that was not, or for others."""
    try:
        budget = json.loads((folder / "budget.json").read_bytes())
        return budget["steps"] if budget["minutes"] == minutes else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def complete(runs: Runs, jobs: int, features: str | None = None) -> None:
    """Train and judge every run that is not done yet.

    Args:
        runs: The settings of an entry's runs, by its name.
        jobs: How many are at work at a time. The bits do not depend on it.
        features: To judge by, too, as `evaluate --features` takes them.

    Raises:
        UserError: The data, a folder or the settings do not allow it.
        Stopped: A signal came; the same call goes on.
    """
    from ..training.trainer import check_run_folder

    commands = {}
    for name, several in runs.items():
        for settings in several:
            told = name if len(several) == 1 else f"{name}, seed {settings.seed}"
            if is_done(settings, features):
                log(f"{told} is done: {settings.run_folder}")
                continue
            check_run_folder(Run(settings.run_folder), settings)
            judge = ["evaluate", "--run", str(settings.run_folder)]
            if features is not None:
                judge += ["--features", features]
            commands[told] = (settings, [["train", "--run-dir", str(settings.run_folder)], judge])
    for settings, _ in commands.values():
        run = Run(settings.run_folder)
        run.write_settings(run.as_begun(settings))
    run_commands({told: command for told, (_, command) in commands.items()}, jobs)


def _training(settings: RunSettings) -> list[list[str]]:
    """The command that trains with these settings, which the run's folder now has."""
    Run(settings.run_folder).write_settings(settings)
    return [["train", "--run-dir", str(settings.run_folder)]]


def is_done(settings: RunSettings, features: str | None = None) -> bool:
    """Whether a run with just these settings was trained to its end and judged there, by `features`
    too where they are given."""
    run = Run(settings.run_folder)
    if not run.has_settings:
        return False
    evaluation = run.read_evaluation()
    if evaluation is None or not run.is_exported:
        return False
    if features is not None and evaluation.get("features") != features:
        return False
    before = run.read_settings()
    if evaluation["step"] != run.trained().step or type(before) is not type(settings):
        return False
    wanted, fixed = run.as_begun(settings), named(dataclasses.fields(settings), may_change=False)
    return all(getattr(before, name) == getattr(wanted, name) for name in fixed)


def rows_of(runs: Runs) -> list[Row]:
    """What the runs of a comparison that is complete came to."""
    rows = []
    for name, several in runs.items():
        numbers, minutes, steps = [], [], 0
        for settings in several:
            run = Run(settings.run_folder)
            evaluation = run.read_evaluation()
            directions = {
                data_direction(settings, direction): result
                for direction, result in evaluation["directions"].items()
            }
            numbers.append(headline_numbers(directions))
            steps = evaluation["step"]
            if (seconds := run.processor_seconds_a_step()) is not None:
                minutes.append(steps * seconds / 60)
        rows.append(Row(name, numbers, steps, minutes))
    return rows


def data_direction(settings: RunSettings, direction: str) -> str:
    """A direction of a run as one of the data, x_to_y from A to B: its own X may be B."""
    if settings.domains == ("A", "B"):
        return direction
    return {"x_to_y": "y_to_x", "y_to_x": "x_to_y"}[direction]


def headline_numbers(directions: Mapping[str, Mapping]) -> dict[str, float]:
    """A number for each metric and direction; metrics of several numbers give their last.

    Args:
        directions: What `judge` returned, by direction.
    """
    numbers = {}
    for direction, arrow in ARROWS.items():
        result = directions.get(direction, {})
        for section in ("distribution", "paired"):
            for name, columns in result.get(section, {}).items():
                value = columns["translated"]
                value = list(value.values())[-1] if isinstance(value, Mapping) else value
                numbers[f"{name.replace('_', ' ')} {arrow}"] = value
        for name, value in result.get("cycle", {}).items():
            numbers[f"cycle {name.replace('_', ' ')} {arrow}"] = value
    return {name: value for name, value in numbers.items() if value is not None}


def every_number(rows: Sequence[Row]) -> dict[str, str]:
    """Every number that a row has as a column, under its own name."""
    names = dict.fromkeys(name for row in rows for numbers in row.numbers for name in numbers)
    return {name: name for name in names}


def main_numbers(rows: Sequence[Row], metrics: Mapping[str, str] = COLUMNS) -> dict[str, str]:
    """The columns of some metrics that rows have, a direction after the other, with their headings."""
    known = every_number(rows)
    columns = {
        f"{name} {arrow}": f"{heading} {arrow}"
        for arrow in ARROWS.values()
        for name, heading in metrics.items()
    }
    return {name: heading for name, heading in columns.items() if name in known}


def cells_of(rows: Sequence[Row], columns: Mapping[str, str], first: str) -> list[list[str]]:
    """The cells of a table, its heading first; steps and minutes are last where a row has minutes."""
    timed = any(row.minutes for row in rows)
    table = [[first, *columns.values(), *(["steps", "minutes"] if timed else [])]]
    for row in rows:
        cells = [row.name, *(row.cell(column) for column in columns)]
        if timed:
            cells.append("-" if row.steps is None else f"{row.steps:,}")
            cells.append(with_deviation(row.minutes, "#.3g") if row.minutes else "-")
        table.append(cells)
    return table


def markdown(cells: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    heading, *rows = ["| " + " | ".join(row) + " |" for row in cells]
    return "\n".join([heading, "|" + "---|" * len(cells[0]), *rows]) + "\n"


def summary(rows: Sequence[Row], runs: Runs) -> dict:
    """All of a comparison for programs: every number of every run, their means and deviations."""
    settings = next(iter(runs.values()))[0]
    return {
        "dataset": settings.data_name,
        "image_size": list(settings.image_shape),
        "rows": {row.name: _row_summary(row, runs.get(row.name, ())) for row in rows},
    }


def _row_summary(row: Row, several: Sequence[RunSettings]) -> dict:
    in_all = {
        name: [numbers[name] for numbers in row.numbers]
        for name in row.numbers[0]
        if all(name in numbers for numbers in row.numbers)
    }
    told = {
        "steps": row.steps,
        "minutes": list(row.minutes),
        "numbers": [dict(numbers) for numbers in row.numbers],
        "mean": {name: float(np.mean(values)) for name, values in in_all.items()},
    }
    if len(row.numbers) > 1:
        told["std"] = {name: float(np.std(values, ddof=1)) for name, values in in_all.items()}
    if several:
        told["method"] = method_of(several[0]).name
        told["seeds"] = [settings.seed for settings in several]
        told["settings"] = json.loads(several[0].to_json())
    return told
