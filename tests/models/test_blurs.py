"""The anti-aliasing of CUT's networks."""

import numpy as np
import pytest
import tensorflow as tf

from tf_cyclegan.models import BlurDoubling2D, BlurHalving2D


@pytest.mark.parametrize("height", [4, 7])
def test_blurs_are_the_filters_they_are_named_after(height):
    """By sums over every pixel's neighbours, in the type of trainings and in double."""
    image = np.random.default_rng(0).normal(size=[height, 6])
    halved, doubled = np.zeros([-(-height // 2), 3]), np.zeros([2 * height, 12])
    mirrored, continued = (np.pad(image, 1, mode=mode) for mode in ("reflect", "edge"))
    for y, x in np.ndindex(halved.shape):
        for i, j in np.ndindex(3, 3):
            halved[y, x] += (1, 2, 1)[i] * (1, 2, 1)[j] / 16 * mirrored[2 * y + i, 2 * x + j]
    for y, x in np.ndindex(doubled.shape):
        for i, j in np.ndindex(2, 2):  # the nearest pixel, and the next on the side of this half
            rows, columns = y // 2 + (2 * (y % 2) - 1) * i, x // 2 + (2 * (x % 2) - 1) * j
            share = (3, 1)[i] * (3, 1)[j] / 16
            doubled[y, x] += share * continued[1 + rows, 1 + columns]
    for dtype, bound in (("float32", 1e-6), ("float64", 1e-14)):
        given = tf.constant(image[None, :, :, None], dtype)
        for layer, expected in ((BlurHalving2D, halved), (BlurDoubling2D, doubled)):
            weights = np.random.default_rng(1).normal(size=[*expected.shape, 1]).astype(dtype)
            output = layer(dtype=dtype)(given)
            assert output.dtype == dtype
            np.testing.assert_allclose(output[0, :, :, 0], expected, atol=bound)
            with tf.GradientTape() as tape:
                tape.watch(given)
                total = tf.reduce_sum(layer(dtype=dtype)(given) * weights)
            # The gradient is the transpose of a linear map: <A x, w> is <x, A' w>.
            inner = tf.reduce_sum(tape.gradient(total, given) * given)
            expected = (expected * weights[:, :, 0]).sum()
            np.testing.assert_allclose(inner, expected, rtol=100 * bound)
