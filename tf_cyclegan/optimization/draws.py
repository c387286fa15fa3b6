"""Random numbers that follow from a seed, with XLA the same as without."""

import math

import tensorflow as tf

from .image_pool import RNG

_LEVELS = 2**24  # what float32 can tell apart in [0, 1)


def uniform_draws(shape, seed, dtype) -> tf.Tensor:
    """Draw numbers in [0, 1).

    Args:
        shape: Of what is drawn.
        seed: Two int32.
        dtype: A float, of single precision at least.
    """
    whole = tf.random.stateless_uniform(shape, seed, 0, _LEVELS, tf.int32, alg=RNG)
    return tf.cast(whole, dtype) / _LEVELS


def normal_draws(shape, seed, dtype) -> tf.Tensor:
    """Draw from N(0, 1), by the method of Box and Muller 1958.

    TensorFlow's own normal draws are others with XLA than without; its whole numbers are not.

    Args:
        shape, seed, dtype: As for `uniform_draws`.
    """
    length, angle = tf.unstack(uniform_draws([2, *shape], seed, dtype) + 0.5 / _LEVELS)
    return tf.sqrt(-2.0 * tf.math.log(length)) * tf.cos(2.0 * math.pi * angle)
