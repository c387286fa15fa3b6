"""A trained network that says what is in an image: VGG-16, or any of Keras."""

import hashlib
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from ...errors import UserError
from ...models.keras_file import read_network
from ...torch_weights.pickle import CheckpointError
from ...torch_weights.pretrained import fetch_file

MEAN_BGR = (103.939, 116.779, 123.68)  # of the images that VGG was trained on
VGG16_WEIGHTS = (
    "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
    "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
)
VGG16_MD5 = "6d6bbae143d832006294945121d1f1fc"  # the sum that keras.applications has for it


class Features:
    """What a layer of a network sees in images that are prepared as those of VGG.

    Args:
        network: From BGR images `[N, size, size, 3]`, in [0, 255] minus `MEAN_BGR`, to features.
        size: Pixels a side that images are scaled to.
    """

    def __init__(self, network: keras.Model, size: int):
        network.trainable = False
        self.network, self.size = network, size

    def __call__(self, images) -> tf.Tensor:
        """The features `[N, h, w, C]` of RGB images `[N, H, W, 3]` in [-1, 1]."""
        images = scaled(images, self.size)[..., ::-1]
        mean = tf.constant(MEAN_BGR, images.dtype)
        return self.network((images + 1.0) * 127.5 - mean, training=False)


def scaled(images, size: int) -> tf.Tensor:
    """Scale images `[N, H, W, C]` to `size` pixels a side, as the authors' Torch did.

    Bilinear, the corner pixels on the corner pixels. A product with a matrix for each axis:
    TensorFlow's own resize returns float32, whatever it is given.
    """
    height, width = images.shape[1:3]
    rows, columns = (
        tf.constant(_interpolation(side, size), images.dtype) for side in (height, width)
    )
    return tf.einsum("ih,nhwc,jw->nijc", rows, images, columns)


def _interpolation(side: int, size: int) -> np.ndarray:
    """The weights `[size, side]` of `side` pixels in each of `size` that lie evenly between them."""
    places = np.linspace(0, side - 1, size)
    return np.maximum(0.0, 1.0 - np.abs(places[:, None] - np.arange(side)))


def load_features(source: str, layer: str, size: int) -> Features:
    """Load the network that features come from.

    Args:
        source: "vgg16", fetched once, or the path of a .keras file.
        layer: Name of the layer whose output they are.
        size: Pixels a side that images are scaled to.

    Raises:
        UserError: There is no such network or layer, it takes other images, or fetching failed.
    """
    network = fetch_vgg16() if source == "vgg16" else read_network(Path(source))
    names = [each.name for each in network.layers]
    if layer not in names:
        raise UserError(
            f"--feature-layer is {layer}, which {source} has not; it has {', '.join(names)}"
        )
    takes = [tuple(each.shape[1:]) for each in network.inputs]
    wanted = (size, size, 3)
    if len(takes) != 1 or any(
        len(takes[0]) != 3 or side not in (None, other)
        for side, other in zip(takes[0], wanted, strict=False)
    ):
        raise UserError(
            f"the network {source} takes {takes}, not images of {size}x{size} pixels and 3 channels; "
            "choose another --feature-size or other --features"
        )
    output = network.get_layer(layer).output
    if len(output.shape) != 4:
        raise UserError(
            f"--feature-layer {layer} of {source} gives {output.shape}, not features of places in an "
            "image; choose a convolution"
        )
    return Features(keras.Model(network.inputs[0], output), size)


def fetch_vgg16() -> keras.Model:
    """VGG-16 as it was trained on ImageNet, without its last, dense layers.

    Raises:
        UserError: Its weights are not in the cache and cannot be fetched.
    """
    path = fetch_file(
        "VGG-16",
        [VGG16_WEIGHTS],
        _check_vgg16,
        "put it where the other weights are, ~/.cache/tf_cyclegan, or pass a network that you have: "
        "--features FILE.keras",
    )
    return keras.applications.VGG16(include_top=False, weights=str(path))


def _check_vgg16(content: bytes) -> None:
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != VGG16_MD5:
        raise CheckpointError(f"has an MD5 of {found}, not {VGG16_MD5}")
