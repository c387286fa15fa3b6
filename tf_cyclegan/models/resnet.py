"""The paper's residual generator."""

import keras
from keras import layers

from .convolutions import ReflectedConv2D, ResizingConv2D, ToImageConv2D
from .dropout import BatchDropout
from .layers import (
    INITIALIZERS,
    BlurDoubling2D,
    BlurHalving2D,
    CropTopLeft2D,
    ReflectionPadding2D,
    normalization,
    seed_stream,
)


def resnet_generator(
    blocks=9,
    filters=64,
    upsampling="transpose",
    affine=False,
    output_channels=3,
    seed=0,
    input_channels=3,
    norm="instance",
    use_bias=None,
    dropout=0.0,
    antialias=False,
    initializer="normal",
) -> keras.Model:
    """Build the residual generator of the paper (section 7.2; Johnson et al. 2016).

    With 9 blocks: c7s1-64, d128, d256, R256 x 9, u128, u64, c7s1-3 and tanh. Paddings are those of
    the authors' PyTorch code to the pixel, where Keras's `padding="same"` would be one pixel off at
    stride 2; with 9 blocks, 64 filters and `affine=False` the model has their 11,378,179 parameters.

    Args:
        blocks: Number of residual blocks: the paper takes 6 at 128x128 and 9 from 256x256 on.
        filters: Channels after the first convolution.
        upsampling: "transpose" (a strided transposed convolution, as published) or "resize" (nearest
            neighbour, then a convolution; no checkerboards, Odena et al. 2016) or "blur" (doubled
            by `BlurDoubling2D`, then a convolution, as CUT's).
        affine: Whether instance norms learn a scale and an offset.
        output_channels: Channels of the generated image.
        seed: Seed of the initial weights.
        input_channels: Channels of the image to translate.
        norm: "instance", "batch" or "keras batch of 1"; see `layers.normalization`.
        use_bias: Whether convolutions before a norm have a bias; without a choice they have one when
            the norm has no offset, as in the authors' code.
        dropout: Rate of a dropout within every residual block, 0.5 in pix2pix.
        antialias: Whether d128 and d256 have stride 1 and `BlurHalving2D` after them, as CUT's.
        initializer: Of kernels, a name of `layers.INITIALIZERS`.

    Returns:
        A model from `[N, H, W, input_channels]` in [-1, 1] to `[N, H, W, output_channels]` in
        [-1, 1]. Height and width must be multiples of 4 and at least 8.
    """
    seeds = seed_stream(seed)
    initial = INITIALIZERS[initializer]
    if use_bias is None:
        use_bias = norm != "batch" and not affine

    def conv(x, channels, kernel, name, **kwargs):
        init = initial(next(seeds))
        layer = layers.Conv2D(channels, kernel, kernel_initializer=init, name=name, **kwargs)
        return layer(x)

    def normalise(x, name):
        return normalization(norm, affine, next(seeds), name=f"{name}_norm")(x)

    def norm_relu(x, name):
        return layers.ReLU(name=f"{name}_relu")(normalise(x, name))

    def reflected_conv(x, name):
        init = initial(next(seeds))
        layer = ReflectedConv2D(x.shape[-1], use_bias=use_bias, kernel_initializer=init, name=name)
        return layer(x)

    def residual_block(x, name):
        y = norm_relu(reflected_conv(x, f"{name}_conv1"), f"{name}_conv1")
        if dropout:
            y = BatchDropout(dropout, seed=next(seeds), name=f"{name}_dropout")(y)
        y = normalise(reflected_conv(y, f"{name}_conv2"), f"{name}_conv2")
        return layers.Add(name=f"{name}_add")([x, y])

    def upsample(x, channels, name):
        if upsampling == "transpose":
            init = initial(next(seeds))
            transposed = layers.Conv2DTranspose(
                channels,
                3,
                strides=2,
                padding="valid",
                use_bias=use_bias,
                kernel_initializer=init,
                name=name,
            )
            # PyTorch's padding 1 and output_padding 1: the first row and column are cut off.
            x = CropTopLeft2D(name=f"{name}_crop")(transposed(x))
        elif upsampling == "blur":
            x = BlurDoubling2D(name=f"{name}_double")(x)
            x = conv(x, channels, 3, name, padding="same", use_bias=use_bias)
        else:
            # Once two layers, which checkpoints count.
            x = layers.Identity(name=f"{name}_resize")(x)
            init = initial(next(seeds))
            layer = ResizingConv2D(channels, use_bias=use_bias, kernel_initializer=init, name=name)
            x = layer(x)
        return norm_relu(x, name)

    inputs = keras.Input([None, None, input_channels], name="image")
    x = ReflectionPadding2D(3, name="pad_in")(inputs)
    x = norm_relu(conv(x, filters, 7, "c7s1_in", use_bias=use_bias), "c7s1_in")
    for channels in (2 * filters, 4 * filters):
        x = layers.ZeroPadding2D(1, name=f"d{channels}_pad")(x)
        strides = 1 if antialias else 2
        x = conv(x, channels, 3, f"d{channels}", strides=strides, use_bias=use_bias)
        x = norm_relu(x, f"d{channels}")
        if antialias:
            x = BlurHalving2D(name=f"d{channels}_halve")(x)
    for block in range(1, blocks + 1):
        x = residual_block(x, f"R{4 * filters}_{block}")
    for channels in (2 * filters, filters):
        x = upsample(x, channels, f"u{channels}")
    x = ReflectionPadding2D(3, name="pad_out")(x)
    init = initial(next(seeds))
    x = ToImageConv2D(output_channels, 7, kernel_initializer=init, name="c7s1_out")(x)
    x = layers.Activation("tanh", name="tanh")(x)
    return keras.Model(inputs, x, name=f"resnet_{blocks}blocks")
