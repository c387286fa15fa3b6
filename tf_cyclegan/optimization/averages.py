"""Moving averages of networks, which make steadier images than the networks of any one step."""

import keras
import tensorflow as tf


def copy_of(network: keras.Model) -> keras.Model:
    """A network of the same layers and the same weights, in variables of its own."""
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    return copy


def ema_decay(half_life: float, ramp: float, batch_size: int, step) -> tf.Tensor:
    """The share of an exponential moving average that stays at a step: a scalar.

    As Karras et al. compute it (StyleGAN2, https://arxiv.org/abs/1912.04958, and its training loop):
    so that an image counts half after `half_life` more of them, and never longer than a share of
    those seen so far, since the first networks are no good. The average of one step is its network.

    Args:
        half_life: In images.
        ramp: What part of the images seen so far the half-life is at most.
        batch_size: Images a step.
        step: Number of steps before this one.
    """
    seen = tf.cast(step, keras.config.floatx()) * batch_size
    return 0.5 ** (batch_size / tf.maximum(tf.minimum(ramp * seen, half_life), 1e-8))


def averages_after(
    averages: list[keras.Variable], weights: list[keras.Variable], decay
) -> list[tf.Tensor]:
    """What averages become: `decay` of what they are, the rest of it of the new weights."""
    return [
        weight + tf.cast(decay, weight.dtype) * (average - weight)
        for average, weight in zip(averages, weights, strict=True)
    ]
