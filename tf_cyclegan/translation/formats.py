"""One generator as one file: .keras, ONNX, LiteRT.

Each holds the bare network, from float32 `[N, H, W, C]` in [-1, 1] to the same. Who calls it turns
bytes into that range and takes sizes that fit; a SavedModel does both by itself.
"""

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf

from ..errors import UserError
from ..extras import how_to_install
from ..models.convolutions import plain_convolutions
from ..models.standard import with_standard_layers

SMALLEST_SIDE = 8  # what the reflection paddings of the residual generator need
Size = tuple[int, int]


def keras_bytes(generator: keras.Model) -> bytes:
    """The model as a .keras file of Keras's own layers, which loads without this package."""
    _check_network(generator)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "generator.keras"  # Keras takes no other suffix
        with_standard_layers(generator).save(path)
        return path.read_bytes()


def onnx_bytes(generator: keras.Model, size_multiple: int, image_size: Size | None = None) -> bytes:
    """The model in the Open Neural Network Exchange format, from `images` to `translated`, both NHWC.

    Its metadata say what no shape says: `range`, what black and white are; `size_multiple`, which
    heights and widths it takes; `smallest_side`.

    Args:
        generator: Keras model.
        size_multiple: Heights and widths that it takes are multiples of this.
        image_size: Height and width, for one image at a time; without them all sizes stay open.

    Raises:
        UserError: tf2onnx is not installed, or the size does not fit.
    """
    network = _traced(generator, size_multiple, image_size)
    try:
        import onnx
        import tf2onnx
    except ImportError as error:
        raise UserError(
            f"--format onnx needs a package that is not there ({error.name}): "
            f"{how_to_install('onnx')}"
        ) from error
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    model, _ = tf2onnx.convert.from_function(network, input_signature=network.input_signature)
    facts = {"range": "-1 1", "size_multiple": size_multiple, "smallest_side": SMALLEST_SIDE}
    onnx.helper.set_model_props(model, {name: str(fact) for name, fact in facts.items()})
    return model.SerializeToString()


def litert_bytes(
    generator: keras.Model,
    size_multiple: int,
    image_size: Size | None = None,
    float16: bool = False,
) -> bytes:
    """The model as a LiteRT (TensorFlow Lite) flatbuffer of built-in operations alone.

    Its signature takes `images` and returns `translated`.

    Args:
        generator: Keras model.
        size_multiple: Heights and widths that it takes are multiples of this.
        image_size: Height and width, for one image at a time; without them all sizes stay open,
            which LiteRT.js, in browsers, does not take.
        float16: Keep the weights in half precision, at half the size; it still computes in float32.

    Raises:
        UserError: The size does not fit.
    """
    network = _traced(generator, size_multiple, image_size)
    module = tf.Module()
    module.weights = [weight.value for weight in generator.weights]
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=network)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if float16:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        return converter.convert()


def _traced(generator: keras.Model, size_multiple: int, image_size: Size | None) -> tf.function:
    """The network as a function of plain operations, from `images` to {"translated": ...}."""
    _check_network(generator)
    if image_size and any(side % size_multiple or side < SMALLEST_SIDE for side in image_size):
        raise UserError(
            f"--image-size {'x'.join(map(str, image_size))} does not fit this translator, which takes "
            f"multiples of {size_multiple} from {SMALLEST_SIDE} on"
        )
    batch, height, width = (1, *image_size) if image_size else (None, None, None)
    shape = [batch, height, width, generator.input_shape[-1]]

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="images")])
    def network(images):
        with plain_convolutions():
            return {"translated": generator(images, training=False)}

    return network


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
FILE_FORMATS: dict[str, tuple[str, Callable[..., bytes]]] = {
    "keras": (".keras", lambda generator, size_multiple: keras_bytes(generator)),
    "onnx": (".onnx", onnx_bytes),
    "litert": (".tflite", litert_bytes),
}
