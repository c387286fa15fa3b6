"""What a function computes, and its gradients, for tests that set two ways beside each other."""

import numpy as np
import tensorflow as tf


def with_gradients(function, *arguments):
    """The result of a function of tensors, and the gradients of a sum of it with random weights."""
    with tf.GradientTape() as tape:
        tape.watch(arguments)
        result = function(*arguments)
        weights = np.random.default_rng(1).normal(size=result.shape)
        value = tf.reduce_sum(result * weights)
    return [result, *tape.gradient(value, arguments)]
