"""The training loop: checkpoints, resume, logs, sample pictures. It knows no loss and no layer."""

import dataclasses
import json
import math
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
import tensorflow as tf

from .config import Config
from .data.pipeline import UnpairedImages
from .errors import UserError
from .files import disk_errors, write_file
from .pictures import image_grid, loss_curves, png_bytes, to_uint8
from .progress import ProgressLine, log

# Settings that change where or how often a run is looked at, but not one bit of its weights.
FREE_SETTINGS = {
    "data_dir",
    "run_dir",
    "checkpoint_every",
    "keep_checkpoints",
    "sample_every",
    "log_every",
    "evaluate_every",
}
SAMPLE_ROWS = 8


class Method(Protocol):
    """What the trainer asks of a way to translate; `CycleGAN` is one."""

    step: tf.Variable
    checkpoint_items: dict

    def train_step(self, real_x, real_y) -> dict[str, tf.Tensor]: ...

    def translate(self, real_x, real_y) -> dict[str, tf.Tensor]: ...


class Interrupted(Exception):
    """Ctrl-C or SIGTERM ended the run after a checkpoint of `step`."""

    def __init__(self, number: int, step: int):
        super().__init__(f"signal {number} at step {step}")
        self.signal, self.step = number, step


class Trainer:
    """Trains a method on a data set in a run folder, or goes on where that folder's run ended.

    Args:
        method: What to train.
        data: What to train it on.
        config: The settings of the run.
        total_steps: When the run is complete.
        evaluate: Measures the method as it is; called every `evaluate_every` steps and at the end.
        on_sample: Called with the path of every sample picture once it is written.

    Raises:
        UserError: The folder holds a run of other data, or cannot be written.
    """

    def __init__(
        self,
        method: Method,
        data: UnpairedImages,
        config: Config,
        total_steps: int,
        evaluate: Callable[[], Mapping[str, float]] | None = None,
        on_sample: Callable[[Path], None] | None = None,
    ):
        self.method, self.data, self.config, self.total_steps = method, data, config, total_steps
        self._on_sample = on_sample
        self.folder = config.run_folder
        self._metrics_path = self.folder / "metrics.jsonl"
        self._evaluate, self._evaluations_path = evaluate, self.folder / "evaluations.jsonl"
        self._manager = tf.train.CheckpointManager(
            tf.train.Checkpoint(**method.checkpoint_items),
            str(self.folder / "checkpoints"),
            max_to_keep=config.keep_checkpoints,
            step_counter=method.step,
        )
        if self._manager.latest_checkpoint:
            self._resume()
        else:
            self._begin()
        self._pending: list[tuple[int, dict[str, tf.Tensor]]] = []  # losses not looked at yet
        self._losses: dict[str, float] = {}  # the newest looked at
        self._train_step = tf.function(
            method.train_step, jit_compile=xla_pays(config), autograph=False
        )
        self._translate = tf.function(method.translate, autograph=False)

    @property
    def step(self) -> int:
        """Steps done so far."""
        return int(self.method.step)

    def _begin(self):
        write_file(self.folder / "config.json", self.config.to_json())
        write_file(self.folder / "data.json", json.dumps(self._data_facts(), indent=2) + "\n")
        write_file(self._metrics_path, "")
        self._evaluations_path.unlink(missing_ok=True)

    def _resume(self):
        before = json.loads((self.folder / "data.json").read_text())
        for name, count in self._data_facts().items():
            if before[name] != count:
                raise UserError(
                    f"{self.folder} was trained with {before[name]} images in {name}, now there are "
                    f"{count}: restore the data or choose another --run-dir"
                )
        self._manager.restore_or_initialize()
        write_file(self.folder / "config.json", self.config.to_json())
        # What was logged after the checkpoint will be logged again.
        for path in (self._metrics_path, self._evaluations_path):
            if path.exists():
                lines = [line for line in read_log(path) if line["step"] <= self.step]
                write_file(path, "".join(json.dumps(line) + "\n" for line in lines))

    def _data_facts(self) -> dict[str, int]:
        return {"trainA": len(self.data.train_x), "trainB": len(self.data.train_y)}

    def run(self) -> None:
        """Train until the run is complete.

        Raises:
            UserError: A loss is not finite, or the disk is full; the last checkpoint is kept.
            Interrupted: Ctrl-C or SIGTERM came; a checkpoint has been written.
        """
        config, first, total = self.config, self.step, self.total_steps
        samples = self.data.test_images(SAMPLE_ROWS)
        speed = Speed(config.batch_size)
        log("tracing the training step, so that the first takes a while")
        writer = tf.summary.create_file_writer(str(self.folder / "tensorboard"))
        with (
            ProgressLine(total, "step", first) as line,
            _signals_caught() as caught,
            writer.as_default(),
        ):
            for step, (real_x, real_y) in enumerate(
                self.data.train_batches(first, total), first + 1
            ):
                self._pending.append((step, self._train_step(real_x, real_y)))
                last = step == total
                if step == first + 1:
                    self._look_at_losses()
                    speed.start(step)
                if step % config.log_every == 0 or last:
                    self._look_at_losses()
                    epoch = -(-step // self.data.steps_per_epoch)
                    line.update(step, f"epoch {epoch}, {speed.at(step)}, {_short(self._losses)}")
                if config.sample_every and (step % config.sample_every == 0 or last):
                    self._save_samples(step, *samples)
                if self._evaluate and (step % config.evaluate_every == 0 or last):
                    self._save_evaluation(step)
                if step % config.checkpoint_every == 0 or last or caught:
                    self._save_checkpoint(step)
                if caught and not last:
                    raise Interrupted(caught[0], step)
        writer.close()
        metrics = read_metrics(self.folder)
        if metrics:
            loss_curves(metrics, self.folder / "losses.png")

    def _look_at_losses(self):
        """Check the losses since the last look and log those that are due.

        One transfer for many steps: a GPU does not wait for its numbers at every step.
        """
        lines = []
        for step, tensors in self._pending:
            losses = self._losses = {name: float(value) for name, value in tensors.items()}
            for name, value in losses.items():
                if not math.isfinite(value):
                    raise UserError(self._not_finite(name, value, step))
            if step == 1 or step % self.config.log_every == 0:
                lines.append(json.dumps({"step": step} | losses) + "\n")
                for name, value in losses.items():
                    tf.summary.scalar(name, value, step)
        self._pending.clear()
        with disk_errors(self._metrics_path), self._metrics_path.open("a") as file:
            file.writelines(lines)

    def _not_finite(self, name: str, value: float, step: int) -> str:
        kept = self._manager.latest_checkpoint
        return (
            f"the loss {name} is {value} at step {step}, so the run was stopped; "
            + (f"the last good checkpoint is {kept}; " if kept else "there is no checkpoint yet; ")
            + "try a lower --learning-rate in another --run-dir"
        )

    def _save_samples(self, step: int, real_x, real_y):
        translated = self._translate(real_x, real_y)
        headings = {
            "x": real_x,
            "G(x)": translated["fake_y"],
            "F(G(x))": translated["cycled_x"],
            "y": real_y,
            "F(y)": translated["fake_x"],
            "G(F(y))": translated["cycled_y"],
        }
        grid = image_grid({heading: to_uint8(images) for heading, images in headings.items()})
        path = self.folder / "samples" / f"step_{step:06}.png"
        write_file(path, png_bytes(grid))
        tf.summary.image("samples", np.asarray(grid)[None], step)
        if self._on_sample:
            self._on_sample(path)

    def _save_evaluation(self, step: int):
        numbers = self._evaluate()
        for name, value in numbers.items():
            tf.summary.scalar(f"evaluation/{name}", value, step)
        with disk_errors(self._evaluations_path), self._evaluations_path.open("a") as file:
            file.write(json.dumps({"step": step} | dict(numbers)) + "\n")

    def _save_checkpoint(self, step: int):
        self._look_at_losses()
        try:
            self._manager.save(checkpoint_number=step)
        except (tf.errors.OpError, OSError) as error:
            folder, kept = self.folder / "checkpoints", self._manager.latest_checkpoint
            for unfinished in folder.glob("*_temp"):
                shutil.rmtree(unfinished, ignore_errors=True)
            # TensorFlow puts the operation around what the operating system said.
            reason = re.sub(r"\{\{.*?\}\} | \[Op:.*", "", str(error).splitlines()[0])
            raise UserError(
                f"cannot write a checkpoint of step {step} in {folder} ({reason}); "
                f"{f'the last good one is {kept}' if kept else 'there is no earlier one'}; "
                "make room and run the command again"
            ) from error


def xla_pays(config: Config) -> bool:
    """Whether to compile the training step of `config` with XLA on this machine.

    On a CPU TensorFlow's own convolutions (oneDNN) beat XLA's, and compiling takes longer than
    tracing.
    """
    if config.jit == "auto":
        return bool(tf.config.list_physical_devices("GPU"))
    return config.jit == "on"


class Speed:
    """Images a second since the first step, which traces and compiles, was done."""

    def __init__(self, batch_size: int):
        self._batch_size = batch_size

    def start(self, step: int):
        self._since, self._first = time.monotonic(), step

    def at(self, step: int) -> str:
        seconds = time.monotonic() - self._since
        return f"{(step - self._first) * self._batch_size / max(seconds, 1e-9):.1f} images/s"


def check_run_folder(folder: Path, config: Config) -> None:
    """See that a run with these settings can begin or go on in `folder`.

    Raises:
        UserError: It holds a run whose settings differ where they change the weights (they are
            named), or something that is no run.
    """
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} exists and is not a run; choose another --run-dir")
    if not tf.train.latest_checkpoint(str(folder / "checkpoints")):
        return
    before, now = (
        dataclasses.asdict(settings)
        for settings in (Config.from_json(folder / "config.json"), config)
    )
    free = set(FREE_SETTINGS)
    if config.decay_start >= 1:
        free |= {"epochs", "steps"}  # at a constant rate a run may go on for longer
    differing = [
        f"--{name.replace('_', '-')} (was {before[name]}, now {now[name]})"
        for name in now
        if name not in free and before[name] != now[name]
    ]
    if differing:
        raise UserError(
            f"{folder} holds a run with other settings: {', '.join(differing)}; "
            "give it the same ones or choose another --run-dir"
        )


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """The lines of a run's metrics.jsonl."""
    return read_log(folder / "metrics.jsonl")


def read_log(path: Path) -> list[dict[str, float]]:
    """The lines of a file of JSON lines, without a last one that was cut off."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


@contextmanager
def _signals_caught() -> Iterator[list[int]]:
    """Collect Ctrl-C and SIGTERM instead of stopping; a second one stops at once."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def catch(number, _frame):
        caught.append(number)
        signal.signal(number, before[number])
        log("finishing this step, then writing a checkpoint; once more stops at once")

    before = {number: signal.signal(number, catch) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _short(losses: dict[str, float]) -> str:
    """The losses on a line, the two of a kind together: "cycle 0.112/0.098"."""
    kinds: dict[str, list[str]] = {}
    for name, value in losses.items():
        kinds.setdefault(name.rsplit("_", 1)[0], []).append(f"{value:.3f}")
    return " ".join(f"{kind} {'/'.join(values)}" for kind, values in kinds.items())
