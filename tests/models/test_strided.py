import keras
import numpy as np
import pytest
import tensorflow as tf
from gradients import with_gradients

from tf_cyclegan.models.convolutions import DoublingConv2D, HalvingConv2D
from tf_cyclegan.models.cpu import strided


@pytest.fixture(autouse=True)
def without_gpu(monkeypatch):
    monkeypatch.setattr(keras.distribution, "list_devices", lambda kind: [])


def arrays(*shapes):
    random = np.random.default_rng(0)
    return [tf.constant(random.normal(size=shape)) for shape in shapes]


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (2, 2), (3, 4), (8, 8)])
@pytest.mark.parametrize("batch", [1, 2])
def test_both_are_tensorflows_convolutions(size, batch):
    height, width = size
    large, small = (batch, 2 * height, 2 * width, 3), (batch, height, width, 5)
    images, kernel, halved = arrays(large, (4, 4, 3, 5), small)
    for ours, tensorflows, arguments in (
        (strided.halve, lambda x, k: tf.nn.conv2d(x, k, 2, "SAME"), (images, kernel)),
        (
            strided.double,
            lambda x, k: tf.nn.conv2d_transpose(x, k, large, 2, "SAME"),
            (halved, kernel),
        ),
    ):
        for a, b in zip(
            with_gradients(ours, *arguments), with_gradients(tensorflows, *arguments), strict=True
        ):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


PLAIN = {"kernel_size": 4, "strides": 2, "padding": "same"}


@pytest.mark.parametrize(
    ("layer", "plain", "operation", "shape"),
    [
        (HalvingConv2D, keras.layers.Conv2D, "Conv2D", (2, 4, 8, 3)),
        (DoublingConv2D, keras.layers.Conv2DTranspose, "Conv2DBackpropInput", (2, 2, 2, 3)),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_layers_do_what_kerass_do(layer, plain, operation, shape, known):
    """Sizes that are not known, as in exported networks, leave the plain operation."""
    kwargs = {"activation": "tanh", "bias_initializer": "normal"}
    layer, plain = layer(5, **kwargs), plain(5, **PLAIN, **kwargs)
    plain.build(shape)
    layer.build(shape)
    layer.set_weights(plain.get_weights())
    signature = tf.TensorSpec(shape if known else [None, None, None, 3])
    function = tf.function(layer.call, input_signature=[signature])
    graph = function.get_concrete_function().graph.as_graph_def()
    nodes = [graph.node, *(function.node_def for function in graph.library.function)]
    assert (operation in {node.op for each in nodes for node in each}) != known
    images = tf.random.stateless_normal(shape, [1, 2])
    np.testing.assert_allclose(function(images), plain(images), rtol=0, atol=1e-6)


def test_large_images_and_batches_are_left_to_keras():
    with tf.Graph().as_default():
        assert strided.doubling_pays((16, 8, 8, 3), "float32")
        assert strided.halving_pays((16, 16, 16, 3), "float32")
        for shape in ((17, 8, 8, 3), (1, 16, 8, 3)):
            assert not strided.doubling_pays(shape, "float32")
        for shape in ((17, 16, 16, 3), (1, 32, 16, 3)):
            assert not strided.halving_pays(shape, "float32")


def test_an_empty_batch_stays_empty():
    kernel = tf.zeros([4, 4, 3, 5])
    assert strided.halve(tf.zeros([0, 4, 4, 3]), kernel).shape == (0, 2, 2, 5)
    assert strided.double(tf.zeros([0, 2, 2, 5]), kernel).shape == (0, 4, 4, 3)


def test_odd_sizes_are_left_to_keras():
    """There "same" pads two pixels on one side and one on the other."""
    layer, plain = HalvingConv2D(2), keras.layers.Conv2D(2, **PLAIN)
    images = tf.random.stateless_normal([1, 5, 7, 3], [1, 2])
    layer.build(images.shape)
    plain.build(images.shape)
    plain.set_weights(layer.get_weights())
    np.testing.assert_allclose(tf.function(layer)(images), plain(images), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", [HalvingConv2D, DoublingConv2D])
def test_layers_are_saved(tmp_path, kind):
    model = keras.Sequential([keras.Input([None, None, 3]), kind(4, use_bias=False)])
    model.save(tmp_path / "model.keras")
    images = tf.random.stateless_normal([1, 2, 2, 3], [1, 2])
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(images), model(images))
