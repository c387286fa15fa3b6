"""One generator as one file: .keras, ONNX, LiteRT.

Each holds the bare network, from float32 `[N, H, W, 3]` in [-1, 1] to the same, N, H and W open. Who
calls it turns bytes into that range and takes sizes that fit; a SavedModel does both by itself.
"""

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf

from ..errors import UserError
from ..extras import how_to_install

DOOR = tf.TensorSpec([None, None, None, 3], tf.float32, name="images")


def keras_bytes(generator: keras.Model) -> bytes:
    """The model as a .keras file, which loads where `tf_cyclegan.models` is imported."""
    _check_network(generator)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "generator.keras"  # Keras takes no other suffix
        generator.save(path)
        return path.read_bytes()


def onnx_bytes(generator: keras.Model) -> bytes:
    """The model in the Open Neural Network Exchange format, images NHWC as here.

    Raises:
        UserError: tf2onnx is not installed.
    """
    _check_network(generator)
    try:
        import tf2onnx
    except ImportError as error:
        raise UserError(
            f"--format onnx needs a package that is not there ({error.name}): "
            f"{how_to_install('onnx')}"
        ) from error
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)

    @tf.function(input_signature=[DOOR])
    def network(images):
        return generator(images, training=False)

    model, _ = tf2onnx.convert.from_function(network, input_signature=[DOOR])
    return model.SerializeToString()


def litert_bytes(generator: keras.Model, float16: bool = False) -> bytes:
    """The model as a LiteRT (TensorFlow Lite) flatbuffer of built-in operations alone.

    Args:
        generator: Keras model.
        float16: Keep the weights in half precision, at half the size; it still computes in float32.
    """
    _check_network(generator)
    with tempfile.TemporaryDirectory() as folder:
        generator.export(folder, format="tf_saved_model", input_signature=[DOOR], verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if float16:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        return converter.convert()


def _check_network(generator) -> None:
    """See that a translator is a network and nothing around it.

    Raises:
        UserError: It is not: it searches, or draws random numbers, as some methods' translators do.
    """
    if not isinstance(generator, keras.Model):
        raise UserError(
            "the translator of this method is more than a network, which --format saved_model alone "
            "can hold"
        )


# Name of the format: suffix of its files, what makes their content.
FILE_FORMATS: dict[str, tuple[str, Callable[[keras.Model], bytes]]] = {
    "keras": (".keras", keras_bytes),
    "onnx": (".onnx", onnx_bytes),
    "litert": (".tflite", litert_bytes),
}
