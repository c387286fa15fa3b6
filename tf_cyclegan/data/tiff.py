"""The samples of TIFFs that Pillow does not know or cuts to 8 bits: many bands, any type, by tile.

tifffile reads the directory; what a strip or tile holds is unpacked in `tiff_packing`.
"""

from typing import BinaryIO

import numpy as np

from .tiff_directory import GREY_FROM_WHITE, YCBCR, Directory
from .tiff_packing import PICTURES, in_usual_order, unpack, unpack_bits, unpack_picture
from .unreadable import UnreadableImage, check_size

LARGE_TILE = 2**22  # pixels; a tile may be larger than its picture, but not by more
HORIZONTAL, FLOATING = 2, 3  # of the tag Predictor
LOWEST_FIRST = 2  # of the tag FillOrder


class Tiff(Directory):
    """The first picture of a TIFF, of which any part can be read.

    Args:
        file: The TIFF; it is read when samples are asked for.
        max_pixels: See `unreadable.check_size`; None is not compared, for who reads parts alone.

    Raises:
        UnreadableImage: It is damaged, or has too many pixels.
    """

    def __init__(self, file: BinaryIO, max_pixels: int | None):
        super().__init__(file)
        if max_pixels is not None:
            check_size(self.width, self.height, self.channels, max_pixels)

    @property
    def rows(self) -> int:
        """Rows that are stored together."""
        return self._tile[0]

    def read(
        self, top: int = 0, left: int = 0, height: int | None = None, width: int | None = None
    ) -> np.ndarray:
        """The samples of a part, or of all: `[height, width, channels]`, white as the largest number.

        Only strips and tiles that the part touches are read.

        Raises:
            UnreadableImage: They are damaged, or packed in a way that is not known.
        """
        height, width = height or self.height, width or self.width
        self._check_packing()
        part = np.empty([height, width, self.channels], self.dtype)
        rows, columns = self._tile
        if min(rows, columns) < 1 or rows * columns > max(self.height * self.width, LARGE_TILE):
            raise UnreadableImage(f"its strips or tiles are said to have {rows}x{columns} pixels")
        across, down = -(-self.width // columns), -(-self.height // rows)
        for band in range(self.channels if self._separate else 1):
            for i in range(top // rows, -(-(top + height) // rows)):
                for j in range(left // columns, -(-(left + width) // columns)):
                    tile = self._unpacked((band * down + i) * across + j, i * rows)
                    y, x = i * rows, j * columns
                    inside = tile[
                        max(top - y, 0) : top + height - y, max(left - x, 0) : left + width - x
                    ]
                    place = (
                        slice(max(y - top, 0), max(y - top, 0) + inside.shape[0]),
                        slice(max(x - left, 0), max(x - left, 0) + inside.shape[1]),
                        slice(band, band + 1) if self._separate else slice(None),
                    )
                    part[place] = inside
        if self.photometric == GREY_FROM_WHITE and self.dtype.kind == "u":
            part = (2**self._bits - 1 - part.astype(np.uint32)).astype(self.dtype)
        if self._is_scaled:
            part = np.round(part * np.float32(255 / (2**self._bits - 1))).astype(np.uint8)
        return part

    def _unpacked(self, number: int, top: int) -> np.ndarray:
        """The samples of a strip or tile: `[rows, columns, channels]`, one channel if separate."""
        rows, columns = self._tile
        if columns == self.width:  # the last strip may end early
            rows = min(rows, self.height - top)
        channels = 1 if self._separate else self.channels
        row_bytes = -(-columns * channels * self._bits // 8)
        try:
            if self._is_cut:
                self._file.seek(
                    self._places[number // -(-self.height // self._tile[0])] + top * row_bytes
                )
                packed = self._file.read(rows * row_bytes)
            else:
                self._file.seek(self._places[number])
                packed = self._file.read(min(self._counts[number], 2 * rows * row_bytes + 2**16))
        except (IndexError, OSError, ValueError, OverflowError) as error:
            raise UnreadableImage("it ends early") from error
        if self._compression in PICTURES:
            shape = (self._tile[0], columns, channels)
            is_ycbcr = self.photometric == YCBCR
            samples = unpack_picture(packed, self._compression, shape, self._jpeg_tables, is_ycbcr)
            if len(samples) < rows:
                raise UnreadableImage("it ends early")
            return samples[:rows].astype(self.dtype)
        packed = in_usual_order(packed) if self._fill_order == LOWEST_FIRST else packed
        content = unpack(packed, self._compression, rows, row_bytes)
        if len(content) < rows * row_bytes:
            raise UnreadableImage("it ends early")
        content = content[: rows * row_bytes]
        if self._is_packed and self._predictor == 1:
            samples = unpack_bits(content, rows, columns * channels, self._bits)
            return samples.reshape(rows, columns, channels).astype(self.dtype)
        if self._predictor == FLOATING and self.dtype.kind == "f":
            return self._from_floating_differences(content, rows, columns, channels)
        if self._is_packed or self._predictor not in (1, HORIZONTAL):
            raise UnreadableImage(f"its samples are differences of a kind {self._predictor}")
        samples = np.frombuffer(content, self.dtype.newbyteorder(self._order))
        samples = samples.reshape(rows, columns, channels).astype(self.dtype)
        if self._predictor == HORIZONTAL:
            np.cumsum(samples, axis=1, dtype=self.dtype, out=samples)
        return samples

    def _from_floating_differences(self, content, rows, columns, channels) -> np.ndarray:
        """Adobe Photoshop TIFF Technical Note 3: differences of bytes, the highest of all first."""
        size = self.dtype.itemsize
        data = np.frombuffer(content, np.uint8).reshape(rows, size * columns, channels)
        data = np.cumsum(data, axis=1, dtype=np.uint8).reshape(rows, size, columns * channels)
        data = np.ascontiguousarray(data.transpose(0, 2, 1))
        return (
            data.view(self.dtype.newbyteorder(">"))
            .reshape(rows, columns, channels)
            .astype(self.dtype)
        )
