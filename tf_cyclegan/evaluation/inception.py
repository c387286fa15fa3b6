"""The 2015-12-05 Inception v3 of TensorFlow, on whose features FID and KID are defined.

Szegedy et al. 2015, https://arxiv.org/abs/1512.00567, as the graph that Google published on that day
has it. It differs from other Inception v3 in its weights and in three details that change every
published number: average pooling does not count the padding, the last block pools the maximum, and
images are scaled as (x - 128) / 128, which pytorch-fid does as x / 127.5 - 1. That and torch-fidelity
publish the same file of its weights in PyTorch's format; layers are named here as there.
"""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from PIL import Image

from ..errors import UserError
from ..torch_weights.checkpoint import parse_checkpoint, read_checkpoint
from ..torch_weights.pickle import CheckpointError
from ..torch_weights.pretrained import fetch_file

SIZE = 299  # pixels a side
FEATURES = 2048
CLASSES = 1008

# One file of 95,628,359 bytes with two names; both end with the start of its SHA-256.
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
SOURCES = (
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
    "pt_inception-2015-12-05-6726825d.pth",
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth",
)

EPSILON = 1e-3  # of all batch norms


def inception_extractor(
    path: str | Path | None = None, resize: str = "legacy"
) -> Callable[[np.ndarray], np.ndarray]:
    """The standard features of FID, KID, precision and recall.

    Args:
        path: The file of weights; None fetches it once into the cache.
        resize: One of `RESIZES`. Numbers of different resizes are not comparable.

    Returns:
        A function from uint8 images `[N, H, W, 3]` to float32 features `[N, 2048]`.

    Raises:
        UserError: There is no such resize, no such file, or it holds another network.
    """
    scale_to = choose_resize(resize)
    network = load_inception(fetch_inception() if path is None else path)
    middle = 127.5 if resize == "pytorch" else 128.0

    @tf.function(input_signature=[tf.TensorSpec([None, SIZE, SIZE, 3], tf.float32)])
    def features(images):
        return network((images - middle) / middle, training=False)

    return lambda images: features(scale_to(images, (SIZE, SIZE))).numpy()


def fetch_inception() -> Path:
    """Fetch the file of weights, or find it in the cache (see `fetch_file`)."""
    return fetch_file(
        "the Inception network",
        list(SOURCES),
        parse_checkpoint,
        "pass the file by its path",
        SHA256,
    )


def load_inception(path: str | Path) -> keras.Model:
    """Build `inception_v3` with the weights of a file.

    Args:
        path: As pytorch-fid and torch-fidelity publish it, or its tensors in a .safetensors file.

    Raises:
        UserError: A tensor is missing, surplus, of another shape, or not finite.
    """
    tensors = read_checkpoint(path)
    network = inception_v3()
    try:
        fill(network, tensors)
    except CheckpointError as error:
        raise CheckpointError(f"{path} {error}") from error
    return network


def inception_v3() -> keras.Model:
    """The graph up to the features, with weights of no meaning.

    Returns:
        A model from `[N, 299, 299, 3]` in [-1, 1] to `[N, 2048]`.
    """
    images = x = keras.Input([SIZE, SIZE, 3])
    x = _conv(x, "Conv2d_1a_3x3", 32, 3, strides=2)
    x = _conv(x, "Conv2d_2a_3x3", 32, 3, padding="valid")
    x = _conv(x, "Conv2d_2b_3x3", 64, 3)
    x = layers.MaxPooling2D(3, 2)(x)
    x = _conv(x, "Conv2d_3b_1x1", 80, 1)
    x = _conv(x, "Conv2d_4a_3x3", 192, 3, padding="valid")
    x = layers.MaxPooling2D(3, 2)(x)  # 35x35x192
    x = _block_35(x, "Mixed_5b", 32)
    x = _block_35(x, "Mixed_5c", 64)
    x = _block_35(x, "Mixed_5d", 64)
    x = _to_17(x, "Mixed_6a")  # 17x17x768
    x = _block_17(x, "Mixed_6b", 128)
    x = _block_17(x, "Mixed_6c", 160)
    x = _block_17(x, "Mixed_6d", 160)
    x = _block_17(x, "Mixed_6e", 192)
    x = _to_8(x, "Mixed_7a")  # 8x8x1280
    x = _block_8(x, "Mixed_7b", layers.AveragePooling2D)
    x = _block_8(x, "Mixed_7c", layers.MaxPooling2D)
    return keras.Model(images, layers.GlobalAveragePooling2D()(x), name="inception_2015_12_05")


