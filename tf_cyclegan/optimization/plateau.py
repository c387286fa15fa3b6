"""Learning rates that fall when the losses that should fall no longer do."""

from collections.abc import Mapping

import keras
import tensorflow as tf

from ..errors import UserError

WINDOWS = 50  # parts of a run over each of which the losses are averaged
FACTOR, PATIENCE, THRESHOLD = 0.2, 5, 0.01  # the authors' `--lr_policy plateau`
# Terms of an objective that go up and down, since those who pay them learn against each other.
ADVERSARIAL = ("generator", "discriminator", "penalty", "called_real")


class Plateau:
    """Multiplies the rate by 0.2 when a loss has not fallen by 1 % in more than five windows.

    PyTorch's `ReduceLROnPlateau`, with the numbers that the authors' code gives it. The loss is the sum
    of all terms that are not adversarial, cycle and identity for CycleGAN; windows take the place of
    its epochs, since an epoch of few images says little.

    Args:
        total_steps: Of the run.
        start: Share of them before which nothing is watched.

    Attributes:
        share: Scalar variable, what is left of the rate.
        variables: By their names in a checkpoint.
    """

    def __init__(self, total_steps: int, start: float):
        self._window = max(1, total_steps // WINDOWS)
        self._first = int(start * total_steps)
        initial = {"share": 1.0, "total": 0.0, "best": float("inf"), "bad": 0.0}
        # Replicas change their copies alike, so that nothing need be sent.
        self.variables = {
            name: tf.Variable(
                value,
                dtype=keras.config.floatx(),
                trainable=False,
                aggregation=tf.VariableAggregation.NONE,
                name=f"plateau_{name}",
            )
            for name, value in initial.items()
        }
        self.share = self.variables["share"]

    def observe(self, terms: Mapping[str, tf.Tensor], step) -> None:
        """Take in the terms of a step, of the whole batch.

        Args:
            terms: Scalars by name.
            step: Number of steps before this one.

        Raises:
            UserError: All terms are adversarial.
        """
        watched = [term for name, term in terms.items() if not name.startswith(ADVERSARIAL)]
        if not watched:
            raise UserError(
                "--decay plateau watches losses that fall, and all of this objective go up and down; "
                "choose another --decay"
            )
        share, total, best, bad = self.variables.values()
        nothing = tf.zeros_like(total)
        is_watched = step >= self._first
        loss = total + tf.where(is_watched, tf.add_n(watched), nothing)
        is_end = is_watched & ((step + 1 - self._first) % self._window == 0)
        is_better = loss < best * (1 - THRESHOLD)
        count = tf.where(is_better, nothing, bad + 1)
        falls = is_end & (count > PATIENCE)
        share.assign(tf.where(falls, FACTOR * share, share))
        bad.assign(tf.where(falls, nothing, tf.where(is_end, count, bad)))
        best.assign(tf.where(is_end & is_better, loss, best))
        total.assign(tf.where(is_end, nothing, loss))


class PlateauRate(keras.optimizers.schedules.LearningRateSchedule):
    """What a `Plateau` leaves of a rate."""

    def __init__(self, rate: float, plateau: Plateau):
        self.rate, self.plateau = rate, plateau

    def __call__(self, step):
        return self.rate * self.plateau.share
