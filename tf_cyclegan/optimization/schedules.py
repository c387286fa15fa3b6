"""Learning rates that change in the course of a run."""

import math

import keras
from keras import ops

from .plateau import PlateauRate


@keras.saving.register_keras_serializable("tf_cyclegan")
class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A constant rate that falls linearly to zero over the last part of the run (section 7.1).

    Args:
        rate: The rate of the first part.
        decay_start: Share of `total_steps` from which it falls; 1 keeps it constant.
        total_steps: The step at which it would reach zero.
    """

    def __init__(self, rate, decay_start, total_steps):
        self.rate = rate
        self.decay_start = decay_start
        self.total_steps = total_steps

    def __call__(self, step):
        if self.decay_start >= 1:
            return ops.convert_to_tensor(self.rate, keras.config.floatx())
        step = ops.cast(step, keras.config.floatx())
        remaining = (self.total_steps - step) / (self.total_steps * (1.0 - self.decay_start))
        return self.rate * self.shape(ops.clip(remaining, 0.0, 1.0))

    def shape(self, remaining):
        """The share of the rate that is left when `remaining`, 1 to 0, of the last part is."""
        return remaining

    def get_config(self):
        return {
            "rate": self.rate,
            "decay_start": self.decay_start,
            "total_steps": self.total_steps,
        }


@keras.saving.register_keras_serializable("tf_cyclegan")
class CosineDecay(LinearDecay):
    """The same with half a cosine (Loshchilov, Hutter 2017, https://arxiv.org/abs/1608.03983)."""

    def shape(self, remaining):
        return 0.5 * (1.0 - ops.cos(math.pi * remaining))


@keras.saving.register_keras_serializable("tf_cyclegan")
class StepDecay(LinearDecay):
    """The same with two steps: to a tenth, and halfway through the last part to a hundredth."""

    def shape(self, remaining):
        return ops.where(remaining >= 1.0, 1.0, ops.where(remaining > 0.5, 0.1, 0.01))


@keras.saving.register_keras_serializable("tf_cyclegan")
class Warmup(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that grows from nothing over the first steps (Goyal et al. 2017, section 2.2).

    https://arxiv.org/abs/1706.02677

    Args:
        schedule: The rate without it.
        steps: Of these, the first has a part of `1 / steps` of the rate, and the last all of it.
    """

    def __init__(self, schedule, steps):
        self.schedule = schedule
        self.steps = steps

    def __call__(self, step):
        done = ops.cast(step, keras.config.floatx()) + 1.0
        return self.schedule(step) * ops.minimum(done / self.steps, 1.0)

    def get_config(self):
        return {"schedule": keras.saving.serialize_keras_object(self.schedule), "steps": self.steps}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["steps"])


DECAYS = {"linear": LinearDecay, "cosine": CosineDecay, "step": StepDecay}


def learning_rate(rate, decay, decay_start, total_steps, warmup_steps, plateau=None):
    """The rate of an optimizer: a number where it is constant, else a schedule.

    Args:
        rate: Its largest value.
        decay: One of `DECAYS`, or "plateau".
        decay_start: Share of the run after which it falls; 1 is a constant rate.
        total_steps: Of the run.
        warmup_steps: Over which it grows at first.
        plateau: What makes it smaller, for "plateau".
    """
    # A number is a variable in checkpoints, as in those of the tutorial.
    if decay_start >= 1 and not warmup_steps:
        return rate
    if decay == "plateau":
        schedule = PlateauRate(rate, plateau)
    else:
        schedule = DECAYS[decay](rate, decay_start, total_steps)
    return Warmup(schedule, warmup_steps) if warmup_steps else schedule
