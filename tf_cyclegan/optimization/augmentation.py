"""What discriminators see instead of images: differentiable changes, the same for real and generated.

Zhao, Liu, Lin, Zhu, Han 2020 (DiffAugment), https://arxiv.org/abs/2006.10738: generators are taught
through them, so that what discriminators learn by heart is not the few images that there are.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

DRAWS = 4  # numbers an image and policy: whether it is applied, and up to three of how


def augmented(images, policies: Sequence[str], draws, probability) -> tf.Tensor:
    """Apply policies one after the other, each to an image of its own accord.

    Args:
        images: `[N, H, W, C]` in [-1, 1]; C is a multiple of 3, the images of a pair are changed alike.
        policies: Some of `POLICIES`.
        draws: `[policies, DRAWS, N]` in [0, 1), what is random about it.
        probability: That a policy is applied to an image.
    """
    for policy, numbers in zip(policies, tf.unstack(draws), strict=True):
        whether, *how = tf.unstack(numbers)
        changed = POLICIES[policy](images, *how)
        images = tf.where(_each(whether < probability, images), changed, images)
    return images


def color(images, brightness, saturation, contrast) -> tf.Tensor:
    """Brightness by up to 0.5 either way, saturation times 0 to 2, contrast times 0.5 to 1.5."""
    *outer, channels = images.shape
    rgb = tf.reshape(images, [*outer, channels // 3, 3])
    rgb += _each(brightness, rgb) - 0.5
    grey = tf.reduce_mean(rgb, -1, keepdims=True)
    rgb = (rgb - grey) * (2.0 * _each(saturation, rgb)) + grey
    mean = tf.reduce_mean(rgb, [1, 2, 4], keepdims=True)
    rgb = (rgb - mean) * (_each(contrast, rgb) + 0.5) + mean
    return tf.reshape(rgb, images.shape)


def translation(images, down, right, _) -> tf.Tensor:
    """Move by whole pixels, up to an eighth of the side either way; 0 comes in at the edges."""

    def moves(side, draw):
        most = int(side / 8 + 0.5)
        by = tf.floor(draw * (2 * most + 1)) - most
        places = tf.range(side, dtype=images.dtype)
        return tf.cast(places == places[:, None] + by[:, None, None], images.dtype)

    _, height, width, _ = images.shape
    images = tf.einsum("nij,njwc->niwc", moves(height, down), images)
    return tf.einsum("nij,nhjc->nhic", moves(width, right), images)


def cutout(images, row, column, _) -> tf.Tensor:
    """Make a rectangle of half the height and width, which may reach over the edges, 0."""

    def covered(side, draw):
        size = int(side / 2 + 0.5)
        first = tf.floor(draw * (side + 1 - size % 2)) - size // 2
        places = tf.range(side, dtype=images.dtype)
        return (places >= first[:, None]) & (places < first[:, None] + size)

    _, height, width, _ = images.shape
    hole = covered(height, row)[:, :, None] & covered(width, column)[:, None, :]
    return tf.where(hole[..., None], tf.zeros([], images.dtype), images)


# By DiffAugment's own names.
POLICIES: dict[str, Callable] = {"color": color, "translation": translation, "cutout": cutout}


def _each(values, images):
    """Give `[N]` the dimensions of images."""
    return tf.reshape(values, [-1] + [1] * (len(images.shape) - 1))
