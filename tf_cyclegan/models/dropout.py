"""Dropout that draws the same on several replicas as on one, and the same for every picture."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import keras
from keras import ops

_share = ContextVar("share", default=(0, 1, 0))
_translating = ContextVar("translating", default=False)


@contextmanager
def share_of_batch(index, count: int, size: int) -> Iterator[None]:
    """Say that what is computed here is share `index` of `count`, of `size` images each."""
    before = _share.set((index, count, size))
    try:
        yield
    finally:
        _share.reset(before)


@contextmanager
def dropout_of_translation() -> Iterator[None]:
    """Say that what is computed here is a translation with dropout, as pix2pix's are.

    Every image gets the same mask, which follows from the seed of the layer alone: an image becomes
    the same by itself as within a batch, today as tomorrow. No random state is read or changed.
    """
    before = _translating.set(True)
    try:
        yield
    finally:
        _translating.reset(before)


@keras.saving.register_keras_serializable("tf_cyclegan")
class BatchDropout(keras.layers.Dropout):
    """Keras's dropout, but an image's mask follows from its place in the whole batch.

    Every replica holds the same random state, so each draws the masks of all images and uses those
    of its own. Within `share_of_batch` the input is a share of the batch, or several one after the
    other (of real_x and of real_y, say); else it is all of it.

    Input shape: `[N, ...]`. Output shape: the same.
    """

    def call(self, inputs, training=False):
        if _translating.get():
            ones = ops.ones((1, *ops.shape(inputs)[1:]), inputs.dtype)
            return inputs * keras.random.dropout(ones, self.rate, seed=self.seed)
        index, count, size = _share.get()
        if count == 1 or not training or not self.rate:
            return super().call(inputs, training=training)
        batch, *shape = ops.shape(inputs)
        ones = ops.ones((batch * count, *shape), inputs.dtype)
        masks = keras.random.dropout(ones, self.rate, seed=self.seed_generator)
        masks = ops.reshape(masks, (batch // size, count, size, *shape))
        return inputs * ops.reshape(ops.take(masks, index, axis=1), (batch, *shape))
