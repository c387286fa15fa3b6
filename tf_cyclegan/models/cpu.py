"""When to compute a layer by an algorithm that is faster on a CPU, and how to hold it together.

Only for TensorFlow's kernels: GPU libraries choose their algorithms by themselves, and what is exported
with sizes left open keeps the plain operations, which every runtime knows.
"""

from collections.abc import Callable

import keras


def computes(shape, dtype) -> bool:
    """Whether tensors of a dtype, and of a shape with None for what is unknown, live on a CPU."""
    return (
        None not in shape
        and keras.backend.standardize_dtype(dtype) in ("float32", "float64")
        and keras.backend.backend() == "tensorflow"
        and not keras.distribution.list_devices("gpu")
        and not keras.distribution.list_devices("tpu")
    )


def graph_function(function: Callable) -> Callable:
    """Trace a function of tensors once for all layers of one shape.

    It is not inlined where it is called. Else what a layer computes on its way forward and again on its
    way back would be found to be the same, computed once and kept in between, several times as large as
    what it is made from.
    """
    import tensorflow as tf

    return tf.function(function, autograph=False, experimental_attributes={"_noinline": True})
