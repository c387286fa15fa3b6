"""What the directory of a TIFF says of its first picture, and whether that can be read."""

from contextlib import suppress
from typing import BinaryIO

import numpy as np

from .tiff_packing import BEYOND_PILLOW, BY_PILLOW, NONE, PICTURES, READ, check_packing
from .unreadable import UnreadableImage, library_errors

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
ALPHA = ASSOCIATED, _ = (1, 2)  # of the tag ExtraSamples: associated, and not
# Of the tag PhotometricInterpretation.
GREY_FROM_WHITE, RGB, PALETTE, YCBCR = 0, 2, 3, 6
NOT_CONVERTED = {5: "CMYK", YCBCR: "YCbCr", 8: "Lab", 9: "Lab", 10: "Lab"}
SENSOR = (32803, 34892)
SEPARATE = 2  # of the tag PlanarConfiguration: band after band
LARGEST_PART = 2**28  # bytes of a row of tiles, or of a strip, that is unpacked for a part
NO_DATA = 42113  # GDAL's tag
STRIP_BYTES = 2**20  # that are read at a time of what is not packed


class Directory:
    """The directory of the first picture of a TIFF.

    Args:
        file: The TIFF.

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
        UnreadableImage: It is damaged.
    """

    def __init__(self, file: BinaryIO):
        self._file = file
        self._head = file.read(10)[8:]
        file.seek(0)
        with library_errors():
            self._read_directory()

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
        # In what is damaged they may be numbers.
        self._jpeg_tables = page.jpegtables if isinstance(page.jpegtables, bytes) else b""
        self.no_data = page.tags[NO_DATA].value if NO_DATA in page.tags else None
        profile = page.tags[34675].value if 34675 in page.tags else None
        self.profile = profile if isinstance(profile, bytes) else None
        is_preview = bool(page.subfiletype & 1) and 330 in page.tags  # the picture is in a SubIFD
        is_odd = pages.parent.is_bigtiff and self._order == ">"
        self.is_beyond_pillow = self.is_direct and (is_odd or self._compression in BEYOND_PILLOW)
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
        is_converted = self.photometric == YCBCR and self.channels == 3  # as it is unpacked
        return self.photometric <= RGB or (is_converted and self._compression in PICTURES)

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

    def _check_packing(self) -> None:
        if self.dtype is None:
            raise UnreadableImage(
                f"its samples have {self._bits} bits; whole numbers of up to 16 and 32 and floats of "
                "16, 32 and 64 are read"
            )
        check_packing(self._compression, 1 if self._separate else self.channels, self._bits)
