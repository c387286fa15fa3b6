"""When to compute a layer by an algorithm that is faster on a CPU, and how to hold it together.

Only in place of TensorFlow's kernels for CPUs: GPU libraries choose their algorithms by themselves, and
what is exported keeps the plain operations, whether its sizes are open or fixed.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import keras
from keras import ops

_for_export = ContextVar("for_export", default=False)
_sizes_may_be_open = ContextVar("sizes_may_be_open", default=False)


@contextmanager
def plain_operations() -> Iterator[None]:
    """Say that what is traced here leaves this machine: plain operations, which every runtime knows."""
    before = _for_export.set(True)
    try:
        yield
    finally:
        _for_export.reset(before)


def exporting() -> bool:
    """Whether what is computed here is within `plain_operations`."""
    return _for_export.get()


@contextmanager
def also_of_open_sizes() -> Iterator[None]:
    """Say that what is traced here stays in this process, so that it may be fast at any size."""
    before = _sizes_may_be_open.set(True)
    try:
        yield
    finally:
        _sizes_may_be_open.reset(before)


def applies_to_open_sizes(channels: int, dtype) -> bool:
    """`applies`, within `also_of_open_sizes`, where nothing but the number of channels is known."""
    return _sizes_may_be_open.get() and applies([channels], dtype)


def applies(shape, dtype) -> bool:
    """Whether to take such an algorithm for tensors of a dtype, and of a shape with None for unknown.

    Where TensorFlow sees no GPU and no TPU, in a graph, with all sizes known, in single or double
    precision. Not in eager mode, where every new size would be traced for one use, nor within
    `plain_operations`.
    """
    if (
        exporting()
        or None in shape
        or keras.backend.standardize_dtype(dtype) not in ("float32", "float64")
        or keras.backend.backend() != "tensorflow"
    ):
        return False

    import tensorflow as tf

    return not (
        tf.executing_eagerly()
        or keras.distribution.list_devices("gpu")
        or keras.distribution.list_devices("tpu")
    )


def differentiable(forward: Callable, gradients: Callable) -> Callable:
    """Join an algorithm of images and a kernel, and that of their gradients, to one function.

    Each is traced once for all layers of one shape, and not inlined where it is called. Else what a
    layer computes on its way forward and again on its way back would be found to be the same, computed
    once and kept in between, several times as large as what it is made from.

    Args:
        forward: Of images and kernel.
        gradients: Of images, kernel and the gradient of what `forward` made of them: those of both.
    """

    @functools.cache
    def graph_functions():
        import tensorflow as tf

        options = {"autograph": False, "experimental_attributes": {"_noinline": True}}
        return tf.function(forward, **options), tf.function(gradients, **options)

    @ops.custom_gradient
    def computed(images, kernel):
        forward, gradients = graph_functions()
        return forward(images, kernel), lambda upstream: gradients(images, kernel, upstream)

    return computed
