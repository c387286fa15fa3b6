"""What a strip or tile of a TIFF holds, unpacked so that a few bytes cannot become gigabytes.

Pillow unpacks: libtiff by way of a file made around the bytes, and pictures, which say their size.
"""

import io
import struct

import numpy as np
from PIL import (
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from .unreadable import UnreadableImage, library_errors

# Of the tag Compression.
NONE, JPEG, WEBP, J2K_YCBCR, J2K_RGB, J2K = 1, 7, 50001, 33003, 33005, 34712
READ = {
    NONE: "nothing",
    5: "LZW",
    JPEG: "JPEG of 8 bits",
    8: "deflate",
    32773: "PackBits",
    32946: "deflate",
    34925: "LZMA",
    50000: "Zstandard",
    WEBP: "WebP",
    **dict.fromkeys((J2K_YCBCR, J2K_RGB, J2K), "JPEG 2000"),
}
BY_PILLOW = {2: "fax", 3: "fax", 4: "fax", 6: "JPEG of before 1995"}  # of whole pictures alone
BEYOND_PILLOW = (WEBP, J2K_YCBCR, J2K_RGB, J2K)
OTHERS = {34661: "JBIG", 34887: "LERC", 50002: "JPEG XL", 52546: "JPEG XL"}
# Pictures within strips and tiles: how many channels they have together.
PICTURES = {JPEG: (1, 3, 4), WEBP: (3, 4), **dict.fromkeys((J2K_YCBCR, J2K_RGB, J2K), (1, 2, 3, 4))}
_START, _END = b"\xff\xd8", b"\xff\xd9"  # of a JPEG
# Adobe's marker, whose last byte says whether three channels are YCbCr (libjpeg would have to guess).
_ADOBE = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0"
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def check_packing(compression: int, channels: int, bits: int) -> None:
    """See that samples packed in a way can be unpacked.

    Args:
        compression: The number of the way.
        channels: That are packed together.
        bits: Of a sample.

    Raises:
        UnreadableImage: They cannot.
    """
    is_known = compression in READ
    name = (BY_PILLOW | OTHERS | READ).get(compression, f"method {compression}")
    if compression in PICTURES:
        most = 16 if channels == 1 and READ[compression] == "JPEG 2000" else 8
        is_known = channels in PICTURES[compression] and bits in (8, most)
        name = f"{name.split(' of')[0]} of {bits} bits and {channels} channels"
    if is_known:
        return
    known = ", ".join(dict.fromkeys(READ.values()))
    raise UnreadableImage(
        f"its samples are packed with {name}, which is not read ({known} are): pack it anew, as "
        "gdal_translate -co COMPRESS=DEFLATE IN.tif OUT.tif or tiffcp -c zip IN.tif OUT.tif do"
    )


def unpack(packed: bytes, compression: int, rows: int, row_bytes: int) -> bytes:
    """Unpack bytes, as a grey TIFF of 8 bits and one strip around them, which Pillow reads.

    Raises:
        UnreadableImage: They are damaged.
    """
    if compression == NONE:
        return packed
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


def unpack_picture(
    packed: bytes, compression: int, shape: tuple[int, int, int], tables: bytes, is_ycbcr: bool
) -> np.ndarray:
    """Unpack the picture that a strip or tile is.

    Args:
        packed: Of a kind of `PICTURES`; a JPEG may lack what `tables` has.
        compression: Which kind.
        shape: Rows, columns and channels that it holds; the last strip may have fewer rows.
        tables: The tag JPEGTables: a JPEG of tables alone, or nothing.
        is_ycbcr: The three channels of a JPEG are YCbCr, and become RGB.

    Returns:
        `[rows, columns, channels]`, all rows that it has.

    Raises:
        UnreadableImage: It is damaged, or of another shape.
    """
    rows, columns, channels = shape
    open_ = {JPEG: JpegImagePlugin.JpegImageFile, WEBP: WebPImagePlugin.WebPImageFile}
    if compression == JPEG:
        common = tables.removeprefix(_START).removesuffix(_END)
        marker = _ADOBE + bytes([is_ycbcr]) if channels == 3 else b""
        packed = _START + marker + common + packed.removeprefix(_START)
    with (
        library_errors(),
        open_.get(compression, Jpeg2KImagePlugin.Jpeg2KImageFile)(io.BytesIO(packed)) as image,
    ):
        (width, height), there = image.size, len(image.getbands())
        if compression == WEBP and (there, channels) == (3, 4):  # where all of it is opaque
            image, there = image.convert("RGBA"), 4
        if width != columns or height > rows or there != channels:
            raise UnreadableImage(
                f"a strip or tile of {columns}x{rows} pixels of {channels} channels holds a picture of "
                f"{width}x{height} and {there}"
            )
        if compression == J2K_YCBCR and channels == 3:
            image = Image.merge("YCbCr", image.split()).convert("RGB")
        samples = np.asarray(image).reshape(height, width, channels)
    # Pillow turns over what it takes for ink.
    return 255 - samples if compression == JPEG and channels == 4 else samples


def unpack_bits(content: bytes, rows: int, count: int, bits: int) -> np.ndarray:
    """Samples of other than whole bytes, the highest bit first, each row beginning with a byte.

    Args:
        content: The rows.
        rows: Their number.
        count: Of the samples in a row.
        bits: Of a sample, at most 16.

    Returns:
        uint16 `[rows, count]`.

    Raises:
        UnreadableImage: The rows end early.
    """
    row_bytes = -(-count * bits // 8)
    if len(content) < rows * row_bytes:
        raise UnreadableImage("it ends early")
    packed = np.frombuffer(content, np.uint8, rows * row_bytes).reshape(rows, row_bytes)
    samples = np.empty([rows, count], np.uint16)
    first_bit = np.arange(count) * bits
    byte, shift = first_bit // 8, 24 - bits - first_bit % 8
    padded = np.zeros([row_bytes + 2], np.uint32)  # a sample lies in three bytes at the most
    for row in range(rows):
        padded[:row_bytes] = packed[row]
        three = padded[byte] << 16 | padded[byte + 1] << 8 | padded[byte + 2]
        samples[row] = three >> shift & (2**bits - 1)
    return samples


def in_usual_order(packed: bytes) -> bytes:
    """Bytes whose lowest bit comes first, as the tag FillOrder can say, with the highest first."""
    return packed.translate(_REVERSED)
