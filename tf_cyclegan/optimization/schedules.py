"""Learning rates that change in the course of a run."""

import keras


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
            return keras.ops.convert_to_tensor(self.rate, keras.config.floatx())
        step = keras.ops.cast(step, keras.config.floatx())
        remaining = (self.total_steps - step) / (self.total_steps * (1.0 - self.decay_start))
        return self.rate * keras.ops.clip(remaining, 0.0, 1.0)

    def get_config(self):
        return {
            "rate": self.rate,
            "decay_start": self.decay_start,
            "total_steps": self.total_steps,
        }
