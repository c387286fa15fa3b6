"""What a strip or tile of a TIFF holds, unpacked so that a few bytes cannot become gigabytes.

Pillow unpacks: libtiff by way of a file made around the bytes, and JPEG, which says its size first.
"""

import io
import struct

import numpy as np
from PIL import Image, JpegImagePlugin, TiffImagePlugin

from .unreadable import UnreadableImage, library_errors

NONE, JPEG = 1, 7  # of the tag Compression
READ = {
    NONE: "nothing",
    5: "LZW",
    JPEG: "JPEG of 8 bits",
    8: "deflate",
    32773: "PackBits",
    32946: "deflate",
    34925: "LZMA",
    50000: "Zstandard",
}
BY_PILLOW = {2: "fax", 3: "fax", 4: "fax", 6: "JPEG of before 1995"}  # of whole pictures alone
OTHERS = {
    **{34661: "JBIG", 34887: "LERC", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL"},
    **{33003: "JPEG 2000", 33005: "JPEG 2000", 34712: "JPEG 2000"},
}
JPEG_CHANNELS = (1, 3, 4)
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
    if compression == JPEG:
        is_known = channels in JPEG_CHANNELS and bits == 8
    if is_known:
        return
    name = (BY_PILLOW | OTHERS).get(compression, f"method {compression}")
    if compression == JPEG:
        name = f"JPEG of {bits} bits and {channels} channels"
    known = ", ".join(dict.fromkeys(READ.values()))
    raise UnreadableImage(
        f"its samples are packed with {name}, which is not read ({known} are): "
        "pack it anew, as libtiff's tiffcp -c zip IN.tif OUT.tif does"
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


def unpack_jpeg(packed: bytes, tables: bytes, shape: tuple[int, int, int], is_ycbcr: bool) -> bytes:
    """Unpack a JPEG of a strip or tile.

    Args:
        packed: The JPEG, which may lack what `tables` has.
        tables: The tag JPEGTables: a JPEG of tables alone, or nothing.
        shape: Rows, columns and channels that it holds; the last strip may have fewer rows.
        is_ycbcr: Its three channels are YCbCr, and become RGB.

    Returns:
        The samples of all its rows.

    Raises:
        UnreadableImage: It is damaged, or of another shape.
    """
    rows, columns, channels = shape
    common = tables.removeprefix(_START).removesuffix(_END)
    marker = _ADOBE + bytes([is_ycbcr]) if channels == 3 else b""
    whole = _START + marker + common + packed.removeprefix(_START)
    with library_errors(), JpegImagePlugin.JpegImageFile(io.BytesIO(whole)) as image:
        width, height = image.size
        if width != columns or height > rows or image.layers != channels:
            raise UnreadableImage(
                f"a strip or tile of {columns}x{rows} pixels and {channels} channels holds a JPEG of "
                f"{width}x{height} and {image.layers}"
            )
        samples = np.asarray(image)
    if channels == 4:  # Pillow turns over what it takes for ink
        samples = 255 - samples
    return samples.tobytes()


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
