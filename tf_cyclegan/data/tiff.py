"""The samples of TIFFs that Pillow does not know or cuts to 8 bits: many bands, any type, by tile.

tifffile reads the directory; what a strip or tile holds is unpacked in `tiff_packing`.
"""

from contextlib import suppress
from typing import BinaryIO

import numpy as np

from .tiff_packing import (
    BY_PILLOW,
    JPEG,
    NONE,
    READ,
    check_packing,
    in_usual_order,
    unpack,
    unpack_bits,
    unpack_jpeg,
)
from .unreadable import UnreadableImage, check_size, library_errors

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
ALPHA = ASSOCIATED, _ = (1, 2)  # of the tag ExtraSamples: associated, and not
# Of the tag PhotometricInterpretation.
GREY_FROM_WHITE, RGB, PALETTE, YCBCR = 0, 2, 3, 6
NOT_CONVERTED = {5: "CMYK", YCBCR: "YCbCr", 8: "Lab", 9: "Lab", 10: "Lab"}
SENSOR = (32803, 34892)
SEPARATE = 2  # of the tag PlanarConfiguration: band after band
LARGEST_PART = 2**28  # bytes of a row of tiles, or of a strip, that is unpacked for a part
LARGE_TILE = 2**22  # pixels; a tile may be larger than its picture, but not by more
NO_DATA = 42113  # GDAL's tag
HORIZONTAL, FLOATING = 2, 3  # of the tag Predictor
LOWEST_FIRST = 2  # of the tag FillOrder
STRIP_BYTES = 2**20  # that are read at a time of what is not packed


