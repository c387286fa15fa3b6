"""The folder of a run: where everything in it is, and how far the run has come.

Whatever reads or writes a run asks here; nobody else joins paths to its folder.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from ..errors import UserError
from ..files import LEFTOVER, LOCK, append, clean, flush, holding, write_file
from ..methods import method_of, read_settings
from ..paths import from_home, missing
from ..settings import RunSettings, named
from .checkpoints import Checkpoint, find_checkpoints, newest_readable, save_checkpoint

_COUNTED = ("trainA", "trainB")  # what data.json must say


class Log:
    """A file of JSON lines, each an object with the "step" that it is of."""

    def __init__(self, path: Path):
        self.path = path

    def lines(self) -> list[dict]:
        """All lines, in order, without a last one that was cut off.

        Raises:
            UserError: A line is no such object; it is named.
        """
        content = self.path.read_bytes() if self.path.exists() else b""
        return [self._parsed(*line) for line in enumerate(content.split(b"\n")[:-1], 1)]

    def _parsed(self, number: int, line: bytes) -> dict:
        try:
            value = json.loads(line.decode())
            if isinstance(value["step"], int):
                return value
        except (ValueError, TypeError, KeyError, RecursionError):
            pass
        raise UserError(
            f"line {number} of {self.path} is damaged: remove that line, or put back a copy of the "
            "file"
        )

    def last_step(self) -> int:
        """The step of the last line; 0 if there is none."""
        return max((line["step"] for line in self.lines()), default=0)

    def add(self, lines: Iterable[Mapping]) -> None:
        """Add lines at the end; where that fails the file is as it was."""
        if text := "".join(json.dumps(line) + "\n" for line in lines):
            append(self.path, text)

    def cut_after(self, step: int) -> None:
        """Drop the lines of later steps, which will be logged again."""
        if self.path.exists():
            kept = [line for line in self.lines() if line["step"] <= step]
            write_file(self.path, "".join(json.dumps(line) + "\n" for line in kept))

    def flush(self) -> None:
        """Return when all lines are on the disk."""
        if self.path.exists():
            flush(self.path)


class Run:
    """A run in its folder, which need not exist yet.

    Args:
        folder: Of the run.

    Attributes:
        metrics: Every loss by step.
        evaluations: The test set's numbers by step.
        called_real: What share of real images discriminators call real, by step.
        times: How long the steps up to each checkpoint took.
        tensorboard: Folder of the files for TensorBoard.
        data_path: File of how many images there were.
        losses_picture: The losses as curves.
        evaluation: Folder of what the evaluate command wrote.
    """

    def __init__(self, folder: Path | str):
        self.folder = from_home(folder)
        self._settings_path = self.folder / "config.json"
        self.data_path = self.folder / "data.json"
        self._checkpoints_folder = self.folder / "checkpoints"
        self.metrics = Log(self.folder / "metrics.jsonl")
        self.evaluations = Log(self.folder / "evaluations.jsonl")
        self.called_real = Log(self.folder / "called_real.jsonl")
        self.times = Log(self.folder / "times.jsonl")
        self._logs = (self.metrics, self.evaluations, self.called_real, self.times)
        self.tensorboard = self.folder / "tensorboard"
        self.losses_picture = self.folder / "losses.png"
        self.evaluation = self.folder / "evaluation"

    def __str__(self):
        return str(self.folder)

    @property
    def has_settings(self) -> bool:
        """Whether the folder is one of a run, which has at least begun."""
        return self._settings_path.is_file()

    @property
    def is_new(self) -> bool:
        """Whether the folder holds nothing, or only what a run leaves that was killed at once."""
        if not self.folder.exists():
            return True
        ours = (entry.name == LOCK or LEFTOVER.fullmatch(entry.name) for entry in self._entries())
        return all(ours)

    def _entries(self) -> list[Path]:
        if not self.folder.is_dir():
            raise UserError(f"{self} is not a folder; choose another --run-dir")
        return list(self.folder.iterdir())

    def read_settings(self) -> RunSettings:
        """What the run was begun with, or gone on with last.

        Raises:
            UserError: The folder is not one of a run, or its settings are damaged.
        """
        self._check_settings()
        return read_settings(self._settings_path)

    def as_begun(self, config: RunSettings) -> RunSettings:
        """Settings, with what the data were found to be when the run began where they say nothing."""
        if not (self.has_settings and self.has_checkpoints):
            return config
        before = self.read_settings()
        found = named(dataclasses.fields(config), from_data=True)
        open_ = [name for name in found if getattr(config, name) is None and hasattr(before, name)]
        return dataclasses.replace(config, **{name: getattr(before, name) for name in open_})

    def _check_settings(self):
        if self.has_settings:
            return
        if self.has_checkpoints:
            raise UserError(
                f"{self} has checkpoints, but its config.json is gone: put back a copy of it, or "
                "choose another folder"
            )
        if not self.folder.exists():
            raise UserError(missing("folder of a run", self.folder))
        raise UserError(
            f"{self} is not the folder of a run: it has no config.json; train writes a run to "
            "runs/NAME, or where --run-dir says"
        )

    def write_settings(self, config: RunSettings) -> None:
        """Keep the settings that the run goes on with."""
        write_file(self._settings_path, config.to_json())

    def read_data_facts(self) -> dict[str, int | str] | None:
        """How many images there were, and a sum of their names; None if the file is damaged."""
        try:
            facts = json.loads(self.data_path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        is_whole = isinstance(facts, dict) and all(type(facts.get(s)) is int for s in _COUNTED)
        return facts if is_whole else None

    def write_data_facts(self, facts: Mapping[str, int | str]) -> None:
        """Keep how many images there are, "trainA" and "trainB", and sums of their names."""
        write_file(self.data_path, json.dumps(facts, indent=2) + "\n")

    def held(self) -> AbstractContextManager[None]:
        """Hold the folder for a training: a second one is refused. Those who only read need not."""
        return holding(self.folder, "training", "choose another --run-dir")

    def clean(self) -> None:
        """Put back or remove what killed processes left; for who holds the folder."""
        for folder in (self.folder, *(entry for entry in self._entries() if entry.is_dir())):
            clean(folder, all_ours=True)

    @property
    def has_checkpoints(self) -> bool:
        """Whether there are files of checkpoints, damaged ones too."""
        return bool(find_checkpoints(self._checkpoints_folder))

    def newest_checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint that can be read; where newer ones cannot, that is said.

        Raises:
            UserError: There are checkpoints, and none can be read.
        """
        return newest_readable(self._checkpoints_folder)

    def trained(self) -> Checkpoint:
        """The newest checkpoint that can be read, of a run that must have one.

        Raises:
            UserError: The folder holds no run, or none with a checkpoint that can be read.
        """
        self._check_settings()
        checkpoint = self.newest_checkpoint()
        if checkpoint is None:
            raise UserError(f"{self} has no checkpoint yet: train it first, or wait for the first")
        return checkpoint

    def save_checkpoint(self, objects, step: int, keep: int) -> Checkpoint:
        """Write the checkpoint of a step, as `save_checkpoint` says, after the logs up to it."""
        for each in self._logs:
            each.flush()
        return save_checkpoint(self._checkpoints_folder, objects, step, keep)

    def cut_logs_after(self, step: int) -> None:
        """Take the lines of later steps out of all logs."""
        for each in self._logs:
            each.cut_after(step)

    def sample(self, step: int) -> Path:
        """The sample picture of a step."""
        return self.folder / "samples" / f"step_{step:06}.png"

    def exports(self, format: str = "saved_model") -> Path:
        """Folder of the translators in a format, x_to_y and y_to_x."""
        return self.folder / format

    @property
    def is_exported(self) -> bool:
        """Whether training came to its very end, which is the last SavedModel."""
        last = method_of(self.read_settings()).directions[-1]
        return (self.exports() / last / "saved_model.pb").is_file()

    def processor_seconds_a_step(self) -> float | None:
        """What a step took, of all cores together; None where no checkpoint was written since tracing.

        The steps alone, without checkpoints, sample pictures and the evaluations between them, and
        without the first after each start, which traces.
        """
        lines = self.times.lines()
        steps = sum(line["steps"] for line in lines)
        return sum(line["processor_seconds"] for line in lines) / steps if steps else None

    def read_evaluation(self) -> dict | None:
        """What the evaluate command measured last; None if nothing whole is there."""
        try:
            results = json.loads((self.evaluation / "metrics.json").read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        return results if isinstance(results, dict) and "step" in results else None
