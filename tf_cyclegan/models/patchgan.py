"""The 70x70 PatchGAN discriminator."""

import keras
from keras import layers

from .layers import InstanceNormalization, normal_initializer, seed_stream


def patchgan_discriminator(filters=64, affine=True, leaky_slope=0.3, seed=0) -> keras.Model:
    """Build the PatchGAN: C64-C128-C256-C512 and a logit for each 70x70 patch (section 7.2).

    With the default arguments it has the layers, the nesting and the 2,765,569 parameters of
    `tensorflow_examples.models.pix2pix.pix2pix.discriminator(norm_type="instancenorm", target=False)`,
    so that checkpoints of the tutorial restore into it.

    Args:
        filters: Channels after the first convolution; they double up to eight times this.
        affine: Whether instance norms learn a scale and an offset, as the tutorial's do. Without,
            biases and paddings are those of the authors' code.
        leaky_slope: Negative slope of the leaky ReLUs: 0.3 in the tutorial, 0.2 in the paper.
        seed: Seed of the initial weights.

    Returns:
        A model from images `[N, H, W, 3]` in [-1, 1] to logits `[N, H // 8 - 2, W // 8 - 2, 1]`; each
        logit sees 70x70 pixels. Height and width must be at least 24.
    """
    seeds = seed_stream(seed)

    def conv(channels, **kwargs):
        init = normal_initializer(next(seeds))
        return layers.Conv2D(channels, 4, kernel_initializer=init, **kwargs)

    def norm():
        return InstanceNormalization(affine=affine, seed=next(seeds))

    def downsample(channels, apply_norm=True):
        # The authors pad one pixel a side; the tutorial's "same" does so at even sizes only.
        if affine:
            halve = [conv(channels, strides=2, padding="same", use_bias=False)]
        else:
            halve = [layers.ZeroPadding2D(), conv(channels, strides=2)]
        norms = [norm()] if apply_norm else []
        return keras.Sequential([*halve, *norms, layers.LeakyReLU(leaky_slope)])

    inputs = keras.Input([None, None, 3], name="input_image")
    x = downsample(filters, apply_norm=False)(inputs)
    x = downsample(2 * filters)(x)
    x = downsample(4 * filters)(x)
    x = conv(8 * filters, use_bias=not affine)(layers.ZeroPadding2D()(x))
    x = layers.LeakyReLU(leaky_slope)(norm()(x))
    logits = conv(1)(layers.ZeroPadding2D()(x))
    return keras.Model(inputs, logits, name="patchgan")
