"""Adam whose update of a variable is one operation."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tf_cyclegan")
class FusedAdam(keras.optimizers.Adam):
    """Keras's Adam, computed by TensorFlow's own kernel.

    The formula, the variables and so the checkpoints are those of `keras.optimizers.Adam`, which
    makes some thirty small operations, each a pass over memory, of what is one pass here: a third
    of the nodes of a training step.

    Args:
        learning_rate: A number or a schedule.
        beta_1: Decay of the first moment.
        beta_2: Decay of the second moment.
        epsilon: Added to the root of the second moment.
        epsilon_form: Which second moment: "keras" is the one that is kept (Kingma and Ba 2015,
            https://arxiv.org/abs/1412.6980, the last lines of section 2), "pytorch" the one that is
            corrected for its start at zero (their algorithm 1).
    """

    def __init__(
        self,
        learning_rate=0.001,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        epsilon_form="keras",
        name=None,
        **kwargs,
    ):
        super().__init__(
            learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, name=name, **kwargs
        )
        self.epsilon_form = epsilon_form
        if self.amsgrad:
            raise ValueError("TensorFlow's kernel has no amsgrad")

    def update_step(self, gradient, variable, learning_rate):
        """Update a `tf.Variable` and its two moments."""
        index = self._get_variable_index(variable)
        dtype = variable.dtype
        step = tf.cast(self.iterations.value + 1, dtype)
        beta2_power = tf.pow(tf.constant(self.beta_2, dtype), step)
        epsilon = tf.constant(self.epsilon, dtype)
        if self.epsilon_form == "pytorch":
            # The kernel divides by sqrt(v) + epsilon, and corrects the quotient as a whole.
            epsilon *= tf.sqrt(1 - beta2_power)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(tf.constant(self.beta_1, dtype), step),
            beta2_power=beta2_power,
            lr=tf.cast(learning_rate, dtype),
            beta1=tf.constant(self.beta_1, dtype),
            beta2=tf.constant(self.beta_2, dtype),
            epsilon=epsilon,
            grad=tf.cast(gradient, dtype),
        )

    def get_config(self):
        return super().get_config() | {"epsilon_form": self.epsilon_form}
