"""Which format a file is of, by its first bytes, and Pillow's reader of it."""

import io

from PIL import (
    AvifImagePlugin,  # noqa: F401 (every plugin registers its format with Image.OPEN)
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    Jpeg2KImagePlugin,  # noqa: F401
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    PpmImagePlugin,  # noqa: F401
    TgaImagePlugin,
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from ..extras import how_to_install
from . import arrays
from .unreadable import UnreadableImage

# What is looked for in folders, by the format. The content tells what a file is.
SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jfif", ".jpe"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "JPEG2000": (".jp2", ".j2k", ".jpx"),
    "AVIF": (".avif",),
    "TGA": (".tga",),
    "HEIF": (".heic", ".heif"),
    "NumPy": (".npy", ".npz"),
    "DICOM": (".dcm", ".dicom"),
}
IMAGE_SUFFIXES = {suffix for suffixes in SUFFIXES.values() for suffix in suffixes}

# Pixels in files, which Pillow decodes by itself. It knows others that start a program (EPS does).
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
LFS = b"version https://git-lfs"
HEAD_BYTES = 132  # of a file, which tell its format


def format_of(head: bytes) -> str | None:
    """Which of the keys of `SUFFIXES` a file is, by its first `HEAD_BYTES`; None for none.

    Raises:
        UnreadableImage: It is one that this build of Pillow cannot read.
    """
    for name in FORMATS:
        _, accept = Image.OPEN[name]
        accepted = accept(head[:16])
        if isinstance(accepted, str):
            raise UnreadableImage(accepted)
        if accepted:
            return name
    if head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS:
        return "HEIF"
    if head.startswith(arrays.NPY):
        return "NumPy"
    if arrays.is_dicom(head):
        return "DICOM"
    return "TGA" if _looks_like_tga(head) else None


def open_image(encoded: bytes) -> Image.Image:
    """What Image.open does but for its limit on pixels, which is the whole program's to set.

    Raises:
        UnreadableImage: It is none that Pillow reads.
    """
    name = format_of(encoded[:HEAD_BYTES])
    if name in FORMATS:
        open_, _ = Image.OPEN[name]
        return open_(io.BytesIO(encoded), "")
    if name == "HEIF":
        return _open_heif(encoded)
    if name == "TGA":
        return TgaImagePlugin.TgaImageFile(io.BytesIO(encoded), "")
    if not encoded:
        raise UnreadableImage("it is empty")
    if encoded.startswith(LFS):
        raise UnreadableImage(
            "it is but a pointer of Git LFS to a picture: git lfs pull fetches it"
        )
    raise UnreadableImage(f"not an image: {', '.join(SUFFIXES)} are read")


def _open_heif(encoded: bytes) -> Image.Image:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise UnreadableImage(
            f"it is HEIC, which needs a package that is not there: {how_to_install('heic')}"
        ) from error
    return HeifImageFile(io.BytesIO(encoded), "")


def _looks_like_tga(head: bytes) -> bool:
    """TGA has no magic number: a header of 18 bytes whose fields all have values that exist."""
    if len(head) < 18:
        return False
    has_map, kind, depth, flags = head[1], head[2], head[16], head[17]
    depths = {1: (8,), 9: (8,), 2: (16, 24, 32), 10: (16, 24, 32), 3: (8, 16), 11: (8, 16)}
    return (
        has_map == (kind in (1, 9))
        and depth in depths.get(kind, ())
        and not flags & 0xC0
        and (has_map == 1 or head[3:8] == bytes(5))
    )
