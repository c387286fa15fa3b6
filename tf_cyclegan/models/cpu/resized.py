"""3x3 convolutions of images of which every pixel is repeated, by less than half of the products.

A repeated pixel meets up to four weights of a kernel whose sum would do. Repeating is the transpose of
a convolution with 2x2 kernels of ones and stride 2; after it the 3x3 kernels make a transposed
convolution with 4x4 kernels, each weight a sum of up to four of theirs: four products a new pixel and
channel in place of nine, and nothing is repeated in memory.
"""

from keras import ops

from . import choice

# With fewer pixels, adding up the kernels takes longer than is won.
FEWEST_PIXELS = 8 * 8


def pays(shape, dtype) -> bool:
    """Whether to double images of a shape, `[N, H, W, C]` with None for what is unknown, this way."""
    if choice.applies(shape, dtype):
        return shape[1] * shape[2] >= FEWEST_PIXELS
    return choice.applies_to_open_sizes(shape[-1], dtype)


def convolve_repeated(images, kernel):
    """Repeat every pixel along height and width, and convolve, with zeros around.

    Args:
        images: `[N, H, W, C]`.
        kernel: `[3, 3, C, K]`.

    Returns:
        `[N, 2H, 2W, K]`.
    """
    for axis in (0, 1):
        first, middle, last = ops.unstack(kernel, axis=axis)
        kernel = ops.stack([last, middle + last, first + middle, first], axis=axis)
    kernel = ops.transpose(kernel, [0, 1, 3, 2])
    return ops.conv_transpose(images, kernel, strides=2, padding="same")
