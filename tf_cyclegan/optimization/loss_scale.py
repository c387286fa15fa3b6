"""Loss scaling, which keeps small gradients above what float16 can hold."""

import tensorflow as tf

INITIAL_SCALE = 2.0**15
STEPS_TO_GROW = 2000


class LossScale(tf.Module):
    """A factor on a loss that is as large as its gradients allow.

    Micikevicius et al. 2018, https://arxiv.org/abs/1710.03740, section 3.2: when a gradient overflows
    the step is skipped and the scale halved; after 2000 steps without it is doubled. Replicas change
    their copies alike, because they look at gradients summed over all of them.
    """

    def __init__(self, initial=INITIAL_SCALE, name=None):
        super().__init__(name=name)
        alike = {"trainable": False, "aggregation": tf.VariableAggregation.NONE}
        self.scale = tf.Variable(initial, dtype=tf.float32, **alike)
        self.steps = tf.Variable(0, dtype=tf.int32, **alike)  # since the scale changed

    def scaled(self, loss):
        """The loss to take gradients of."""
        return loss * self.scale

    def unscaled(self, gradients: dict[str, list]) -> tuple[dict, tf.Tensor]:
        """Undo `scaled` in the gradients and set the scale for the next step.

        Args:
            gradients: By the names of networks.

        Returns:
            The gradients of the loss itself, and a bool scalar: whether they can be used.
        """
        every = [gradient for network in gradients.values() for gradient in network]
        usable = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in every])
        factor = 1.0 / self.scale
        unscaled = {name: [g * factor for g in network] for name, network in gradients.items()}

        steps = tf.where(usable, self.steps + 1, 0)
        grows = steps == STEPS_TO_GROW
        factor = tf.where(usable, tf.where(grows, 2.0, 1.0), 0.5)
        self.scale.assign(tf.maximum(self.scale * factor, 1.0))
        self.steps.assign(tf.where(grows, 0, steps))
        return unscaled, usable


class NoLossScale:
    """For types that need none."""

    def scaled(self, loss):
        return loss

    def unscaled(self, gradients):
        return gradients, None
