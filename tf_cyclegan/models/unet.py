"""The pix2pix U-Net generator, as the TensorFlow tutorial builds it."""

import keras
from keras import layers

from .convolutions import DoublingConv2D, HalvingConv2D, ResizingConv2D
from .dropout import BatchDropout
from .layers import (
    normal_initializer,
    normalization,
    seed_stream,
)


def unet_generator(
    filters=64,
    levels=8,
    upsampling="transpose",
    affine=True,
    output_channels=3,
    seed=0,
    norm="instance",
    dropout=0.5,
    input_channels=3,
    outer_skip=False,
) -> keras.Model:
    """Build the U-Net generator of pix2pix (Isola et al. 2017, https://arxiv.org/abs/1611.07004).

    With the default arguments it has the layers, the nesting and the 54,414,979 parameters of
    `tensorflow_examples.models.pix2pix.pix2pix.unet_generator(3, norm_type="instancenorm")`, so that
    checkpoints of the tutorial restore into it.

    Args:
        filters: Channels after the first level; they double up to eight times this.
        levels: How often the image is halved; height and width must be multiples of `2 ** levels`.
        upsampling: "transpose" (a strided transposed convolution, as published) or "resize" (nearest
            neighbour, then a convolution; no checkerboards, Odena et al. 2016).
        affine: Whether instance norms learn a scale and an offset.
        output_channels: Channels of the generated image.
        seed: Seed of the initial weights.
        norm: "instance" or "keras batch of 1"; see `layers.normalization`.
        dropout: Rate of the dropouts after the first three levels on the way up.
        input_channels: Channels of the image to translate.
        outer_skip: Whether what the last layer draws has a part that `filters / 2` features of the
            image at full size make, as in the U-Net of Ronneberger et al. 2015
            (https://arxiv.org/abs/1505.04597). pix2pix's outermost skip is at half of it.

    Returns:
        A model from `[N, H, W, input_channels]` in [-1, 1] to `[N, H, W, output_channels]` in [-1, 1].
    """
    seeds = seed_stream(seed)

    def normalise():
        return normalization(norm, affine, next(seeds))

    def downsample(channels, apply_norm=True):
        init = normal_initializer(next(seeds))
        conv = HalvingConv2D(channels, use_bias=False, kernel_initializer=init)
        return keras.Sequential(
            [conv, *([normalise()] if apply_norm else []), layers.LeakyReLU(0.3)]
        )

    def grow(channels, **kwargs):
        """The layers that double height and width."""
        kwargs["kernel_initializer"] = normal_initializer(next(seeds))
        if upsampling == "transpose":
            return [DoublingConv2D(channels, **kwargs)]
        # Once two layers, which checkpoints count.
        return [layers.Identity(), ResizingConv2D(channels, **kwargs)]

    def upsample(channels, drops):
        dropouts = [BatchDropout(dropout, seed=next(seeds))] if drops else []
        return keras.Sequential(
            [*grow(channels, use_bias=False), normalise(), *dropouts, layers.ReLU()]
        )

    widths = [filters * min(2**level, 8) for level in range(levels)]
    down_stack = [downsample(width, apply_norm=level > 0) for level, width in enumerate(widths)]
    up_stack = [
        upsample(width, drops=dropout and i < 3) for i, width in enumerate(reversed(widths[:-1]))
    ]
    last = grow(output_channels, activation=None if outer_skip else "tanh")

    def conv(channels, **kwargs):
        init = normal_initializer(next(seeds))
        return layers.Conv2D(channels, 3, padding="same", kernel_initializer=init, **kwargs)

    inputs = keras.Input([None, None, input_channels])
    x = inputs
    skips = []
    for down in down_stack:
        x = down(x)
        skips.append(x)
    for up, skip in zip(up_stack, reversed(skips[:-1]), strict=True):
        x = layers.Concatenate()([up(x), skip])
    for layer in last:
        x = layer(x)
    if outer_skip:
        details = [
            conv((filters + 1) // 2),
            layers.LeakyReLU(0.3),
            conv(output_channels, use_bias=False),
        ]
        x = layers.Activation("tanh")(layers.Add()([x, keras.Sequential(details)(inputs)]))
    return keras.Model(inputs, x, name="unet_generator")