def _conv(x, name, filters, kernel, strides=1, padding=None):
    """Convolution, batch norm, ReLU; what halves the resolution does not pad."""
    padding = padding or ("same" if strides == 1 else "valid")
    conv = layers.Conv2D(
        *(filters, kernel, strides, padding),
        use_bias=False,
        kernel_initializer="zeros",
        name=f"{name}.conv",
    )
    norm = layers.BatchNormalization(epsilon=EPSILON, name=f"{name}.bn")
    return layers.ReLU()(norm(conv(x)))


def _branch(x, name, *convs):
    """Convolutions one after another; each is its place in the name, its filters and kernel."""
    for place, filters, kernel, *strides in convs:
        x = _conv(x, f"{name}_{place}", filters, kernel, *strides)
    return x


def _pooled(x, name, filters, pooling=layers.AveragePooling2D):
    # TensorFlow's average over a border counts the pixels that are there, not the padding.
    return _conv(pooling(3, 1, "same")(x), f"{name}.branch_pool", filters, 1)


def _block_35(x, name, pool_filters):
    return layers.Concatenate()(
        [
            _conv(x, f"{name}.branch1x1", 64, 1),
            _branch(x, f"{name}.branch5x5", (1, 48, 1), (2, 64, 5)),
            _branch(x, f"{name}.branch3x3dbl", (1, 64, 1), (2, 96, 3), (3, 96, 3)),
            _pooled(x, name, pool_filters),
        ]
    )


def _to_17(x, name):
    return layers.Concatenate()(
        [
            _conv(x, f"{name}.branch3x3", 384, 3, 2),
            _branch(x, f"{name}.branch3x3dbl", (1, 64, 1), (2, 96, 3), (3, 96, 3, 2)),
            layers.MaxPooling2D(3, 2)(x),
        ]
    )


def _block_17(x, name, inner):
    row, column = (1, 7), (7, 1)
    once = ((1, inner, 1), (2, inner, row), (3, 192, column))
    twice = ((1, inner, 1), (2, inner, column), (3, inner, row), (4, inner, column), (5, 192, row))
    return layers.Concatenate()(
        [
            _conv(x, f"{name}.branch1x1", 192, 1),
            _branch(x, f"{name}.branch7x7", *once),
            _branch(x, f"{name}.branch7x7dbl", *twice),
            _pooled(x, name, 192),
        ]
    )


def _to_8(x, name):
    wide = ((1, 192, 1), (2, 192, (1, 7)), (3, 192, (7, 1)), (4, 192, 3, 2))
    return layers.Concatenate()(
        [
            _branch(x, f"{name}.branch3x3", (1, 192, 1), (2, 320, 3, 2)),
            _branch(x, f"{name}.branch7x7x3", *wide),
            layers.MaxPooling2D(3, 2)(x),
        ]
    )


def _block_8(x, name, pooling):
    once = _branch(x, f"{name}.branch3x3", (1, 384, 1))
    twice = _branch(x, f"{name}.branch3x3dbl", (1, 448, 1), (2, 384, 3))
    return layers.Concatenate()(
        [
            _conv(x, f"{name}.branch1x1", 320, 1),
            _branch(once, f"{name}.branch3x3", ("2a", 384, (1, 3))),
            _branch(once, f"{name}.branch3x3", ("2b", 384, (3, 1))),
            _branch(twice, f"{name}.branch3x3dbl", ("3a", 384, (1, 3))),
            _branch(twice, f"{name}.branch3x3dbl", ("3b", 384, (3, 1))),
            _pooled(x, name, 192, pooling),
        ]
    )


