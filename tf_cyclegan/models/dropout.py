"""Dropout that draws the same on several replicas as on one."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import keras
from keras import ops

_share = ContextVar("share", default=(0, 1, 0))


@contextmanager
def share_of_batch(index, count: int, size: int) -> Iterator[None]:
    """Say that what is computed here is share `index` of `count`, of `size` images each."""
    before = _share.set((index, count, size))
    try:
        yield
    finally:
        _share.reset(before)


@keras.saving.register_keras_serializable("tf_cyclegan")
class BatchDropout(keras.layers.Dropout):
    """Keras's dropout, but an image's mask follows from its place in the whole batch.

    Every replica holds the same random state, so each draws the masks of all images and uses those
    of its own. Within `share_of_batch` the input is a share of the batch, or several one after the
    other (of real_x and of real_y, say); else it is all of it.

    Input shape: `[N, ...]`. Output shape: the same.
    """

    def call(self, inputs, training=False):
        index, count, size = _share.get()
        if count == 1 or not training or not self.rate:
            return super().call(inputs, training=training)
        batch, *shape = ops.shape(inputs)
        ones = ops.ones((batch * count, *shape), inputs.dtype)
        masks = keras.random.dropout(ones, self.rate, seed=self.seed_generator)
        masks = ops.reshape(masks, (batch // size, count, size, *shape))
        return inputs * ops.reshape(ops.take(masks, index, axis=1), (batch, *shape))
