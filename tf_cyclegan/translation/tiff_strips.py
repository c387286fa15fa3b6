"""A TIFF to a TIFF strip by strip, so that neither has to be in memory as a whole."""

import math
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import TiffImagePlugin

from ..data.carried import NOTHING, Carried, carried_of
from ..data.colour import CONVERTED
from ..data.deep import array_on_white, read_tiff
from ..data.encode import write_tiff
from ..data.tiff import Tiff
from ..data.unreadable import UnreadableImage, library_errors
from ..files import disk_errors, writing
from ..pixels import RGB8, PixelFormat
from .area import Area

STRIP_ROWS = 64
LARGEST_CLASSIC = 2**31  # bytes of samples from which on the file is a BigTIFF
GREY = (0, 1)  # of the tag PhotometricInterpretation


class TiffRows:
    """A TIFF whose samples are a domain's as they are, read as they are needed.

    Args:
        file: Of the TIFF, open.
        takes: What its pixels must be; 8-bit colour may have transparency.
        max_pixels: It may not have more.
        keep_colour_space: Leave colours as they are; otherwise they become sRGB.

    Attributes:
        profile: ICC profile that says what its colours are; None for sRGB.
        notes: What was done to it, as far as it was read, that its owner should know.

    Raises:
        UnreadableImage: It is none, or has to be turned or made other samples first.
    """

    def __init__(
        self, file: BinaryIO, takes: PixelFormat, max_pixels: int, keep_colour_space: bool = False
    ):
        self._file, self._takes = file, takes
        self._tiff = Tiff(file, max_pixels)
        tiff = self._tiff
        tiff.check_meaning()
        self.has_alpha = takes.dtype == "uint8" and takes.channels == 3 and tiff.has_alpha
        fits = (tiff.dtype, tiff.channels) == (takes.dtype, takes.channels + self.has_alpha)
        is_colour = takes.channels != 3 or tiff.photometric not in GREY
        is_stored_so = tiff.orientation == 1 and tiff.is_direct and tiff.has_small_parts
        if not is_stored_so or not is_colour or not fits:
            raise UnreadableImage("it has to be decoded as a whole")
        self._keep_colour_space = keep_colour_space
        self.notes: tuple[str, ...] = ()
        self.height, self.width = tiff.height, tiff.width
        self._rows, self._samples = range(0), np.zeros([0, 0, 0])
        self._read(0, 1)  # tells how it is packed, and what becomes of its colours
        is_left = not any(note.startswith(CONVERTED) for note in self.notes)
        self.profile = tiff.profile if is_left and takes == RGB8 else None

    @property
    def area(self) -> Area:
        """The picture on white, for a network."""

        def read(top: int, left: int, height: int, width: int) -> np.ndarray:
            return self._takes.to_unit(self.on_white(top, height)[:, left : left + width])

        return Area(self.height, self.width, read)

    def carried(self) -> Carried:
        """What its file says beside the picture; nothing where that is damaged."""
        try:
            with library_errors():
                self._file.seek(0)
                return carried_of(TiffImagePlugin.TiffImageFile(self._file, ""))
        except UnreadableImage:
            return NOTHING

    def on_white(self, top: int, height: int) -> np.ndarray:
        """`[height, W, C]` without transparency."""
        samples = self._read(top, height)
        if not self.has_alpha:
            return samples
        return array_on_white(samples, self._tiff.is_premultiplied)

    def alpha(self, top: int, height: int) -> np.ndarray:
        """uint8 `[height, W, 1]`, where it has transparency."""
        return self._read(top, height)[..., 3:]

    def _read(self, top: int, height: int) -> np.ndarray:
        """Rows, which are kept until others are asked for: tiles beside each other share them."""
        if not (top >= self._rows.start and top + height <= self._rows.stop):
            part = read_tiff(self._tiff, self._keep_colour_space, top, 0, height, self.width)
            self._samples = part.samples
            self.notes = tuple(dict.fromkeys([*self.notes, *part.notes]))
            self._rows = range(top, top + height)
        return self._samples[top - self._rows.start : top - self._rows.start + height]


def write_rows(
    path: Path,
    rows: Iterable[np.ndarray],
    size: tuple[int, int],
    pixels: PixelFormat,
    has_alpha: bool = False,
    **said,
) -> None:
    """Write a TIFF as its rows come.

    Args:
        path: Of the file, which appears when it is whole.
        rows: `[n, W, C]`, from top to bottom.
        size: Height and width of all of them.
        pixels: What they are made of.
        has_alpha: The last of C is transparency, beside the channels of `pixels`.
        **said: What the file says of them: `carried` and `profile` of `write_tiff`.

    Raises:
        CannotWrite: The disk is full, read-only or otherwise refuses.
    """
    shape = (*size, pixels.channels + has_alpha)
    is_large = math.prod(shape) * np.dtype(pixels.dtype).itemsize > LARGEST_CLASSIC
    options = {"bigtiff": is_large, "rowsperstrip": STRIP_ROWS, "has_alpha": has_alpha}
    with writing(path) as beside, disk_errors(path), beside.open("w+b") as file:
        strips = map(_packed, _strips(rows))
        write_tiff(file, strips, shape, pixels.dtype, **said, **options)


def _packed(strip: np.ndarray) -> bytes:
    return zlib.compress(np.ascontiguousarray(strip).tobytes())


def _strips(pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Pieces of any number of rows as strips of `STRIP_ROWS` rows, the last of what is left."""
    waiting: np.ndarray | None = None
    for piece in pieces:
        waiting = piece if waiting is None else np.concatenate([waiting, piece])
        whole = len(waiting) // STRIP_ROWS * STRIP_ROWS
        for top in range(0, whole, STRIP_ROWS):
            yield waiting[top : top + STRIP_ROWS]
        waiting = waiting[whole:].copy()
    if waiting is not None and len(waiting):
        yield waiting
