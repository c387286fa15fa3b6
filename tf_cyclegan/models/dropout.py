"""Dropout that draws the same on several replicas as on one, and the same for every picture."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

_share = ContextVar("share", default=(0, 1, 0))
_translating: ContextVar = ContextVar("translating", default=(False, None))


@contextmanager
def share_of_batch(index, count: int, size: int) -> Iterator[None]:
    """Say that what is computed here is share `index` of `count`, of `size` images each."""
    before = _share.set((index, count, size))
    try:
        yield
    finally:
        _share.reset(before)


@dataclass(frozen=True)
class Part:
    """Where in a picture an image lies that is a part of it; all in pixels of the picture.

    Attributes:
        top, left: Of the part.
        height, width: Of the picture.
        rows: Of the part.
    """

    top: Any
    left: Any
    height: Any
    width: Any
    rows: int


@contextmanager
def dropout_of_translation(part: Part | None = None) -> Iterator[None]:
    """Say that what is computed here is a translation with dropout, as pix2pix's are.

    Every image gets the same mask, which follows from the seed of the layer and the size of the image
    alone: an image becomes the same by itself as within a batch, today as tomorrow. No random state is
    read or changed.

    Args:
        part: What is computed is a part of an image, and gets that part of its mask.
    """
    before = _translating.set((True, part))
    try:
        yield
    finally:
        _translating.reset(before)


def _mask_of_translation(inputs, part: Part | None, rate: float, seed: int):
    """The mask `[1, H, W, C]` of images, or of the part of an image that they are."""
    _, rows, columns, channels = ops.shape(inputs)
    if part is None:
        return keras.random.dropout(
            ops.ones((1, rows, columns, channels), inputs.dtype), rate, seed=seed
        )
    step = part.rows // rows  # pixels of the picture to one of the layer
    whole = ops.ones((1, part.height // step, part.width // step, channels), inputs.dtype)
    whole = keras.random.dropout(whole, rate, seed=seed)
    start = (0, part.top // step, part.left // step, 0)
    return ops.slice(whole, start, (1, rows, columns, channels))


@keras.saving.register_keras_serializable("tf_cyclegan")
class BatchDropout(keras.layers.Dropout):
    """Keras's dropout, but an image's mask follows from its place in the whole batch.

    Every replica holds the same random state, so each draws the masks of all images and uses those
    of its own. Within `share_of_batch` the input is a share of the batch, or several one after the
    other (of real_x and of real_y, say); else it is all of it.

    Input shape: `[N, ...]`. Output shape: the same.
    """

    def call(self, inputs, training=False):
        is_translation, part = _translating.get()
        if is_translation:
            return inputs * _mask_of_translation(inputs, part, self.rate, self.seed)
        index, count, size = _share.get()
        if count == 1 or not training or not self.rate:
            return super().call(inputs, training=training)
        batch, *shape = ops.shape(inputs)
        ones = ops.ones((batch * count, *shape), inputs.dtype)
        masks = keras.random.dropout(ones, self.rate, seed=self.seed_generator)
        masks = ops.reshape(masks, (batch // size, count, size, *shape))
        return inputs * ops.reshape(ops.take(masks, index, axis=1), (batch, *shape))
