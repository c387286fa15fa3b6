"""3x3 convolutions that multiply four times less: Winograd's minimal filtering F(4x4, 3x3).

Lavin and Gray 2015, https://arxiv.org/abs/1509.09308. Tiles of 6x6 pixels, four apart, and the kernels
are transformed so that the convolution becomes a product of numbers at 36 places, for each place a
product of matrices over the channels; transformed back, they are tiles of 4x4 pixels. On a CPU, where a
convolution is as fast as the processor multiplies, this takes little more than half the time. GPU
libraries choose such algorithms by themselves.
"""

import functools
import math

import keras
import numpy as np
from keras import ops

from . import choice

OUTPUT_TILE = 4
INPUT_TILE = 6

# Where the polynomials are evaluated, infinity besides. The usual 0, 1, -1, 2, -2 have five times the
# rounding error; tests/models/test_winograd.py measures both.
POINTS = (0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5))


def transforms(points=POINTS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute the matrices of `output = O ((K kernel) * (I input))` for tiles and kernels as vectors.

    The product of two polynomials is found from its values at some points (Toom and Cook); transposed,
    that is a convolution. In two dimensions the matrices apply to rows and columns.

    Returns:
        I `[36, 36]`, K `[36, 9]` and O `[16, 36]`.
    """

    def values(terms):
        """Evaluate x^0, x^1, ... at the points; at infinity only the last counts."""
        powers = np.vander(np.array(points), terms, increasing=True)
        return np.vstack([powers, np.eye(terms)[-1]])

    one_dimension = np.linalg.inv(values(INPUT_TILE)).T, values(3), values(OUTPUT_TILE).T
    return tuple(np.kron(matrix, matrix) for matrix in one_dimension)


@functools.lru_cache
def reflected_tiles(batch: int, height: int, width: int) -> np.ndarray:
    """Number the pixels of all tiles, whose outermost lie outside the image, in its mirror.

    Returns:
        Places in `[batch * height * width]`, int32, in the order 6 rows, 6 columns, batch, tiles down,
        tiles across.
    """

    def positions(size):
        inside = np.abs(np.arange(INPUT_TILE)[:, None] - 1 + np.arange(0, size, OUTPUT_TILE))
        return np.minimum(inside, 2 * (size - 1) - inside)

    rows, columns = positions(height), positions(width)
    image = np.arange(batch)[:, None, None] * height
    row = image + rows[:, None, None, :, None]
    return (row * width + columns[None, :, None, None, :]).astype(np.int32).ravel()


def pays(shape, dtype) -> bool:
    """Whether to convolve images of a shape, `[N, H, W, C]` with None for what is unknown, this way."""
    if choice.applies(shape, dtype):
        return not (shape[1] % OUTPUT_TILE or shape[2] % OUTPUT_TILE)
    return choice.applies_to_open_sizes(shape[-1], dtype)


def convolve_reflected(images, kernel):
    """Convolve images that continue beyond their borders in their mirror image.

    Args:
        images: `[N, H, W, C]`, all sizes known and H and W multiples of 4; or some unknown, H and W
            being 2 at least, to translate alone.
        kernel: `[3, 3, C, K]`.

    Returns:
        `[N, H, W, K]`.
    """
    if None in images.shape:
        return _convolve_open(images, kernel)
    return _differentiable(images, kernel)


def _convolve_open(images, kernel):
    """`_convolve` of images whose sizes are known when it runs: tiles may reach beyond them."""
    batch, height, width, channels = ops.shape(images)
    filters = kernel.shape[-1]
    of_input, _, of_output = _transforms(images.dtype)
    rows, columns = _positions_open(height), _positions_open(width)
    image = ops.arange(batch, dtype="int32")[:, None, None] * height
    row = image + rows[:, None, None, :, None]
    places = ops.reshape(row * width + columns[None, :, None, None, :], [-1])
    tiles = ops.take(ops.reshape(images, [-1, channels]), places, axis=0)
    tiles = _at_places_open(of_input, ops.reshape(tiles, [INPUT_TILE**2, -1, channels]))
    output = _at_places_open(of_output, ops.matmul(tiles, _transformed_kernel(kernel)))
    grid = [batch, ops.shape(rows)[1], ops.shape(columns)[1]]
    output = ops.reshape(output, [OUTPUT_TILE, OUTPUT_TILE, *grid, filters])
    output = ops.transpose(output, [2, 3, 0, 4, 1, 5])
    covered = [batch, grid[1] * OUTPUT_TILE, grid[2] * OUTPUT_TILE, filters]
    return ops.reshape(output, covered)[:, :height, :width]


def _positions_open(size):
    """As in `reflected_tiles`; where a tile lies outside the image altogether, anything will do."""
    starts = ops.arange(0, size, OUTPUT_TILE, dtype="int32")
    inside = ops.abs(ops.arange(INPUT_TILE, dtype="int32")[:, None] - 1 + starts)
    return ops.maximum(ops.minimum(inside, 2 * (size - 1) - inside), 0)


def _convolve(images, kernel):
    batch, height, width, _ = images.shape
    filters = kernel.shape[-1]
    *_, of_output = _transforms(images.dtype)
    products = ops.matmul(_transformed_tiles(images), _transformed_kernel(kernel))
    output = _at_places(of_output, products)
    output = ops.reshape(output, [OUTPUT_TILE, OUTPUT_TILE, *_grid(images), filters])
    output = ops.transpose(output, [2, 3, 0, 4, 1, 5])
    return ops.reshape(output, [batch, height, width, filters])


def _gradients(images, kernel, upstream):
    """Transpose every operation of `_convolve`.

    Returns:
        The gradients of images and kernel.
    """
    of_input, of_kernel, of_output = _transforms(images.dtype)
    batch, down, across = _grid(images)
    filters = kernel.shape[-1]
    upstream = ops.reshape(upstream, [batch, down, OUTPUT_TILE, across, OUTPUT_TILE, filters])
    upstream = ops.reshape(
        ops.transpose(upstream, [2, 4, 0, 1, 3, 5]), [OUTPUT_TILE**2, -1, filters]
    )
    upstream = _at_places(of_output.T, upstream)
    kernel_gradient = ops.matmul(_transposed(_transformed_tiles(images)), upstream)
    tile_gradient = ops.matmul(upstream, _transposed(_transformed_kernel(kernel)))
    pixel_gradient = ops.segment_sum(
        ops.reshape(_at_places(of_input.T, tile_gradient), [-1, images.shape[-1]]),
        reflected_tiles(*images.shape[:3]),
        batch * images.shape[1] * images.shape[2],
    )
    return (
        ops.reshape(pixel_gradient, images.shape),
        ops.reshape(_at_places(of_kernel.T, kernel_gradient), kernel.shape),
    )


_differentiable = choice.differentiable(_convolve, _gradients)


def _transformed_tiles(images):
    """Cut images into tiles and transform them: `[36, tiles, C]`."""
    channels = images.shape[-1]
    pixels = ops.reshape(images, [-1, channels])
    tiles = ops.take(pixels, reflected_tiles(*images.shape[:3]), axis=0)
    of_input, *_ = _transforms(images.dtype)
    return _at_places(of_input, ops.reshape(tiles, [INPUT_TILE**2, -1, channels]))


def _transformed_kernel(kernel):
    """Transform kernels to `[36, C, K]`."""
    _, of_kernel, _ = _transforms(kernel.dtype)
    return _at_places(of_kernel, ops.reshape(kernel, [9, *kernel.shape[2:]]))


def _at_places(matrix, values):
    """Multiply values `[a, b, c]` by a matrix `[d, a]`: `[d, b, c]`."""
    first, *others = values.shape
    product = ops.matmul(matrix, ops.reshape(values, [first, math.prod(others)]))
    return ops.reshape(product, [matrix.shape[0], *others])


def _at_places_open(matrix, values):
    places, channels = matrix.shape[0], values.shape[-1]
    product = ops.matmul(matrix, ops.reshape(values, [matrix.shape[1], -1]))
    return ops.reshape(product, [places, -1, channels])


def _transposed(matrices):
    return ops.transpose(matrices, [0, 2, 1])


def _transforms(dtype):
    return [matrix.astype(keras.backend.standardize_dtype(dtype)) for matrix in transforms()]


def _grid(images):
    batch, height, width, _ = images.shape
    return batch, height // OUTPUT_TILE, width // OUTPUT_TILE
