"""The sizes in docs/images/networks.svg are the networks' own."""

import keras
import numpy as np

from tf_cyclegan.models import patchgan_discriminator, resnet_generator, unet_generator
from tools import diagrams


def passed_on(network, kinds, side=256):
    """Heights and channels that layers of these kinds pass on, each of them once a run."""
    outputs = [layer.output for layer in network.layers if isinstance(layer, kinds)]
    images = np.zeros([1, side, side, 3], np.float32)
    shapes = [value.shape for value in keras.Model(network.input, outputs)(images)]
    return [(shape[1], shape[3]) for shape in shapes]


def with_one_channel(sizes):
    """The sizes where the first layer has one channel and not 64."""
    return [(side, count // 64 if count % 64 == 0 else count) for side, count in sizes]


def test_they_are_as_the_tool_draws_them():
    for name, draw in diagrams.DRAWINGS.items():
        assert (diagrams.FOLDER / f"{name}.svg").read_text(encoding="utf-8") == draw()


def test_the_sizes_are_those_of_the_networks():
    resnet = resnet_generator(filters=1, blocks=1)
    shown = passed_on(resnet, (keras.layers.ReLU, keras.layers.Activation))
    assert shown == with_one_channel(diagrams.RESNET[1:])

    unet = unet_generator(filters=1)
    down = passed_on(unet, keras.Sequential)[: len(diagrams.UNET_DOWN)]
    up = passed_on(unet, keras.layers.Concatenate)
    assert down == with_one_channel(diagrams.UNET_DOWN)
    assert [*up, (256, 3)] == with_one_channel(diagrams.UNET_UP)

    patchgan = patchgan_discriminator(filters=1)
    shown = passed_on(patchgan, (keras.Sequential, keras.layers.Conv2D))
    assert shown == with_one_channel(diagrams.PATCHGAN[1:])


def test_the_patches_are_as_large_as_the_convolutions_make_them():
    strides, sees = [2, 2, 2, 1, 1], [1]
    for layer in range(1, len(strides) + 1):
        patch = 1
        for stride in reversed(strides[:layer]):  # of 4x4 convolutions
            patch = (patch - 1) * stride + 4
        sees.append(patch)
    assert sees == diagrams.PATCHES
