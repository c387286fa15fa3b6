import keras
import numpy as np
import pytest
import tensorflow as tf
from gradients import with_gradients

from tf_cyclegan.models.convolutions import ReflectedConv2D
from tf_cyclegan.models.cpu import choice, winograd


@pytest.fixture(autouse=True)
def without_gpu(monkeypatch):
    monkeypatch.setattr(keras.distribution, "list_devices", lambda kind: [])


def operations(function, *arguments):
    """The kinds of operations of a TensorFlow function, those that it calls included."""
    graph = function.get_concrete_function(*arguments).graph.as_graph_def()
    nodes = [graph.node, *(function.node_def for function in graph.library.function)]
    return {node.op for each in nodes for node in each}


def convolve(images, kernel):
    """Add up what every pixel of the kernels gives; the mirror is NumPy's."""
    padded = np.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="reflect")
    _, height, width, _ = images.shape
    return sum(
        padded[:, i : i + height, j : j + width] @ kernel[i, j] for i in range(3) for j in range(3)
    )


def example(dtype, shape=(2, 8, 12, 5), filters=7):
    random = np.random.default_rng(0)
    images = random.normal(size=shape).astype(dtype)
    return images, random.normal(size=(3, 3, shape[-1], filters)).astype(dtype)


@pytest.mark.parametrize("shape", [(1, 4, 4, 1), (2, 8, 12, 5)])
def test_winograd_is_the_convolution(shape):
    images, kernel = example("float64", shape)
    result = winograd.convolve_reflected(tf.constant(images), tf.constant(kernel))
    np.testing.assert_allclose(result, convolve(images, kernel), rtol=0, atol=1e-12)


def test_gradients_are_the_transposed_convolution():
    images, kernel = (tf.constant(array) for array in example("float64"))

    def plain(images, kernel):
        padded = tf.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)], "REFLECT")
        return tf.nn.conv2d(padded, kernel, 1, "VALID")

    ways = winograd.convolve_reflected, plain
    for ours, tensorflows in zip(
        *(with_gradients(way, images, kernel) for way in ways), strict=True
    ):
        np.testing.assert_allclose(ours, tensorflows, rtol=0, atol=1e-11)


def test_the_points_round_less_than_the_usual_ones(monkeypatch):
    images, kernel = example("float32", (1, 32, 32, 64), 16)
    exact = convolve(images.astype("float64"), kernel.astype("float64"))

    def error(matrices):
        monkeypatch.setattr(winograd, "transforms", lambda: matrices)
        result = winograd._convolve(tf.constant(images), tf.constant(kernel))
        return np.abs(result - exact).max() / np.abs(exact).max()

    ours, usual = winograd.transforms(), winograd.transforms((0, 1, -1, 2, -2))
    assert error(ours) < 3e-6
    assert error(usual) > 3 * error(ours)


@pytest.mark.parametrize(
    ("shape", "signature", "dtype", "fast"),
    [
        ((1, 8, 12, 3), (1, 8, 12, 3), "float32", True),
        ((1, 8, 12, 3), (None, None, None, 3), "float32", False),  # as exported
        ((1, 8, 10, 3), (1, 8, 10, 3), "float32", False),
        ((1, 8, 12, 3), (1, 8, 12, 3), "bfloat16", False),
    ],
)
def test_the_layer_takes_it_where_it_can(shape, signature, dtype, fast):
    layer = ReflectedConv2D(4, dtype=dtype)
    images, _ = example("float32", shape)
    function = tf.function(layer, input_signature=[tf.TensorSpec(signature, dtype)])
    layer.build(signature)
    layer.bias.assign(np.arange(1, 5))
    assert ("Conv2D" in operations(function)) != fast
    expected = convolve(images, np.float32(layer.kernel)) + np.arange(1, 5)
    tolerance = 5e-2 if dtype == "bfloat16" else 1e-5
    np.testing.assert_allclose(
        tf.cast(function(tf.cast(images, dtype)), "float32"), expected, rtol=0, atol=tolerance
    )


def test_within_this_process_it_takes_any_size():
    layer = ReflectedConv2D(4)
    layer.build((None, None, None, 3))
    function = tf.function(layer, input_signature=[tf.TensorSpec([None, None, None, 3])])
    with choice.also_of_open_sizes():
        assert "Conv2D" not in operations(function)
    assert not choice.applies_to_open_sizes(3, "float32")
    for shape in ((2, 8, 12, 3), (1, 2, 7, 3), (1, 9, 6, 3), (0, 4, 4, 3)):
        images, _ = example("float32", shape)
        expected = convolve(images, np.float32(layer.kernel))
        np.testing.assert_allclose(function(images), expected, rtol=0, atol=1e-5)


def test_a_gpu_has_algorithms_of_its_own(monkeypatch):
    with tf.Graph().as_default():
        assert winograd.pays((1, 8, 8, 3), "float32")
        monkeypatch.setattr(keras.distribution, "list_devices", lambda kind: [f"{kind}:0"])
        assert not winograd.pays((1, 8, 8, 3), "float32")


def test_no_size_is_traced_for_one_use():
    assert not winograd.pays((1, 8, 8, 3), "float32")


def test_an_empty_batch_stays_empty():
    images, kernel = example("float32", (0, 8, 8, 3))
    results = winograd.convolve_reflected(tf.constant(images), tf.constant(kernel))
    assert results.shape == (0, 8, 8, 7)


@pytest.mark.parametrize("argument", ["groups", "dilation_rate", "strides"])
def test_what_the_class_decides_cannot_be_chosen(argument):
    with pytest.raises(TypeError, match=f"{argument} cannot be chosen"):
        ReflectedConv2D(4, **{argument: 2})


def test_what_is_transformed_is_not_kept():
    """A gradient that found the transformed tiles in the graph would use them, and so keep them."""
    images, kernel = (tf.constant(array) for array in example("float32"))

    @tf.function
    def gradient(images, kernel):
        return tf.gradients(winograd.convolve_reflected(images, kernel), [images, kernel])

    graph = gradient.get_concrete_function(images, kernel).graph.as_graph_def()
    assert not {"BatchMatMulV2", "MatMul"} & {node.op for node in graph.node}
    called = {node.attr["f"].func.name for node in graph.node if "Partitioned" in node.op}
    functions = [f for f in graph.library.function if f.signature.name in called]
    assert len(functions) == 2
    assert all(function.attr["_noinline"].b for function in functions)


def test_the_layer_is_saved(tmp_path):
    model = keras.Sequential([keras.Input([None, None, 3]), ReflectedConv2D(4, use_bias=False)])
    model.save(tmp_path / "model.keras")
    images, _ = example("float32", (1, 8, 8, 3))
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(images), model(images))
