"""Instance norms by statistics of more than the image that they are given: of which it is a part.

The norms of one picture that is translated in tiles must agree, or each tile would get a contrast of
its own. So they are given the mean and variance of the whole picture, as thumbnail instance
normalisation (Chen et al. 2022, https://arxiv.org/abs/2103.11784) takes them from the picture scaled
down and kernelised instance normalisation (Ho et al. 2022, https://arxiv.org/abs/2208.10730) from the
neighbourhood.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from keras import ops

_current: ContextVar = ContextVar("statistics", default=None)


@contextmanager
def normalising_by(statistics) -> Iterator:
    """Let instance norms normalise by `Pooled` or `Given` statistics."""
    before = _current.set(statistics)
    try:
        yield statistics
    finally:
        _current.reset(before)


def current():
    """What norms are to normalise by; None: each image by its own statistics."""
    return _current.get()


class Pooled:
    """Statistics of all images of a batch together.

    Attributes:
        values: For each norm, in the order of their use, mean and mean square by channel: `[2, C]`.
    """

    def __init__(self):
        self.values: list = []

    def standardise(self, x, epsilon):
        """Give the channels of `[N, H, W, C]` mean 0 and variance 1 over all of it."""
        own = ops.stack([ops.mean(x, (0, 1, 2)), ops.mean(ops.square(x), (0, 1, 2))])
        self.values.append(own)
        return _standardised(x, own, epsilon)


class Given:
    """Statistics that are known, as `Pooled.values` has them."""

    def __init__(self, values: Sequence):
        self._rest = iter(values)

    def standardise(self, x, epsilon):
        """Subtract the mean from `[N, H, W, C]` and divide by the deviation."""
        return _standardised(x, next(self._rest), epsilon)


def _standardised(x, moments, epsilon):
    mean = moments[0]
    factor = ops.rsqrt(ops.maximum(moments[1] - ops.square(mean), 0) + epsilon)
    return x * factor - mean * factor
