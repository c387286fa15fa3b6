"""Random changes of training images: turned, magnified, their colours changed.

What generators learn from is changed with them, so that they make such pictures: small changes alone.
"""

import math

import tensorflow as tf

from ..settings import RunSettings

_RED_GREEN_BLUE = [0.2989, 0.587, 0.114]  # of the grey of a colour (ITU-R BT.601)


def turned_and_magnified(image, config: RunSettings, seed):
    """Turn an image about its middle and magnify it, mirrored beyond its edges, bilinearly.

    Args:
        image: `[H, W, C]` of any type.
        config: For `rotate` and `zoom`.
        seed: int32 `[2]`: by how much, each up to what the settings say.
    """
    if not config.rotate and not config.zoom:
        return image
    image = tf.convert_to_tensor(image)
    angle, size = tf.unstack(tf.random.stateless_uniform([2], seed, [-1.0, 0.0], 1.0))
    angle *= config.rotate * math.pi / 180
    # Where in the image each pixel of the result comes from: the inverse of what is done.
    scale = 1.0 / (1.0 + config.zoom * size)
    a, b = scale * tf.cos(angle), scale * tf.sin(angle)
    x, y = (image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2
    transform = [a, -b, x - a * x + b * y, b, a, y - b * x - a * y, 0.0, 0.0]
    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(image, tf.float32)[None],
        transforms=tf.stack(transform)[None],
        output_shape=image.shape[:2],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    warped = tf.ensure_shape(warped[0], image.shape)
    return tf.cast(warped if image.dtype.is_floating else tf.round(warped), image.dtype)


def recoloured(image, config: RunSettings, seed):
    """Change brightness, contrast and saturation, in this order, each by a factor around 1.

    Args:
        image: uint8 `[H, W, 3]`.
        config: For `color_jitter`, how far a factor is from 1 at most.
        seed: int32 `[2]`: which factors.
    """
    by = config.color_jitter
    if not by:
        return image
    brightness, contrast, saturation = tf.unstack(
        tf.random.stateless_uniform([3], seed, 1.0 - by, 1.0 + by)
    )
    pixels = tf.clip_by_value(tf.cast(image, tf.float32) * brightness, 0.0, 255.0)
    grey = tf.reduce_sum(pixels * _RED_GREEN_BLUE, -1, keepdims=True)
    mean = tf.reduce_mean(grey)
    pixels = tf.clip_by_value(mean + contrast * (pixels - mean), 0.0, 255.0)
    grey = tf.reduce_sum(pixels * _RED_GREEN_BLUE, -1, keepdims=True)
    return _to_levels(grey + saturation * (pixels - grey))


def _to_levels(pixels):
    return tf.cast(tf.clip_by_value(tf.round(pixels), 0.0, 255.0), tf.uint8)
