"""The 70x70 PatchGAN discriminator."""

from collections.abc import Sequence

import keras
from keras import layers, ops

from .layers import INITIALIZERS, BlurHalving2D, SpectralConv2D, normalization, seed_stream


def patchgan_discriminator(
    filters=64,
    affine=True,
    leaky_slope=0.3,
    seed=0,
    input_channels=3,
    halvings=3,
    norm="instance",
    use_bias=None,
    antialias=False,
    initializer="normal",
    name="patchgan",
) -> keras.Model:
    """Build the PatchGAN: C64-C128-C256-C512 and a logit for each 70x70 patch (section 7.2).

    With the default arguments it has the layers, the nesting and the 2,765,569 parameters of
    `tensorflow_examples.models.pix2pix.pix2pix.discriminator(norm_type="instancenorm", target=False)`,
    so that checkpoints of the tutorial restore into it.

    Args:
        filters: Channels after the first convolution; they double up to eight times this.
        affine: Whether instance norms learn a scale and an offset.
        leaky_slope: Negative slope of the leaky ReLUs: 0.3 in the tutorial, 0.2 in the paper.
        seed: Seed of the initial weights.
        input_channels: Channels of an image; pix2pix judges input and output together.
        halvings: Convolutions of stride 2, the authors' `n_layers`; 3 makes it see 70x70 pixels.
        norm: "instance", "batch" or "keras batch of 1", see `layers.normalization`; or "spectral",
            kernels of norm 1 in place of norm layers.
        use_bias: Whether convolutions before a norm have a bias; without a choice they have one when
            the norm has no offset, as in the authors' code. Without one before an instance norm it
            is the tutorial's network, padded as Keras does; all others are padded as the authors'.
        antialias: Whether halving convolutions have stride 1 instead, and `BlurHalving2D` after their
            leaky ReLU, as CUT's; they are padded as the authors' in any case.
        initializer: Of kernels, a name of `layers.INITIALIZERS`.
        name: Of the model.

    Returns:
        A model from images `[N, H, W, input_channels]` in [-1, 1] to logits
        `[N, H // 8 - 2, W // 8 - 2, 1]`, where 8 is `2 ** halvings`; height and width must be at
        least three times that.
    """
    seeds = seed_stream(seed)
    is_spectral = norm == "spectral"
    if use_bias is None:
        use_bias = is_spectral or (norm != "batch" and not affine)
    # The authors' instance norms follow a bias.
    is_tutorial = norm != "batch" and not use_bias and not antialias

    def conv(channels, **kwargs):
        init = INITIALIZERS[initializer](next(seeds))
        if is_spectral:
            seed = next(seeds)
            return SpectralConv2D(channels, 4, kernel_initializer=init, u_seed=seed, **kwargs)
        return layers.Conv2D(channels, 4, kernel_initializer=init, **kwargs)

    def normalise():
        return [] if is_spectral else [normalization(norm, affine, next(seeds))]

    def downsample(channels, apply_norm=True, use_bias=use_bias):
        # The authors pad one pixel a side; the tutorial's "same" does so at even sizes only.
        padding = [] if is_tutorial else [layers.ZeroPadding2D()]
        how = "same" if is_tutorial else "valid"
        halve = conv(channels, strides=1 if antialias else 2, padding=how, use_bias=use_bias)
        norms = normalise() if apply_norm else []
        blur = [BlurHalving2D()] if antialias else []
        return keras.Sequential([*padding, halve, *norms, layers.LeakyReLU(leaky_slope), *blur])

    widths = [filters * min(2**level, 8) for level in range(halvings + 1)]
    inputs = keras.Input([None, None, input_channels], name="input_image")
    # The authors give the first convolution, which no norm follows, a bias in any case.
    x = downsample(filters, apply_norm=False, use_bias=use_bias or norm == "batch")(inputs)
    for width in widths[1:-1]:
        x = downsample(width)(x)
    x = conv(widths[-1], use_bias=use_bias)(layers.ZeroPadding2D()(x))
    for norm_layer in normalise():
        x = norm_layer(x)
    x = layers.LeakyReLU(leaky_slope)(x)
    logits = conv(1)(layers.ZeroPadding2D()(x))
    return keras.Model(inputs, logits, name=name)


def in_scales(discriminators: Sequence[keras.Model]) -> keras.Model:
    """Judge images at full size by the first network, at half of it by the second, and so on.

    Wang et al. 2018, https://arxiv.org/abs/1711.11585, section 3.2, whose sum over the scales is a mean
    here: one network for the look of small patches, one for that of large ones.

    Args:
        discriminators: As `patchgan_discriminator` builds them.

    Returns:
        A model from images `[N, H, W, C]` to logits `[N, h, w, scales]`; those of smaller scales are
        enlarged to the first's size, so that a mean over all is that of the scales' means.
    """
    inputs = keras.Input(discriminators[0].input_shape[1:], name="input_image")
    x, logits = inputs, [discriminators[0](inputs)]
    for discriminator in discriminators[1:]:
        x = layers.AveragePooling2D(3, 2, "same")(x)
        logits.append(discriminator(x))
    return keras.Model(inputs, LogitsAtOneSize()(logits), name="patchgan_in_scales")


@keras.saving.register_keras_serializable("tf_cyclegan")
class LogitsAtOneSize(layers.Layer):
    """Enlarge logits `[N, h, w, 1]` to the first's size by repeating, and join them as channels."""

    def call(self, logits):
        first, *others = logits
        for axis in (1, 2):
            size = ops.shape(first)[axis]
            places = ops.arange(size)
            others = [
                ops.take(other, places * ops.shape(other)[axis] // size, axis) for other in others
            ]
        return ops.concatenate([first, *others], axis=-1)