# The weights.

_NORM_PARTS = ("weight", "bias", "running_mean", "running_var")


def tensors_of(layer: keras.Layer) -> dict[str, tuple[int, ...]]:
    """The tensors of a layer in the order of its weights: PyTorch's names and shapes (OIHW)."""
    if isinstance(layer, layers.Conv2D):
        height, width, inputs, outputs = layer.kernel.shape
        return {f"{layer.name}.weight": (outputs, inputs, height, width)}
    if isinstance(layer, layers.BatchNormalization):
        return {f"{layer.name}.{part}": tuple(layer.gamma.shape) for part in _NORM_PARTS}
    return {}


def fill(network: keras.Model, tensors: dict[str, np.ndarray]) -> None:
    """Give `inception_v3` its weights; errors go on after the file's name."""
    # Torchvision's network has the same names and shapes, but for the classes and a second head.
    classifier = {"fc.weight": (CLASSES, FEATURES), "fc.bias": (CLASSES,)}
    unread = {name for name in tensors if name.endswith(".num_batches_tracked")}
    for name in classifier.keys() & tensors.keys():
        _check(tensors, name, classifier[name])
        unread.add(name)
    for layer in network.layers:
        values = []
        for name, shape in tensors_of(layer).items():
            _check(tensors, name, shape)
            unread.add(name)
            value = tensors[name].astype(np.float32)
            values.append(value.transpose(2, 3, 1, 0) if value.ndim == 4 else value)
        if values:
            layer.set_weights(values)
    for name in tensors.keys() - unread:
        raise CheckpointError(
            f"has the tensor {name[:200]!r}, which the Inception network of 2015-12-05 does not have"
        )


def _check(tensors: dict[str, np.ndarray], name: str, shape: tuple[int, ...]) -> None:
    if name not in tensors:
        raise CheckpointError(
            f"lacks the tensor {name} of shape {list(shape)}, which the Inception network of "
            "2015-12-05 has"
        )
    if tensors[name].shape != shape:
        raise CheckpointError(
            f"has the tensor {name} in the shape {list(tensors[name].shape)}; the Inception network "
            f"of 2015-12-05 has it in the shape {list(shape)}"
        )
    if not np.isfinite(tensors[name].astype(np.float32)).all():
        raise CheckpointError(f"has infinite or undefined numbers in the tensor {name}")


# Scaling images to the size of the network.


def _resize_legacy(images, shape):
    """TensorFlow 1's bilinear scaling: pixel i of n comes from i * size / n, nothing is averaged."""
    return tf.raw_ops.ResizeBilinear(
        images=images, size=shape, align_corners=False, half_pixel_centers=False
    )


def _resize_clean(images, shape):
    """Pillow's bicubic scaling, which averages when it makes smaller, cut to [0, 255], not rounded.

    Parmar, Zhang, Zhu 2022, https://arxiv.org/abs/2104.11222, section 3.
    """
    height, width = shape
    scaled = np.empty([len(images), height, width, 3], np.float32)
    for place in np.ndindex(len(images), 3):
        image, channel = place
        plane = Image.fromarray(images[image, :, :, channel].astype(np.float32))
        scaled[image, :, :, channel] = plane.resize((width, height), Image.Resampling.BICUBIC)
    return tf.constant(scaled.clip(0, 255))


def _resize_pytorch(images, shape):
    """PyTorch's bilinear scaling, from the middles of pixels, nothing averaged: pytorch-fid's."""
    return tf.image.resize(images, shape, "bilinear", antialias=False)


# uint8 `[N, H, W, 3]` and (height, width) to float32 in [0, 255].
RESIZES = {"legacy": _resize_legacy, "clean": _resize_clean, "pytorch": _resize_pytorch}


def choose_resize(name: str) -> Callable:
    """One of `RESIZES` by its name."""
    if name not in RESIZES:
        raise UserError(f"there is no resize {name!r}: choose one of {', '.join(RESIZES)}")
    return RESIZES[name]
