"""Prices on the slope of a discriminator, which keep it from growing too sure of itself."""

from collections.abc import Callable

import tensorflow as tf


def gradient_penalty(judge: Callable, images, centre: float) -> tf.Tensor:
    """The squared distance of a discriminator's slope, at each image, from what it should be.

    The slope is the Euclidean norm of the gradient of the sum of an image's logits, as in the authors'
    code (`cal_gradient_penalty`). With centre 0 at real images it is R1 (Mescheder, Geiger, Nowozin
    2018, https://arxiv.org/abs/1801.04406, equation 9), between real and generated ones that of
    Thanh-Tung, Tran, Venkatesh 2019, https://arxiv.org/abs/1902.03984; with centre 1 there WGAN-GP's
    (Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028, equation 3).

    Args:
        judge: From images to logits `[N, h, w, 1]`, those of an image its own affair.
        images: `[N, H, W, C]`.
        centre: What the slope should be.

    Returns:
        Shape [N].
    """
    images = tf.convert_to_tensor(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = tf.reduce_sum(judge(images))
    squares = tf.reduce_sum(tf.square(tape.gradient(logits, images)), [1, 2, 3])
    if not centre:
        return squares
    return tf.square(tf.sqrt(squares + 1e-16) - centre)  # a root has no slope at 0


def between(one, other, draws) -> tf.Tensor:
    """Images on the line from one to another: `draws` `[N]` in [0, 1) of the first."""
    share = tf.reshape(draws, [-1, 1, 1, 1])
    return share * one + (1.0 - share) * other
