"""The training loop: checkpoints, resume, logs, sample pictures. It knows no loss and no layer."""

import dataclasses
import json
import signal
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import tensorflow as tf

from ..commands import ending_signals
from ..data.piles import names_digest
from ..data.pipeline import UnpairedImages
from ..errors import CannotWrite, UserError
from ..files import check_around, write_file
from ..methods.method import Trainable
from ..pictures import image_grid, loss_curves, png_bytes, to_uint8
from ..progress import ProgressLine, log
from ..settings import RunSettings, named, option
from .checkpoints import Checkpoint, tensorflow_disk_errors
from .clock import Speed, StepClock
from .devices import Devices, accelerated
from .forecast import forecast
from .held_out import HeldOut, known_since
from .loss_log import LossLog, NotFinite
from .run import Run

SAMPLE_ROWS = 8
FORECAST_STEPS = 3  # after the one that traces


class Interrupted(Exception):
    """Ctrl-C, SIGTERM or SIGHUP ended the run after a checkpoint of `step`."""

    def __init__(self, number: int, step: int):
        super().__init__(f"signal {number} at step {step}")
        self.signal, self.step = number, step


class DataLost(UserError):
    """Images that were there when the run began cannot be read any more."""


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
        method: Trainable,
        data: UnpairedImages,
        config: RunSettings,
        total_steps: int,
        evaluate: Callable[[], Mapping[str, float]] | None = None,
        on_sample: Callable[[Path], None] | None = None,
        devices: Devices | None = None,
    ):
        self.method, self.data, self.config, self.total_steps = method, data, config, total_steps
        self._on_sample, self.devices = on_sample, devices or Devices()
        self.run_files = Run(config.run_folder)
        self._evaluate = evaluate
        self._checkpoint = tf.train.Checkpoint(**method.checkpoint_items)
        self._saved = self.run_files.newest_checkpoint()
        if self._saved:
            self._resume(self._saved)
        else:
            self._begin()
        self._clock = StepClock()
        self._losses = LossLog(
            self.run_files, config.log_every, self.step, self._clock, self.devices.is_chief
        )
        self._train_step = self.devices.function(method.train_step, xla_pays(config))
        self._train_steps = tf.function(self._several_steps, autograph=False)
        self._samples = self.devices.function(method.samples, jit=False)
        self._held_out = HeldOut(method, data, config, self.devices) if config.held_out else None

    @property
    def step(self) -> int:
        """Steps done so far."""
        return int(self.method.step.numpy())

    def _begin(self):
        self._check_nothing_is_lost()
        if not self.devices.is_chief:
            return
        run = self.run_files
        run.write_settings(self.config)
        run.write_data_facts(self._data_facts())
        run.cut_logs_after(0)

    def _check_nothing_is_lost(self):
        """See that no checkpoint is missing that the log says there was."""
        run = self.run_files
        logged = run.metrics.last_step()
        if logged and run.has_settings and logged > run.read_settings().checkpoint_every:
            raise UserError(
                f"{run} has logged {logged} steps and all its checkpoints are gone: put back a copy "
                f"of one, or remove {run.metrics.path} to begin anew, or choose another --run-dir"
            )

    def _resume(self, newest: Checkpoint):
        run, now = self.run_files, self._data_facts()
        before = run.read_data_facts()
        if before is None:
            log(
                f"{run.data_path} is gone or damaged, so that nobody can see whether these are the "
                f"images that the run began with; written anew for those that are here: {now}"
            )
        elif changes := changed_data(before, now):
            was, told = run.read_settings(), ", ".join(changes)
            if not was.has_data_of(self.config):
                raise UserError(
                    f"{run} was trained on {was.data_name}, and {self.config.data_name} holds other "
                    f"images ({told}): point at the same ones, or choose another --run-dir"
                )
            log(
                f"the images are not those that {run} began with ({told}): it goes on with these, in "
                "another order from here, so that no run ends with the same bits any more"
            )
        newest.restore(self._checkpoint)
        if not self.devices.is_chief:
            return
        run.write_data_facts(now)
        run.write_settings(self.config)
        # What was logged after the checkpoint will be logged again.
        run.cut_logs_after(self.step)

    def _data_facts(self) -> dict[str, int | str]:
        x, y = self.data.train_x, self.data.train_y
        return {
            "trainA": len(x),
            "trainB": len(y),
            "namesA": names_digest(x.names),
            "namesB": names_digest(y.names),
        }

    def run(self) -> None:
        """Train until the run is complete, and make what is due at its end and not there yet.

        Raises:
            UserError: A loss is not finite, the data are gone, or the disk is full. The last
                checkpoint is kept; where the disk takes one, it is of the last step.
            Interrupted: Ctrl-C, SIGTERM or SIGHUP came; a checkpoint has been written.
        """
        first = self.step
        self._check_workers()
        samples_due, evaluation_due = self._cut_off_at(first)
        if first < self.total_steps or samples_due or evaluation_due:
            samples = self.data.test_images(SAMPLE_ROWS)
            with self._told(first) as line, _signals_caught() as caught, self._checkpoint_first():
                if samples_due:
                    self._save_samples(first, *samples)
                if evaluation_due:
                    self._save_evaluation(first)
                self._train(first, samples, line, caught)
        metrics = self.run_files.metrics.lines()
        if metrics and self.devices.is_chief:
            called_real = self.run_files.called_real.lines()
            loss_curves(metrics, self.run_files.losses_picture, called_real)
            if since := known_since(called_real):
                log(
                    f"the discriminators know their pictures by heart since step {since}: more "
                    "pictures, --augment or a --penalty may help (docs/troubleshooting.md)"
                )

    def _cut_off_at(self, step: int) -> tuple[bool, bool]:
        """Whether the sample picture and the evaluation of the checkpoint gone on from are missing."""
        if not step:
            return False, False
        evaluated = (line["step"] for line in self.run_files.evaluations.lines())
        return (
            self._samples_are_due(step) and not self.run_files.sample(step).exists(),
            self._evaluation_is_due(step) and step not in evaluated,
        )

    def _samples_are_due(self, step: int) -> bool:
        every = self.config.sample_every
        return bool(every) and (step % every == 0 or step == self.total_steps)

    def _evaluation_is_due(self, step: int) -> bool:
        every = self.config.evaluate_every
        return bool(self._evaluate) and (step % every == 0 or step == self.total_steps)

    def _train(self, first: int, samples, line: ProgressLine | None, caught: list[int]):
        config, total = self.config, self.total_steps
        speed = Speed(config.batch_size)
        batches = self.devices.batches(self.data, first, total)
        step, text = first, ""
        told = traced = False
        while step < total:
            before, step = step, self._end_of_call(step)
            with self._clock:
                self._losses.add(self._do_steps(batches, step - before), before, step)
            self._clock.steps += step - before
            last = step == total
            due = step // config.log_every > before // config.log_every or last
            if before == first:
                self._look_at_losses()
                self._clock.reset()
                speed.start(step)
            if due:
                self._look_at_losses()
                self._losses.tell_tensorboard()
                epoch = -(-step // self.data.steps_per_epoch)
                text = f"epoch {epoch}, {speed.at(step)}, {self._losses}"
            if line:
                line.update(step, text, counts=before != first)
                told = told or self._forecast(line, step - first)
            if self._held_out and self.devices.is_chief and step % self._held_out.every == 0:
                self._held_out.look(step)
            stop = caught[0] if caught else 0
            if self.devices.workers > 1:  # they stop at the same step, where any was told to
                stop = max(self.devices.all_workers(stop)) if due else 0
            if step % config.checkpoint_every == 0 or last or stop:
                self._save_checkpoint(step)
            if stop and not last:
                self.devices.all_workers(0)  # until the checkpoint is written
                raise Interrupted(stop, step)
            # After the checkpoint, so that nothing is lost where they fail; `_cut_off_at` sees it.
            samples_due, evaluation_due = self._samples_are_due(step), self._evaluation_is_due(step)
            if samples_due:
                self._save_samples(step, *samples)
            if evaluation_due:
                self._save_evaluation(step)
            if line and not traced and (samples_due or evaluation_due):
                line.update(step, text, counts=False)
                traced = True

    def _forecast(self, line: ProgressLine, done: int) -> bool:
        """Say once, after the first steps, how long a run without an accelerator will take."""
        if done <= FORECAST_STEPS:
            return False
        words = forecast(self.config, line.seconds_left or 0)
        if words and not accelerated():
            log(words)
        return True

    @contextmanager
    def _checkpoint_first(self) -> Iterator[None]:
        """Where the disk or the data fail, save the steps since the last checkpoint, then say so."""
        try:
            yield
        except (CannotWrite, DataLost):
            saved = self._saved.step if self._saved else 0
            if self._losses.is_whole and saved < self.step == self._losses.reaches:
                self._save_checkpoint(self.step)
                log(f"wrote a checkpoint of step {self.step} first")
            raise

    def _check_workers(self):
        """See that all workers are about to do the same."""
        here = dataclasses.asdict(self.config) | self._data_facts()
        places = named(dataclasses.fields(self.config), is_place=True)
        here = {name: here[name] for name in here if name not in places}
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
        if first < self.total_steps:
            log("tracing the training step, so that the first takes a while")
        folder = self.run_files.tensorboard
        with tensorflow_disk_errors(folder):
            writer = tf.summary.create_file_writer(str(folder))
        with ProgressLine(self.total_steps, "step", first) as line, writer.as_default():
            try:
                yield line
            except BaseException:
                with suppress(tf.errors.OpError):  # what happened first is what is told
                    writer.close()
                raise
        with tensorflow_disk_errors(folder):
            writer.close()

    def _end_of_call(self, step: int) -> int:
        """The step up to which the next call goes: none goes past one where something is saved."""
        config = self.config
        ends = [step + config.steps_per_call, self.total_steps]
        looks = self._held_out.every if self._held_out else 0
        for every in (config.checkpoint_every, config.sample_every, config.evaluate_every, looks):
            if every:
                ends.append((step // every + 1) * every)
        return min(ends)

    def _do_steps(self, batches: Iterator, count: int) -> dict[str, tf.Tensor]:
        """Do `count` steps on the next batches: the losses, scalars or `[count]`."""
        try:
            if self.config.steps_per_call == 1:
                return self._train_step(*next(batches))
            return self._train_steps(batches, tf.constant(count))
        except tf.errors.OpError as error:
            if lost := self.data.lost():
                raise DataLost(
                    f"an image that was there when the run began cannot be read any more: {lost}; "
                    "put it back, and run the command again"
                ) from error
            raise

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
        try:
            self._losses.look()
        except NotFinite as error:
            kept = self._saved and self._saved.prefix
            raise UserError(
                f"{error}, so the run was stopped; "
                + (
                    f"the last good checkpoint is {kept}; "
                    if kept
                    else "there is no checkpoint yet; "
                )
                + "try a lower --learning-rate in another --run-dir"
            ) from error

    def _save_samples(self, step: int, real_x, real_y):
        if not self.devices.is_chief:
            return
        columns = self._samples(real_x, real_y)
        pictures = {heading: to_uint8(images) for heading, images in columns.items()}
        grid = image_grid(pictures, self.data.about_test_images)
        path = self.run_files.sample(step)
        write_file(path, png_bytes(grid))
        with tensorflow_disk_errors(self.run_files.tensorboard):
            tf.summary.image("samples", np.asarray(grid)[None], step)
        if self._on_sample:
            self._on_sample(path)

    def _save_evaluation(self, step: int):
        if not self.devices.is_chief:
            return
        numbers = self._evaluate()
        self.run_files.evaluations.add([{"step": step} | dict(numbers)])
        with tensorflow_disk_errors(self.run_files.tensorboard):
            for name, value in numbers.items():
                tf.summary.scalar(f"evaluation/{name}", value, step)

    def _save_checkpoint(self, step: int):
        self._look_at_losses()
        # No variable is computed from several replicas when it is read, so saving concerns one only.
        if not self.devices.is_chief:
            return
        run = self.run_files
        if self._clock.steps:
            run.times.add([{"step": step} | self._clock.counted()])
            self._clock.reset()
        try:
            self._saved = run.save_checkpoint(self._checkpoint, step, self.config.keep_checkpoints)
        except CannotWrite as error:
            kept = self._saved and self._saved.prefix
            raise UserError(
                f"cannot write a checkpoint of step {step} in {run} ({error.reason}); "
                f"{f'the last good one is {kept}' if kept else 'there is no earlier one'}; "
                "make room and run the command again"
            ) from error


def xla_pays(config: RunSettings) -> bool:
    """Whether to compile the training step of `config` with XLA on this machine.

    On a CPU TensorFlow's own convolutions (oneDNN) beat XLA's, and compiling takes longer than
    tracing.
    """
    if config.jit == "auto":
        return bool(tf.config.list_physical_devices("GPU"))
    return config.jit == "on"


def changed_data(before: Mapping, now: Mapping) -> list[str]:
    """How images differ from those of another time, in words; their names where that had any."""
    changes = []
    for letter in "AB":
        split, names = f"train{letter}", f"names{letter}"
        if before.get(split) != now[split]:
            changes.append(f"{before.get(split)} in {split}, now {now[split]}")
        elif before.get(names, now[names]) != now[names]:
            changes.append(f"other names in {split}")
    return changes


def check_run_folder(run: Run, config: RunSettings) -> None:
    """See that a run with these settings can begin or go on in a folder.

    Raises:
        UserError: It holds a run whose settings differ where they change the weights (they are
            named), or something that is no run.
    """
    if not run.folder.exists():
        check_around(run.folder)
    if run.is_new:
        return
    if not run.has_settings and not run.has_checkpoints:
        raise UserError(f"{run} exists and is not a run; choose another --run-dir")
    settings = run.read_settings()
    if not run.has_checkpoints:
        return
    if settings.method != config.method:
        raise UserError(
            f"{run} holds a run of the method {settings.method}, not {config.method}; "
            "choose another --run-dir"
        )
    before, now = (dataclasses.asdict(each) for each in (settings, run.as_begun(config)))
    free = named(dataclasses.fields(config), may_change=True)
    free |= {"dataset", "x", "y"}  # what counts is what they hold, which the trainer sees to
    if config.decay_start >= 1:
        free |= {"epochs", "steps"}  # at a constant rate a run may go on for longer
    differing = {
        name: f"{option(name)} (was {before[name]}, now {now[name]})"
        for name in now
        if name not in free and before[name] != now[name]
    }
    if differing.keys() and differing.keys() <= {"epochs", "steps"}:
        raise UserError(
            f"the learning rate of {run} falls to 0 at the end that it was begun with, so that "
            f"{', '.join(differing.values())} would have changed what is trained already: let it come "
            "to that end without it, and lengthen it then with --more-epochs"
        )
    if differing:
        raise UserError(
            f"{run} holds a run with other settings: {', '.join(differing.values())}; "
            "give it the same ones or choose another --run-dir"
        )


@contextmanager
def _signals_caught() -> Iterator[list[int]]:
    """Collect Ctrl-C, SIGTERM and SIGHUP instead of stopping; a second one stops at once."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def catch(number, _frame):
        caught.append(number)
        signal.signal(number, before[number])
        log("finishing this step, then writing a checkpoint; once more stops at once")

    before = {number: signal.signal(number, catch) for number in ending_signals()}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
