"""Networks that compute in half precision and keep their weights in single."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import keras


@contextmanager
def computing_in(precision: str) -> Iterator[Callable]:
    """Build networks that compute in `precision`, and give what is to be called on each of them.

    Args:
        precision: "float32" for whatever Keras's own policy is, or the name of another policy.

    Yields:
        A function that completes a network: its last layer computes in float32 (in float16 an image
        in [-1, 1] has steps of 1/2048, a sum of many logits can overflow). It returns the network.
    """
    if precision == "float32":
        yield lambda network: network
        return
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield _with_float32_output
    finally:
        keras.config.set_dtype_policy(before)


def _with_float32_output(network: keras.Model) -> keras.Model:
    network.layers[-1].dtype_policy = "float32"
    return network
