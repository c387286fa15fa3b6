"""Normal noise, with XLA the same as without."""

import math

import tensorflow as tf

from .image_pool import RNG

_LEVELS = 2**24  # whole numbers that float32 holds


def normal_noise(shape, seed, dtype) -> tf.Tensor:
    """Draw from N(0, 1), by the method of Box and Muller 1958.

    TensorFlow's own normal draws are others with XLA than without; its whole numbers are not.

    Args:
        shape: Of what is drawn.
        seed: Two int32.
        dtype: A float.
    """
    whole = tf.random.stateless_uniform([2, *shape], seed, 0, _LEVELS, tf.int32, alg=RNG)
    length, angle = tf.unstack((tf.cast(whole, dtype) + 0.5) / _LEVELS)
    return tf.sqrt(-2.0 * tf.math.log(length)) * tf.cos(2.0 * math.pi * angle)
