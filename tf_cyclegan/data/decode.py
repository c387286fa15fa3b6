"""Encoded bytes to RGB pixels, whatever the format.

Pillow is called here and nowhere else to read a file, and what it raises on damaged ones, of which
there is no list, leaves as `UnreadableImage`.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import (
    AvifImagePlugin,  # noqa: F401 (every plugin registers its format with Image.OPEN)
    BmpImagePlugin,  # noqa: F401
    ExifTags,
    GifImagePlugin,  # noqa: F401
    Image,
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    PpmImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from ..settings import MAX_PIXELS
from .metadata import without_metadata

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff"}

# Pixels in files, which Pillow decodes by itself. It knows others that start a program (EPS does).
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
STRIP_PIXELS = 2**20  # of a picture that are converted at a time, by the way of larger types
_ORIENTATION = ExifTags.Base.Orientation
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


HALVES = ("left", "right")  # of a file that holds two pictures side by side


class UnreadableImage(Exception):
    """Bytes that are no image, or only part of one. The message says why."""


class TooManyPixels(UnreadableImage):
    """A picture that may be whole, and is larger than what was allowed."""


def decode_image(
    encoded: bytes, max_pixels: int = MAX_PIXELS, half: str | None = None
) -> Image.Image:
    """Decode any of `FORMATS` to an upright RGB image; its content tells which.

    Animations give their first frame, transparency is laid on white, 16-bit samples are scaled to 8,
    grey, palette and CMYK images become RGB, and the EXIF orientation is applied. An Exif block or a
    colour profile that is damaged is passed over.

    Args:
        encoded: The content of an image file.
        max_pixels: Do not decode an image that says it has more; few bytes can unpack to gigabytes.
            A picture takes 5 to 17 bytes of memory a pixel while it is decoded. A number above
            Pillow's own limit, `Image.MAX_IMAGE_PIXELS`, raises that.
        half: Which of `HALVES` to cut out of the upright image; None: all of it.

    Raises:
        UnreadableImage: The bytes are no image, end too early, hold too many pixels, or are no two
            pictures of one width where one is asked for.
    """
    image = _decode_what_is_whole(encoded, max_pixels)
    return image if half is None else _cut_half(image, half)


def _cut_half(image: Image.Image, half: str) -> Image.Image:
    width, height = image.size
    if width % 2:
        raise UnreadableImage(
            f"it is {width} pixels wide; two pictures side by side have an even width"
        )
    left = HALVES.index(half) * (width // 2)
    return image.crop((left, 0, left + width // 2, height))


def _decode_what_is_whole(encoded: bytes, max_pixels: int) -> Image.Image:
    try:
        return _decode(encoded, max_pixels)
    except TooManyPixels:
        raise
    except UnreadableImage:
        # What is damaged may be no part of the picture.
        for keep_exif in (True, False):
            rest = without_metadata(encoded, keep_exif)
            if rest != encoded:
                try:
                    return _decode(rest, max_pixels)
                except UnreadableImage:
                    continue
        raise


def decode_alpha(encoded: bytes) -> np.ndarray | None:
    """The transparency of a picture that `decode_image` has decoded: uint8 `[H, W]`, upright.

    Returns:
        255 where the picture covers all; None for one that does so everywhere.
    """
    try:
        with _pillow():
            image = _open(encoded)
            if not image.has_transparency_data:
                return None
            alpha = np.asarray(_upright(image).convert("RGBA").getchannel("A"))
    except UnreadableImage:
        return None  # what is damaged beside the picture, may be this
    return None if alpha.min() == 255 else alpha


def picture_size(path: Path) -> tuple[int, int] | None:
    """Height and width of a picture as its file says, before it is turned upright, which costs little.

    Returns:
        None for what does not say it.
    """
    try:
        with path.open("rb") as file, _pillow():
            name = format_of(file.read(16))
            if name is None:
                return None
            open_, _ = Image.OPEN[name]
            file.seek(0)
            width, height = open_(file, "").size
    except (UnreadableImage, OSError):
        return None
    return height, width


def decode_profile(encoded: bytes) -> bytes | None:
    """The ICC profile of a picture whose colours are RGB; None where there is no such profile."""
    try:
        with _pillow():
            profile = _open(encoded).info.get("icc_profile")
    except UnreadableImage:
        return None
    return profile if profile and profile[16:20] == b"RGB " else None


def rgb_of(image: Image.Image) -> Image.Image:
    """What `decode_image` makes of a file, of a picture that Pillow has opened.

    Raises:
        UnreadableImage: Its file is damaged.
    """
    with _pillow():
        image.load()
    image = _upright(image)
    with _pillow():
        return _to_rgb(image)


def decode_resized(
    encoded: bytes, shape: tuple[int, int], method: str, max_pixels: int = MAX_PIXELS
) -> np.ndarray:
    """Decode and scale to `shape`, whatever the aspect ratio: uint8 `[height, width, 3]`."""
    return resized(decode_image(encoded, max_pixels), shape, method)


def resized(image: Image.Image, shape: tuple[int, int], method: str) -> np.ndarray:
    """Scale an image to `shape`, whatever the aspect ratio: uint8 `[height, width, 3]`."""
    height, width = shape
    if image.size != (width, height):
        image = image.resize((width, height), RESAMPLING[method])
    return np.asarray(image)


def _decode(encoded: bytes, max_pixels: int) -> Image.Image:
    with _pillow():
        image = _open(encoded)
    width, height = image.size
    if width * height > max_pixels:
        raise TooManyPixels(
            f"{width}x{height} are {width * height:,} pixels, more than the {max_pixels:,} that "
            "--max-pixels allows"
        )
    if Image.MAX_IMAGE_PIXELS is not None:
        # Pillow compares once more while it loads a TIFF. What was allowed here is allowed there.
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, max_pixels)
    if image.format == "TIFF":
        _leave_out_all_exif_but_the_orientation(image)
    with _pillow():
        # Tells JPEGs that end early from whole ones.
        image.load()
    image = _upright(image)
    with _pillow():
        return _to_rgb(image)


@contextmanager
def _pillow() -> Iterator[None]:
    """Around what only Pillow can do wrong, and nothing of ours."""
    try:
        yield
    except MemoryError as error:
        raise UnreadableImage("it needs more memory than there is") from error
    except UnreadableImage:
        raise
    except Exception as error:
        words = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableImage(words) from error


def _open(encoded: bytes) -> Image.Image:
    """What Image.open does but for its limit on pixels, which is the whole program's to set."""
    name = format_of(encoded[:16])
    if name is None:
        raise UnreadableImage(f"not an image: {', '.join(FORMATS)} are read")
    open_, _ = Image.OPEN[name]
    return open_(io.BytesIO(encoded), "")


