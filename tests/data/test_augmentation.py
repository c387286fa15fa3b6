"""Training images turned, magnified and recoloured, against pixels computed by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tf_cyclegan.data.augmentation import recoloured, turned_and_magnified
from tf_cyclegan.settings import RunSettings


def settings(**values):
    return RunSettings(image_size=16, load_size=16, **values)


def picture():
    return np.random.default_rng(0).integers(0, 256, [15, 17, 3], np.uint8)


def test_without_them_an_image_stays_as_it_is():
    image = picture()
    assert turned_and_magnified(image, settings(), [0, 1]) is image
    assert recoloured(image, settings(), [0, 1]) is image


@pytest.mark.parametrize(("rotate", "zoom"), [(90.0, 0.0), (0.0, 1.0), (20.0, 0.5)])
def test_each_pixel_comes_from_where_it_was(rotate, zoom):
    image, seed = picture(), [3, 4]
    angle, size = tf.random.stateless_uniform([2], seed, [-1.0, 0.0], 1.0).numpy()
    angle, scale = math.radians(angle * rotate), 1 / (1 + zoom * size)
    found = turned_and_magnified(image, settings(rotate=rotate, zoom=zoom), seed)
    inside = 0
    for row in range(15):
        for column in range(17):
            down, right = row - 7, column - 8
            x = 8 + scale * (math.cos(angle) * right - math.sin(angle) * down)
            y = 7 + scale * (math.sin(angle) * right + math.cos(angle) * down)
            if 0 <= x < 16 and 0 <= y < 14:
                inside += 1
                i, j = int(y), int(x)
                a, b = y - i, x - j
                corners = image[i : i + 2, j : j + 2].astype(float)
                weights = np.array([[(1 - a) * (1 - b), (1 - a) * b], [a * (1 - b), a * b]])
                expected = (weights[..., None] * corners).sum((0, 1))
                np.testing.assert_allclose(found[row, column], expected, atol=0.6)
    assert inside > 100


def test_colours_are_brightness_contrast_and_saturation():
    image, seed = picture(), [5, 6]
    b, c, s = tf.random.stateless_uniform([3], seed, 0.7, 1.3).numpy().astype(float)
    pixels = np.clip(image * b, 0, 255)
    mean = (pixels @ [0.2989, 0.587, 0.114]).mean()
    pixels = np.clip(mean + c * (pixels - mean), 0, 255)
    grey = (pixels @ [0.2989, 0.587, 0.114])[..., None]
    expected = np.clip(grey + s * (pixels - grey), 0, 255)
    found = recoloured(image, settings(color_jitter=0.3), seed)
    assert found.dtype == tf.uint8
    np.testing.assert_allclose(found, expected, atol=0.51)
