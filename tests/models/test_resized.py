"""Doubling by repeated pixels and a 3x3 convolution, in one, against both one after the other."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from gradients import with_gradients

from tf_cyclegan.models.convolutions import ResizingConv2D, plain_convolutions
from tf_cyclegan.models.cpu import resized


def by_hand(images, kernel):
    """Repeat every pixel, put zeros around, add up nine products: in NumPy, in float64."""
    repeated = images.repeat(2, axis=1).repeat(2, axis=2)
    padded = np.pad(repeated, [(0, 0), (1, 1), (1, 1), (0, 0)])
    height, width = repeated.shape[1:3]
    return sum(
        padded[:, row : row + height, column : column + width] @ kernel[row, column]
        for row in range(3)
        for column in range(3)
    )


def drawn(*shapes):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in shapes]


def test_it_is_repeating_and_convolving():
    images, kernel = drawn((2, 3, 5, 4), (3, 3, 4, 6))
    ours = resized.convolve_repeated(tf.constant(images), tf.constant(kernel))
    np.testing.assert_allclose(ours, by_hand(images, kernel), rtol=0, atol=1e-12)


def test_gradients_are_those_of_the_plain_way():
    images, kernel = map(tf.constant, drawn((2, 3, 5, 4), (3, 3, 4, 6)))

    def plain(images, kernel):
        repeated = tf.repeat(tf.repeat(images, 2, 1), 2, 2)
        return tf.nn.conv2d(repeated, kernel, 1, "SAME")

    ways = resized.convolve_repeated, plain
    for ours, theirs in zip(*(with_gradients(way, images, kernel) for way in ways), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("exported", [False, True])
@pytest.mark.parametrize("shape", [(2, 8, 8, 3), (2, 4, 8, 3), (None, None, None, 3)])
def test_the_layer_chooses_and_makes_the_same(shape, exported):
    """Few pixels, open sizes and what is exported keep the plain convolution."""
    kwargs = {"activation": "tanh", "bias_initializer": "normal"}
    layer, plain = ResizingConv2D(5, **kwargs), keras.layers.Conv2D(5, 3, padding="same", **kwargs)
    layer.build((None, None, None, 3))
    plain.build((None, None, None, 3))
    plain.set_weights(layer.get_weights())
    images = tf.random.stateless_normal([size or 8 for size in shape], [1, 2])
    function = tf.function(layer.call, input_signature=[tf.TensorSpec(shape)], autograph=False)
    if exported:
        with plain_convolutions():
            graph = function.get_concrete_function().graph
    else:
        graph = function.get_concrete_function().graph
    is_fast = "Conv2DBackpropInput" in {op.type for op in graph.get_operations()}
    assert is_fast == (shape == (2, 8, 8, 3) and not exported)
    doubled = tf.repeat(tf.repeat(images, 2, 1), 2, 2)
    np.testing.assert_allclose(function(images), plain(doubled), rtol=0, atol=1e-6)


def test_the_layer_is_saved_and_knows_its_shape(tmp_path):
    model = keras.Sequential([keras.Input([None, None, 3]), ResizingConv2D(4, use_bias=False)])
    assert model.output_shape == (None, None, None, 4)
    model.save(tmp_path / "model.keras")
    images = tf.random.stateless_normal([1, 2, 2, 3], [1, 2])
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(images), model(images))
    with pytest.raises(TypeError, match="padding"):
        ResizingConv2D(4, padding="valid")
