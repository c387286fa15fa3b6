"""The U-Net generator of pix2pix as the authors' PyTorch code builds it."""

import keras
from keras import layers

from .dropout import BatchDropout
from .layers import normal_initializer, normalization, seed_stream


def pix2pix_unet_generator(
    filters=64,
    levels=8,
    norm="batch",
    affine=False,
    use_bias=None,
    input_channels=3,
    output_channels=3,
    seed=0,
    dropout=0.0,
) -> keras.Model:
    """Build the U-Net of pix2pix (Isola et al. 2017, https://arxiv.org/abs/1611.07004).

    It differs from `unet_generator`, the TensorFlow tutorial's: leaky ReLUs of slope 0.2 come before
    the convolutions, the innermost has no norm (one pixel has no variance), and transposed convolutions
    may have biases.

    Args:
        filters: Channels after the first level; they double up to eight times this.
        levels: How often the image is halved: 8 in `unet_256`, 7 in `unet_128`.
        norm: "batch" or "instance".
        affine: Whether instance norms learn a scale and an offset.
        use_bias: Whether convolutions before a norm have a bias; without a choice they have one when
            the norm has no offset.
        input_channels: Channels of the image to translate.
        output_channels: Channels of the generated image.
        seed: Seed of the initial weights.
        dropout: Rate of the dropouts after the first three levels on the way up, 0.5 in the paper's
            training. It leaves no trace in a checkpoint.

    Returns:
        A model from `[N, H, W, input_channels]` in [-1, 1] to `[N, H, W, output_channels]` in
        [-1, 1]. Height and width must be multiples of `2 ** levels`.
    """
    seeds = seed_stream(seed)
    if use_bias is None:
        use_bias = norm == "instance" and not affine

    # At stride 2, kernel 4 and even sizes "same" pads one pixel a side, as PyTorch's padding 1 does.
    def conv(kind, channels, name, **kwargs):
        init = normal_initializer(next(seeds))
        kwargs |= {"strides": 2, "padding": "same", "kernel_initializer": init, "name": name}
        return kind(channels, 4, **kwargs)

    def normalise(name):
        return normalization(norm, affine, next(seeds), name=f"{name}_norm")

    widths = [filters * min(2**level, 8) for level in range(levels)]
    inputs = keras.Input([None, None, input_channels], name="image")
    x = conv(layers.Conv2D, widths[0], "down1", use_bias=use_bias)(inputs)
    skips = []
    for level, width in enumerate(widths[1:], 2):
        skips.append(x)
        x = layers.LeakyReLU(0.2, name=f"down{level}_relu")(x)
        x = conv(layers.Conv2D, width, f"down{level}", use_bias=use_bias)(x)
        if level < levels:
            x = normalise(f"down{level}")(x)
    for level, width in reversed(list(enumerate(widths[:-1], 2))):
        x = layers.ReLU(name=f"up{level}_relu")(x)
        x = conv(layers.Conv2DTranspose, width, f"up{level}", use_bias=use_bias)(x)
        x = normalise(f"up{level}")(x)
        if dropout and level > levels - 3:
            x = BatchDropout(dropout, seed=next(seeds), name=f"up{level}_dropout")(x)
        x = layers.Concatenate(name=f"up{level}_skip")([skips.pop(), x])
    x = layers.ReLU(name="up1_relu")(x)
    x = conv(layers.Conv2DTranspose, output_channels, "up1")(x)
    x = layers.Activation("tanh", name="tanh")(x)
    return keras.Model(inputs, x, name="pix2pix_unet")