def format_of(head: bytes) -> str | None:
    """Which of `FORMATS` a file is, by its first 16 bytes; None for none.

    Raises:
        UnreadableImage: It is one that this build of Pillow cannot read.
    """
    for name in FORMATS:
        _, accept = Image.OPEN[name]
        accepted = accept(head)
        if isinstance(accepted, str):
            raise UnreadableImage(accepted)
        if accepted:
            return name
    return None


def _leave_out_all_exif_but_the_orientation(image: Image.Image) -> None:
    """Pillow follows the other tags of a TIFF when it loads the pixels, and stumbles over them."""
    try:
        exif = image.getexif()
        for tag in set(exif) - {_ORIENTATION}:
            del exif[tag]
    except Exception:
        return  # loading tells whether the pixels are whole


def _upright(image: Image.Image) -> Image.Image:
    """Turn as the orientation says; one that cannot be read is none."""
    try:
        turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION))
    except Exception:
        return image
    if turn is None:
        return image
    with _pillow():
        return image.transpose(turn)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "I" or image.mode.startswith("I;16"):
        image = _scaled_to_8_bits(image)
    if image.has_transparency_data:
        return _on_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _scaled_to_8_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits to 8; Pillow's own conversion would clip samples instead of scaling them."""
    grey = Image.new("L", image.size)
    for place, strip in _strips(image):
        samples = np.clip(np.asarray(strip).astype(np.int32), 0, 65535)
        grey.paste(Image.fromarray(((samples + 128) // 257).astype(np.uint8)), place)
    return grey


def _on_white(image: Image.Image) -> Image.Image:
    rgb = Image.new("RGB", image.size)
    for place, strip in _strips(image):
        white = Image.new("RGBA", strip.size, "white")
        rgb.paste(Image.alpha_composite(white, strip.convert("RGBA")).convert("RGB"), place)
    return rgb


def _strips(image: Image.Image) -> Iterator[tuple[tuple[int, int], Image.Image]]:
    """Pieces of an image as wide as it is, and the left upper corner of each."""
    width, height = image.size
    rows = max(1, STRIP_PIXELS // width)
    for top in range(0, height, rows):
        yield (0, top), image.crop((0, top, width, min(top + rows, height)))