class Tiff:
    """The first picture of a TIFF, of which any part can be read.

    Args:
        file: The TIFF; it is read when samples are asked for.
        max_pixels: See `unreadable.check_size`; None is not compared, for who reads parts alone.

    Attributes:
        height, width, channels: Of the picture as it is stored.
        dtype: Of its samples; None where there is no such type.
        has_more_pages: Whether other pictures follow it.
        is_beyond_pillow: Whether it is of a kind that Pillow gets wrong, but for what it holds.
        photometric: What the samples mean, as a number of the tag.
        extra: The tag ExtraSamples: what each channel beyond the photometric ones is.
        orientation: As in Exif.
        profile: The colour profile, or None.
        no_data: What marks samples that are none, as GDAL writes it; None for nothing.

    Raises:
        UnreadableImage: It is damaged, or has too many pixels.
    """

    def __init__(self, file: BinaryIO, max_pixels: int | None):
        self._file = file
        self._head = file.read(10)[8:]
        file.seek(0)
        with library_errors():
            self._read_directory()
        if max_pixels is not None:
            check_size(self.width, self.height, self.channels, max_pixels)

    def _read_directory(self) -> None:
        import tifffile

        pages = tifffile.TiffFile(self._file).pages
        page = pages.first
        self.height, self.width = int(page.imagelength), int(page.imagewidth)
        self.channels = int(page.samplesperpixel)
        if min(self.height, self.width, self.channels) < 1:
            raise UnreadableImage("it has no pixels")
        self._is_volume = page.imagedepth != 1
        self._bits, self.dtype = int(page.bitspersample), page.dtype
        size = 8 * page.dtype.itemsize if page.dtype is not None else 0
        if self.dtype is None or self._bits != size:
            is_packed = self._bits < 16 and self.dtype is not None and self.dtype.kind in "bu"
            self.dtype = np.dtype(np.uint8 if self._bits < 8 else np.uint16) if is_packed else None
        self._is_packed = self.dtype is not None and self._bits != 8 * self.dtype.itemsize
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
        # Some programs write one strip of gigabytes, of which rows are read where nothing is packed.
        self._is_cut = (
            self._compression == NONE and not page.is_tiled and self._tile[0] == self.height
        )
        if self._is_cut:
            row_bytes = self.width * (1 if self._separate else self.channels) * self._bits / 8
            self._tile = (min(self.height, max(1, int(STRIP_BYTES / row_bytes))), self.width)
        self._fill_order = int(page.fillorder)
        self._jpeg_tables = page.jpegtables or b""
        self.no_data = page.tags[NO_DATA].value if NO_DATA in page.tags else None
        self.profile = page.tags[34675].value if 34675 in page.tags else None
        is_preview = bool(page.subfiletype & 1) and 330 in page.tags  # the picture is in a SubIFD
        self.is_beyond_pillow = pages.parent.is_bigtiff and self._order == ">" and self.is_direct
        self.has_more_pages = False
        with suppress(IndexError):  # smaller copies of the first are no pages
            self.has_more_pages = not pages[1].subfiletype & 1
        self._is_raw = is_preview or self.photometric in SENSOR or self._head == b"CR"

    def check_meaning(self) -> None:
        """See that it is a picture, and that its samples mean what they are taken for.

        Raises:
            UnreadableImage: It is a raw photograph or a volume, packed in a way that is not known, or
                its colours are others than RGB and not of the 8 bits that Pillow converts.
        """
        if self._is_raw:
            raise UnreadableImage(
                "it is a raw photograph, of which only a preview or the sensor's own samples could be "
                "read: develop it to a picture first"
            )
        if self._is_volume:
            raise UnreadableImage("it is a volume: save its slices as pictures")
        if not self.is_plain or self._compression not in READ | BY_PILLOW:
            self._check_packing()
        if not self.is_plain and self.photometric in NOT_CONVERTED:
            raise UnreadableImage(
                f"its colours are {NOT_CONVERTED[self.photometric]} of {self.channels} channels and "
                f"{self._bits} bits, which are not converted: save it in RGB"
            )

    @property
    def is_plain(self) -> bool:
        """Whether it is grey or colour of up to 8 bits, which Pillow reads as it is."""
        return self._is_small and not self._is_scaled

    @property
    def _is_scaled(self) -> bool:
        """Whether it is grey or colour of 2 to 7 bits, which becomes that of 8; Pillow knows some."""
        return self._is_small and self.photometric <= RGB and self._is_packed and self._bits > 1

    @property
    def _is_small(self) -> bool:
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
    def is_premultiplied(self) -> bool:
        """Whether its colours are multiplied by the transparency already."""
        return bool(self.extra) and self.extra[-1] == ASSOCIATED

    @property
    def white(self) -> int | None:
        """The largest sample that its bits allow, where that is less than the type's."""
        return 2**self._bits - 1 if self._is_packed and not self._is_scaled else None

    @property
    def has_palette(self) -> bool:
        """Whether its samples are numbers of colours."""
        return self.photometric == PALETTE

    @property
    def bytes(self) -> int:
        """What all samples take in memory."""
        return self._bytes_of(self.height)

    def _bytes_of(self, rows: int) -> int:
        size = self.dtype.itemsize if self.dtype is not None else 1
        return rows * self.width * self.channels * size

    @property
    def is_direct(self) -> bool:
        """Whether its samples are values as they are read: no palette, no other colours than RGB."""
        return self.photometric <= RGB or self._is_ycbcr_jpeg

    @property
    def _is_ycbcr_jpeg(self) -> bool:
        return (self.photometric, self._compression, self.channels) == (YCBCR, JPEG, 3)

    @property
    def is_read_by_part(self) -> bool:
        """Whether parts are read, as the whole would be: upright, no palette, no transparency."""
        try:
            self._check_packing()
        except UnreadableImage:
            return False
        is_upright = self.orientation == 1 and not self.has_alpha
        is_picture = not self._is_raw and not self._is_volume
        is_read = self.is_direct and self._bits > 1 and is_picture
        return is_read and is_upright and self.has_small_parts

    @property
    def has_small_parts(self) -> bool:
        """Whether little more than a part has to be unpacked for it: strips may be the whole."""
        return self._bytes_of(self._tile[0]) <= LARGEST_PART

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

    def _check_packing(self) -> None:
        if self.dtype is None:
            raise UnreadableImage(
                f"its samples have {self._bits} bits; whole numbers of up to 16 and 32 and floats of "
                "16, 32 and 64 are read"
            )
        check_packing(self._compression, 1 if self._separate else self.channels, self._bits)

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
        if self._compression == JPEG:
            most = (self._tile[0], columns, channels)
            content = unpack_jpeg(packed, self._jpeg_tables, most, self._is_ycbcr_jpeg)
        else:
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
