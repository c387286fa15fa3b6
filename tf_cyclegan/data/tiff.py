"""The samples of TIFFs that Pillow does not know or cuts to 8 bits: many bands, any type, by tile.

tifffile reads the directory. What a strip or tile holds is unpacked here, with libtiff by way of
Pillow, so that a few bytes cannot become gigabytes.
"""

import io
import struct
from typing import BinaryIO

import numpy as np
from PIL import Image, TiffImagePlugin

from .unreadable import UnreadableImage, check_size, library_errors

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PACKED = {
    1: "none",
    5: "LZW",
    8: "deflate",
    32773: "PackBits",
    32946: "deflate",
    50000: "Zstandard",
}
ALPHA = (1, 2)  # of the tag ExtraSamples: associated and not
GREY_FROM_WHITE, RGB = 0, 2  # of the tag PhotometricInterpretation
SEPARATE = 2  # of the tag PlanarConfiguration: band after band
LARGE_TILE = 2**22  # pixels; a tile may be larger than its picture, but not by more
HORIZONTAL, FLOATING = 2, 3  # of the tag Predictor


class Tiff:
    """The first picture of a TIFF, of which any part can be read.

    Args:
        file: The TIFF; it is read when samples are asked for.
        max_pixels: See `unreadable.check_size`; None is not compared, for who reads parts alone.

    Attributes:
        height, width, channels: Of the picture as it is stored.
        dtype: Of its samples; None where they are packed in other than whole bytes.
        photometric: What the samples mean, as a number of the tag.
        extra: The tag ExtraSamples: what each channel beyond the photometric ones is.
        orientation: As in Exif.
        has_profile: Whether there is a colour profile.

    Raises:
        UnreadableImage: It is damaged, or has too many pixels.
    """

    def __init__(self, file: BinaryIO, max_pixels: int | None):
        self._file = file
        with library_errors():
            self._read_directory()
        if max_pixels is not None:
            check_size(self.width, self.height, self.channels, max_pixels)

    def _read_directory(self) -> None:
        import tifffile

        page = tifffile.TiffFile(self._file).pages.first
        self.height, self.width = int(page.imagelength), int(page.imagewidth)
        self.channels = int(page.samplesperpixel)
        if min(self.height, self.width, self.channels) < 1 or page.imagedepth != 1:
            raise UnreadableImage("it has no pixels")
        whole_bytes = page.dtype is not None and page.bitspersample == 8 * page.dtype.itemsize
        self.dtype = page.dtype if whole_bytes else None
        self._bits = int(page.bitspersample)
        self.photometric, self.extra = int(page.photometric), tuple(map(int, page.extrasamples))
        tag = page.tags.get(274)
        self.orientation = tag.value if tag is not None else 1
        self._separate = page.planarconfig == SEPARATE and self.channels > 1
        self._tile = (
            (int(page.tilelength), int(page.tilewidth))
            if page.is_tiled
            else (min(int(page.rowsperstrip), self.height), self.width)
        )
        self._order, self._predictor = page.parent.byteorder, int(page.predictor)
        self._compression = int(page.compression)
        self._places = [int(place) for place in page.dataoffsets]
        self._counts = [int(count) for count in page.databytecounts]
        self._fill_order = int(page.fillorder)
        self.has_profile = 34675 in page.tags

    @property
    def is_plain(self) -> bool:
        """Whether it is grey or colour of up to 8 bits, which Pillow reads as it is."""
        if self._bits <= 8 and self.dtype != np.int8:
            known = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}.get(self.photometric)
            extra = self.channels - (known or 0)
            return known is not None and (extra == 0 or (extra == 1 and self.has_alpha))
        return False

    @property
    def has_alpha(self) -> bool:
        """Whether the file says that its last channel is transparency."""
        return bool(self.extra) and self.extra[-1] in ALPHA

    @property
    def bytes(self) -> int:
        """What all samples take in memory."""
        size = self.dtype.itemsize if self.dtype is not None else 1
        return self.height * self.width * self.channels * size

    @property
    def is_read_by_part(self) -> bool:
        """Whether parts are read as the whole would be: upright, no palette, no transparency."""
        return (
            self.dtype is not None
            and self._compression in PACKED
            and self.photometric <= RGB
            and self.orientation == 1
            and not self.has_alpha
        )

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
        if self.dtype is None or self._fill_order != 1:
            raise UnreadableImage("its samples are packed in other than whole bytes")
        if self._compression not in PACKED:
            raise UnreadableImage(
                f"it is packed with method {self._compression}; {', '.join(PACKED.values())} are read"
            )
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
            part = np.iinfo(self.dtype).max - part
        return part

    def _unpacked(self, number: int, top: int) -> np.ndarray:
        """The samples of a strip or tile: `[rows, columns, channels]`, one channel if separate."""
        rows, columns = self._tile
        if columns == self.width:  # the last strip may end early
            rows = min(rows, self.height - top)
        channels = 1 if self._separate else self.channels
        row_bytes = columns * channels * self.dtype.itemsize
        try:
            self._file.seek(self._places[number])
            packed = self._file.read(min(self._counts[number], 2 * rows * row_bytes + 2**16))
        except (IndexError, OSError, ValueError, OverflowError) as error:
            raise UnreadableImage("it ends early") from error
        content = packed
        if PACKED[self._compression] != "none":
            content = _unpack(packed, self._compression, rows, row_bytes)
        if len(content) < rows * row_bytes:
            raise UnreadableImage("it ends early")
        content = content[: rows * row_bytes]
        if self._predictor == FLOATING and self.dtype.kind == "f":
            return self._from_floating_differences(content, rows, columns, channels)
        samples = np.frombuffer(content, self.dtype.newbyteorder(self._order))
        samples = samples.reshape(rows, columns, channels).astype(self.dtype)
        if self._predictor == HORIZONTAL:
            np.cumsum(samples, axis=1, dtype=self.dtype, out=samples)
        elif self._predictor != 1:
            raise UnreadableImage(f"its samples are differences of a kind {self._predictor}")
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


def _unpack(packed: bytes, compression: int, rows: int, row_bytes: int) -> bytes:
    """Unpack bytes, as a grey TIFF of 8 bits and one strip around them, which Pillow reads."""
    tags = {256: row_bytes, 257: rows, 258: 8, 259: compression, 262: 1, 273: 0, 277: 1, 278: rows}
    tags |= {279: len(packed)}
    start = 8 + 2 + 12 * len(tags) + 4
    tags[273] = start
    directory = b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in tags.items())
    header = b"II*\0" + struct.pack("<LH", 8, len(tags)) + directory + bytes(4)
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, rows * row_bytes)
    with library_errors(), TiffImagePlugin.TiffImageFile(io.BytesIO(header + packed)) as image:
        return image.tobytes()
