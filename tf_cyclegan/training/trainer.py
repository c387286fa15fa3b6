"""The training loop: checkpoints, resume, logs, sample pictures. It knows no loss and no layer."""

import dataclasses
import json
import math
import re
import shutil
import signal
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
import tensorflow as tf

from ..data.pipeline import UnpairedImages
from ..errors import UserError
from ..files import disk_errors, write_file
from ..pictures import image_grid, loss_curves, png_bytes, to_uint8
from ..progress import ProgressLine, log
from ..settings import Config
from .devices import Devices

# Settings that change where or how often a run is looked at, or on what it runs, but not its weights:
# not one bit of them, or for the last two no more than their rounding.
FREE_SETTINGS = {
    "data_dir",
    "max_pixels",
    "run_dir",
    "checkpoint_every",
    "keep_checkpoints",
    "sample_every",
    "log_every",
    "evaluate_every",
    "steps_per_call",
    "remat",
    "strategy",
}
PLACES = {"dataset", "data_dir", "run_dir"}  # settings that may be paths, other ones on each worker
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
        devices: What to train on; one device if not given.

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
        devices: Devices | None = None,
    ):
        self.method, self.data, self.config, self.total_steps = method, data, config, total_steps
        self._on_sample, self.devices = on_sample, devices or Devices()
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
        # Losses not looked at yet: those of one call, after the number of the step before it.
        self._pending: list[tuple[int, dict[str, tf.Tensor]]] = []
        self._losses: dict[str, float] = {}  # the newest looked at
        self._train_step = self.devices.function(method.train_step, xla_pays(config))
        self._train_steps = tf.function(self._several_steps, autograph=False)
        self._translate = self.devices.function(method.translate, jit=False)

    @property
    def step(self) -> int:
        """Steps done so far."""
        return int(self.method.step.numpy())

    def _begin(self):
        if not self.devices.is_chief:
            return
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
        if not self.devices.is_chief:
            return
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
        self._check_workers()
        batches = self.devices.batches(self.data, first, total)
        with self._told(first) as line, _signals_caught() as caught:
            step = first
            while step < total:
                before, step = step, self._end_of_call(step)
                self._pending.append((before, self._do_steps(batches, step - before)))
                last = step == total
                due = step // config.log_every > before // config.log_every or last
                if before == first:
                    self._look_at_losses()
                    speed.start(step)
                if due:
                    self._look_at_losses()
                    if line:
                        epoch = -(-step // self.data.steps_per_epoch)
                        text = f"epoch {epoch}, {speed.at(step)}, {_short(self._losses)}"
                        line.update(step, text)
                if config.sample_every and (step % config.sample_every == 0 or last):
                    self._save_samples(step, *samples)
                if self._evaluate and (step % config.evaluate_every == 0 or last):
                    self._save_evaluation(step)
                stop = caught[0] if caught else 0
                if self.devices.workers > 1:  # they stop at the same step, where any was told to
                    stop = max(self.devices.all_workers(stop)) if due else 0
                if step % config.checkpoint_every == 0 or last or stop:
                    self._save_checkpoint(step)
                if stop and not last:
                    self.devices.all_workers(0)  # until the checkpoint is written
                    raise Interrupted(stop, step)
        metrics = read_metrics(self.folder)
        if metrics and self.devices.is_chief:
            loss_curves(metrics, self.folder / "losses.png")

    def _check_workers(self):
        """See that all workers are about to do the same."""
        here = dataclasses.asdict(self.config) | self._data_facts()
        here = {name: here[name] for name in here if name not in PLACES}
        what = {
            "settings or images": zlib.crc32(json.dumps(here).encode()),
            "checkpoints": self.step,
        }
        for name, value in what.items():
            if len(set(self.devices.all_workers(value))) > 1:
                raise UserError(
                    f"the workers of this run have different {name}: start all with the same options, "
                    "and with a data set and a --run-dir that all of them can see"
                )

    @contextmanager
    def _told(self, first: int) -> Iterator[ProgressLine | None]:
        """Show and log how far the run is; one worker does it for all."""
        if not self.devices.is_chief:
            yield None
            return
        log("tracing the training step, so that the first takes a while")
        writer = tf.summary.create_file_writer(str(self.folder / "tensorboard"))
        with ProgressLine(self.total_steps, "step", first) as line, writer.as_default():
            yield line
        writer.close()

    def _end_of_call(self, step: int) -> int:
        """The step up to which the next call goes: none goes past one where something is saved."""
        config = self.config
        ends = [step + config.steps_per_call, self.total_steps]
        for every in (config.checkpoint_every, config.sample_every, config.evaluate_every):
            if every:
                ends.append((step // every + 1) * every)
        return min(ends)

    def _do_steps(self, batches: Iterator, count: int) -> dict[str, tf.Tensor]:
        """Do `count` steps on the next batches: the losses, scalars or `[count]`."""
        if self.config.steps_per_call == 1:
            return self._train_step(*next(batches))
        return self._train_steps(batches, tf.constant(count))

    def _several_steps(self, batches, count):
        # Traced here once more, to know what the loop has to collect.
        losses = self._train_step.get_concrete_function(*batches.element_spec).structured_outputs
        collected = {name: tf.TensorArray(loss.dtype, count) for name, loss in losses.items()}

        def do_step(number, collected):
            losses = self._train_step(*batches.get_next())
            return number + 1, {
                name: collected[name].write(number, losses[name]) for name in losses
            }

        _, collected = tf.while_loop(
            lambda number, _: number < count, do_step, (0, collected), parallel_iterations=1
        )
        return {name: array.stack() for name, array in collected.items()}

    def _look_at_losses(self):
        """Check the losses since the last look and log those that are due.

        One transfer for many steps: a GPU does not wait for its numbers at every step.
        """
        lines = []
        for before, tensors in self._pending:
            rows = zip(
                *(np.atleast_1d(tensor).tolist() for tensor in tensors.values()), strict=True
            )
            for step, row in enumerate(rows, before + 1):
                losses = self._losses = dict(zip(tensors, row, strict=True))
                for name, value in losses.items():
                    if not math.isfinite(value):
                        raise UserError(self._not_finite(name, value, step))
                if step == 1 or step % self.config.log_every == 0:
                    lines.append(json.dumps({"step": step} | losses) + "\n")
                    for name, value in losses.items():
                        tf.summary.scalar(name, value, step)
        self._pending.clear()
        if self.devices.is_chief:
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
        if not self.devices.is_chief:
            return
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
        if not self.devices.is_chief:
            return
        numbers = self._evaluate()
        for name, value in numbers.items():
            tf.summary.scalar(f"evaluation/{name}", value, step)
        with disk_errors(self._evaluations_path), self._evaluations_path.open("a") as file:
            file.write(json.dumps({"step": step} | dict(numbers)) + "\n")

    def _save_checkpoint(self, step: int):
        self._look_at_losses()
        # No variable is computed from several replicas when it is read, so saving concerns one only.
        if not self.devices.is_chief:
            return
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
