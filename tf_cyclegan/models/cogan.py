"""CoGAN's networks: generators from a latent vector with their first layers tied, discriminators with
their last layers tied.

Liu and Tuzel 2016, https://arxiv.org/abs/1606.07536, the networks of its authors' face model
(https://github.com/mingyuliutw/CoGAN, cogan/models/celeba), which renders 128x128, for any power of
two. Layers that are tied are a network of their own, a trunk, so that each weight is there once.
"""

from collections.abc import Callable, Iterator

import keras
from keras import layers

from .layers import SharedBatchNormalization, normal_initializer, seed_stream

WIDEST = 32  # no layer has more than this times the channels of the narrowest


def halvings(image_size: int) -> int:
    """How often an image of a power of two pixels a side is halved until it is 2x2."""
    return image_size.bit_length() - 2


def generator_trunk(image_size=128, latent_size=100, filters=32, own_layers=2, seed=0):
    """Build the layers that both generators share: a dense one to 4x4, then doublings.

    Args:
        image_size: Pixels a side of the image, a power of two from 16 on.
        latent_size: Numbers in a latent vector.
        filters: Channels of the last layer before the image; they double towards the latent vector.
        own_layers: How many of the `halvings(image_size) + 1` layers each domain has for itself.
        seed: Seed of the initial weights.

    Returns:
        A model from latent vectors `[N, latent_size]` to what `generator_head` takes.
    """
    kernel = _kernels(seed)
    widths, doublings = _generator_widths(image_size, filters), halvings(image_size) - own_layers
    inputs = keras.Input([latent_size], name="latent")
    x = layers.Dense(16 * widths[0], use_bias=False, kernel_initializer=kernel())(inputs)
    x = _norm_prelu(layers.Reshape([4, 4, widths[0]])(x))
    for width in widths[1 : 1 + doublings]:
        x = _doubled(x, width, kernel())
    return keras.Model(inputs, x, name="generator_trunk")


def generator_head(image_size=128, filters=32, own_layers=2, seed=0, channels=3):
    """Build the layers of one domain's generator that are its own: doublings, then the image.

    Args:
        image_size: As in `generator_trunk`.
        filters: As there.
        own_layers: As there.
        seed: Seed of the initial weights.
        channels: Of an image.

    Returns:
        A model from what the trunk gives to images `[N, image_size, image_size, channels]` in [-1, 1].
    """
    kernel = _kernels(seed)
    widths, doublings = _generator_widths(image_size, filters), halvings(image_size) - own_layers
    side = 4 * 2**doublings
    inputs = keras.Input([side, side, widths[doublings]], name="features")
    x = inputs
    for width in widths[1 + doublings :]:
        x = _doubled(x, width, kernel())
    x = layers.Conv2D(channels, 3, padding="same", kernel_initializer=kernel())(x)
    return keras.Model(inputs, layers.Activation("tanh")(x), name="generator_head")


def discriminator_front(image_size=128, filters=32, own_layers=2, seed=0, channels=3):
    """Build the layers of one domain's discriminator that are its own, the first.

    Args:
        image_size: Pixels a side of the image, a power of two from 16 on.
        filters: Channels of the first layer; they double with every halving.
        own_layers: How many of the `halvings(image_size)` convolutions each domain has for itself.
        seed: Seed of the initial weights.
        channels: Of an image.

    Returns:
        A model from images `[N, image_size, image_size, channels]` in [-1, 1] to what
        `discriminator_trunk` takes.
    """
    kernel = _kernels(seed)
    inputs = keras.Input([image_size, image_size, channels], name="image")
    x = inputs
    for halving in range(own_layers):
        x = _halved(x, halving, filters, kernel())
    return keras.Model(inputs, x, name="discriminator_front")


def discriminator_trunk(image_size=128, filters=32, own_layers=2, seed=0):
    """Build the layers that both discriminators share: halvings to 2x2, a dense one, the logit.

    Args:
        image_size: As in `discriminator_front`.
        filters: As there.
        own_layers: As there.
        seed: Seed of the initial weights.

    Returns:
        A model from what the front gives to logits `[N, 1]`.
    """
    kernel = _kernels(seed)
    side = image_size // 2**own_layers
    inputs = keras.Input([side, side, _width(own_layers - 1, filters)], name="features")
    x = inputs
    for halving in range(own_layers, halvings(image_size)):
        x = _halved(x, halving, filters, kernel())
    width = 2 * x.shape[-1]
    x = layers.Dense(width, use_bias=False, kernel_initializer=kernel())(layers.Flatten()(x))
    logits = layers.Dense(1, kernel_initializer=kernel())(_norm_prelu(x))
    return keras.Model(inputs, logits, name="discriminator_trunk")


def _kernels(seed: int) -> Callable[[], keras.initializers.Initializer]:
    seeds: Iterator[int] = seed_stream(seed)
    return lambda: normal_initializer(next(seeds))


def _width(doublings: int, filters: int) -> int:
    return filters * min(2**doublings, WIDEST)


def _generator_widths(image_size: int, filters: int) -> list[int]:
    """Channels at 4x4 and after every doubling."""
    return [_width(doublings, filters) for doublings in reversed(range(halvings(image_size)))]


def _norm_prelu(x):
    """Batch norm with an offset and no scale, and a leaky ReLU whose slope every channel learns."""
    x = SharedBatchNormalization(momentum=0.9, epsilon=1e-5, scale=False)(x)
    spatial = list(range(1, len(x.shape) - 1))
    return layers.PReLU(alpha_initializer=keras.initializers.Constant(0.25), shared_axes=spatial)(x)


def _doubled(x, width: int, kernel):
    grow = layers.Conv2DTranspose(
        width, 4, strides=2, padding="same", use_bias=False, kernel_initializer=kernel
    )
    return _norm_prelu(grow(x))


def _halved(x, halving: int, filters: int, kernel):
    """Convolutions of 5x5 while images are large, then of 3x3; as many pixels of padding each side."""
    size = 5 if halving < 3 else 3
    halve = layers.Conv2D(
        _width(halving, filters), size, strides=2, use_bias=False, kernel_initializer=kernel
    )
    return _norm_prelu(halve(layers.ZeroPadding2D(size // 2)(x)))
