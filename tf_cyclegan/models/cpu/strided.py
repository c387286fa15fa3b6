"""4x4 convolutions of stride 2, and their transposes, as products of matrices over few pixels.

The inner layers of a U-Net have millions of weights for images of 1 to 8 pixels a side. TensorFlow's
kernels for a CPU take several times as long there as reading the weights does; the product of the 4x4
patches, each a row, and the kernel, as a matrix, does not.

All that follows is one linear map between images of 2h x 2w pixels and those of h x w. `halve` applies
it, `double` its transpose, and the gradients of both are again these two and that of the kernel.
"""

import functools
import math

import numpy as np
from keras import ops

from . import choice

# Of a halved image and of a batch of them: beyond, plain convolutions are as fast and need less memory.
MOST_PIXELS, MOST_PIXELS_OF_A_BATCH = 8 * 8, 16 * 8 * 8
# Beyond, adding up overlapping patches takes longer than the plain transposed convolution.
MOST_PIXELS_TO_DOUBLE = 2 * 2


def halving_pays(shape, dtype) -> bool:
    """Whether to halve images of a shape `[N, 2H, 2W, C]`, with None for what is unknown, this way."""
    if not choice.applies(shape, dtype) or shape[1] % 2 or shape[2] % 2:
        return False
    return _are_few(shape[0], shape[1] // 2 * shape[2] // 2)


def doubling_pays(shape, dtype) -> bool:
    """Whether to double images of a shape `[N, H, W, K]`, with None for what is unknown, this way."""
    return choice.applies(shape, dtype) and _are_few(shape[0], shape[1] * shape[2])


def _are_few(batch: int, pixels: int) -> bool:
    return pixels <= MOST_PIXELS and batch * pixels <= MOST_PIXELS_OF_A_BATCH


def halve(images, kernel):
    """Convolve with stride 2, one pixel of zeros around.

    Args:
        images: `[N, 2H, 2W, C]`, all sizes known.
        kernel: `[4, 4, C, K]`.

    Returns:
        `[N, H, W, K]`.
    """
    return _differentiable_halved(images, kernel)


def double(images, kernel):
    """Apply the transposed convolution.

    Args:
        images: `[N, H, W, K]`, all sizes known.
        kernel: `[4, 4, C, K]`.

    Returns:
        `[N, 2H, 2W, C]`.
    """
    return _differentiable_doubled(images, kernel)


def _halved(images, kernel):
    batch, height, width, _ = images.shape
    products = ops.matmul(_patches(images), _matrix(kernel))
    return ops.reshape(products, [batch, height // 2, width // 2, kernel.shape[-1]])


def _doubled(images, kernel):
    batch, height, width, filters = images.shape
    if height * width > MOST_PIXELS_TO_DOUBLE:
        return ops.conv_transpose(images, kernel, strides=2, padding="same")
    products = ops.matmul(ops.reshape(images, [-1, filters]), ops.transpose(_matrix(kernel)))
    channels = kernel.shape[2]
    padded = batch, 2 * height + 2, 2 * width + 2
    pixels = ops.segment_sum(
        ops.reshape(products, [-1, channels]), _places(*padded), math.prod(padded)
    )
    return ops.reshape(pixels, [*padded, channels])[:, 1:-1, 1:-1]


def _kernel_gradient(images, upstream):
    """Say how the kernel should change for `images` to be halved otherwise by `upstream`."""
    channels, filters = images.shape[-1], upstream.shape[-1]
    of_matrix = ops.matmul(ops.transpose(_patches(images)), ops.reshape(upstream, [-1, filters]))
    return ops.reshape(of_matrix, [4, 4, channels, filters])


def _halved_gradients(images, kernel, upstream):
    return _doubled(upstream, kernel), _kernel_gradient(images, upstream)


def _doubled_gradients(images, kernel, upstream):
    return _halved(upstream, kernel), _kernel_gradient(upstream, images)


_differentiable_halved = choice.differentiable(_halved, _halved_gradients)
_differentiable_doubled = choice.differentiable(_doubled, _doubled_gradients)


def _patches(images):
    """Make a row of the 4x4 pixels that go into each pixel of the halved images."""
    padded = ops.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)])
    batch, height, width, channels = padded.shape
    pixels = ops.reshape(padded, [-1, channels])
    patches = ops.take(pixels, _places(batch, height, width), axis=0)
    return ops.reshape(patches, [-1, 16 * channels])


@functools.lru_cache
def _places(batch: int, height: int, width: int) -> np.ndarray:
    """Number the pixels of all patches in padded images, patch by patch."""
    pixels = np.arange(batch * height * width, dtype=np.int32).reshape(batch, height, width)
    patches = np.lib.stride_tricks.sliding_window_view(pixels, (4, 4), axis=(1, 2))
    return patches[:, ::2, ::2].ravel()


def _matrix(kernel):
    return ops.reshape(kernel, [-1, kernel.shape[-1]])
