"""How pictures of any shape become images of one: stretched, cut, padded, or patches of the whole."""

from typing import Literal

import numpy as np
from PIL import Image

from .picture import resized
from .unreadable import UnreadableImage

Fit = Literal["stretch", "crop", "pad", "patches"]
ANY_SIZE = ("crop", "patches")  # of which training takes another cut every time


def fitted(
    pixels: Image.Image | np.ndarray, shape: tuple[int, int], method: str, fit: Fit
) -> np.ndarray:
    """Scale a picture so that images of `shape` are in it, or it is one.

    Args:
        pixels: An image of 8 bits, or an array `[H, W, C]`.
        shape: Height and width.
        method: See `picture.RESAMPLING`.
        fit: "stretch": to `shape`, whatever the aspect ratio. "pad": until it fits into `shape`, its
            edges repeated around it. "crop": until it just covers `shape`. "patches": not at all.

    Returns:
        `[height, width, C]`; of "crop" and "patches" at least so many rows and columns.

    Raises:
        UnreadableImage: A patch is larger than the picture.
    """
    if fit == "stretch":
        return resized(pixels, shape, method)
    is_image = isinstance(pixels, Image.Image)
    size = (pixels.height, pixels.width) if is_image else pixels.shape[:2]
    ratios = [wanted / side for wanted, side in zip(shape, size, strict=True)]
    if fit == "patches":
        if max(ratios) > 1:
            raise UnreadableImage(
                f"it has {size[0]}x{size[1]} pixels, fewer than a patch of {shape[0]}x{shape[1]}"
            )
        return resized(pixels, size, method)
    if fit == "crop":
        scaled = [
            max(wanted, round(side * max(ratios))) for side, wanted in zip(size, shape, strict=True)
        ]
        return resized(pixels, (scaled[0], scaled[1]), method)
    scaled = [
        min(wanted, max(1, round(side * min(ratios))))
        for side, wanted in zip(size, shape, strict=True)
    ]
    return _padded(resized(pixels, (scaled[0], scaled[1]), method), shape)


def _padded(samples: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The samples in the middle of an array of `shape`, their edges repeated to all sides."""
    around = [(wanted - side) // 2 for side, wanted in zip(samples.shape, shape, strict=False)]
    widths = [
        (before, wanted - side - before)
        for before, side, wanted in zip(around, samples.shape, shape, strict=False)
    ]
    return np.pad(samples, [*widths, (0, 0)], mode="edge")


def place_of_cut(
    size: tuple[int, int], shape: tuple[int, int], shares: tuple[float, float] = (0.5, 0.5)
) -> tuple[int, int]:
    """The top left corner of a cut of `shape` in a picture of `size`.

    Args:
        size: Height and width of the picture.
        shape: Of the cut, no more.
        shares: From 0 to below 1, where between the two edges it lies; without them in the middle.
    """
    top, left = (
        int(share * (side - wanted + 1))
        for side, wanted, share in zip(size, shape, shares, strict=True)
    )
    return top, left


def cut(
    samples: np.ndarray, shape: tuple[int, int], shares: tuple[float, float] = (0.5, 0.5)
) -> np.ndarray:
    """A cut of `shape` from samples `[H, W, C]`, as `place_of_cut` says."""
    top, left = place_of_cut((samples.shape[0], samples.shape[1]), shape, shares)
    return samples[top : top + shape[0], left : left + shape[1]]
