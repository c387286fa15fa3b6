"""The losses of a run: left on the device for many steps, then checked, logged and told."""

import math
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from .checkpoints import tensorflow_disk_errors
from .clock import StepClock
from .run import Run


class NotFinite(Exception):
    """The loss `name` is `value` after `step`."""

    def __init__(self, name: str, value: float, step: int):
        super().__init__(f"the loss {name} is {value} at step {step}")


class LossLog:
    """The losses of a run's steps on their way from the device to the run's files.

    Args:
        run: The run that they are logged in.
        every: Which steps are logged: the first and every so many.
        step: The run's steps that were done before.
        clock: Runs while the device is waited for.
        is_chief: Whether this worker writes; the others check alone.

    Attributes:
        newest: The newest losses that were looked at, by name.
        reaches: The step up to which losses were added.
        is_whole: Whether all that was looked at is in the run's log.
    """

    def __init__(self, run: Run, every: int, step: int, clock: StepClock, is_chief: bool):
        self._run, self._every, self._clock, self._is_chief = run, every, clock, is_chief
        self.newest: dict[str, float] = {}
        self.reaches = step
        self.is_whole = True
        # Losses not looked at yet: those of one call, after the number of the step before it.
        self._pending: list[tuple[int, Mapping[str, tf.Tensor]]] = []
        self._untold: list[dict] = []  # lines of the log that TensorBoard has not got yet

    def add(self, losses: Mapping[str, tf.Tensor], before: int, step: int) -> None:
        """Take the losses of the steps after `before` up to `step`, each a scalar or `[count]`."""
        self._pending.append((before, losses))
        self.reaches = step

    def look(self) -> None:
        """Check the losses since the last look and log those that are due.

        One transfer for many steps: a GPU does not wait for its numbers at every step.

        Raises:
            NotFinite: One is not.
        """
        lines = []
        for before, tensors in self._pending:
            with self._clock:  # a GPU may still be at work on them
                columns = [np.atleast_1d(tensor).tolist() for tensor in tensors.values()]
            rows = zip(*columns, strict=True)
            for step, row in enumerate(rows, before + 1):
                losses = self.newest = dict(zip(tensors, row, strict=True))
                for name, value in losses.items():
                    if not math.isfinite(value):
                        raise NotFinite(name, value, step)
                if step == 1 or step % self._every == 0:
                    lines.append({"step": step} | losses)
        self._pending.clear()
        if self._is_chief:
            self.is_whole = False
            self._run.metrics.add(lines)
            self.is_whole = True
            self._untold += lines

    def tell_tensorboard(self) -> None:
        """Give TensorBoard the losses that were logged since the last time."""
        lines, self._untold = self._untold, []
        with tensorflow_disk_errors(self._run.tensorboard):
            for line in lines:
                for name in list(line)[1:]:
                    tf.summary.scalar(name, line[name], line["step"])

    def __str__(self):
        """The newest losses on a line, the two of a kind together: "cycle 0.112/0.098"."""
        kinds: dict[str, list[str]] = {}
        for name, value in self.newest.items():
            kinds.setdefault(name.rsplit("_", 1)[0], []).append(f"{value:.3f}")
        return ", ".join(f"{kind} {'/'.join(values)}" for kind, values in kinds.items())
