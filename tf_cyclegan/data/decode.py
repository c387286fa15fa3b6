"""Encoded bytes to pixels, whatever the format.

Pillow is called here and nowhere else to read a file, and what it raises on damaged ones, of which
there is no list, leaves as `UnreadableImage`.
"""

import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from ..pixels import RGB8, whole_range
from ..settings import MAX_PIXELS
from . import arrays
from .colour import CONVERTED, to_srgb
from .deep import ALPHA_BAND, ORIENTATION, STRIP_PIXELS, decode_deep
from .deep_colour import samples_to_srgb
from .left_out import FRAMES, left_out
from .metadata import without_metadata
from .picture import Picture, converted, resized
from .recognize import FORMATS, HEAD_BYTES, format_of, open_image
from .stated_colours import Stated, colours_of
from .tiff import Tiff
from .tiff_directory import MAGIC
from .unreadable import (
    TooManyPixels,
    UnreadableImage,
    check_size,
)
from .unreadable import library_errors as _pillow

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


def decode(
    encoded: bytes,
    max_pixels: int = MAX_PIXELS,
    half: str | None = None,
    keep_colour_space: bool = False,
    with_alpha: bool = False,
) -> Picture:
    """Decode a picture of any kind that is read, as it is in its file; its content tells which kind.

    Animations give their first frame, the EXIF orientation is applied, colours of 8 bits in another
    space than sRGB are converted to it. Samples of more than 8 bits keep their type and values.

    Args:
        encoded: The content of a file.
        max_pixels: Do not decode a picture that says it has more; few bytes can unpack to gigabytes.
            It takes 5 to 17 bytes of memory a pixel while it is decoded. A number above
            Pillow's own limit, `Image.MAX_IMAGE_PIXELS`, raises that.
        half: Which of `HALVES` to cut out of the upright picture; None: all of it.
        keep_colour_space: Leave colours as they are, whatever their profile says.
        with_alpha: Keep transparency as a channel, instead of laying it on white.

    Raises:
        UnreadableImage: The bytes are no picture, end too early, hold too many pixels, or are no two
            pictures of one width where one is asked for.
    """
    options = max_pixels, keep_colour_space, with_alpha
    picture = decode_deep(encoded, *options)
    if picture is None:
        picture = _decode_what_is_whole(encoded, *options)
    return picture if half is None else _cut_half(picture, half)


def decode_image(
    encoded: bytes,
    max_pixels: int = MAX_PIXELS,
    half: str | None = None,
    keep_colour_space: bool = False,
) -> Image.Image:
    """Decode a picture as `decode` does, to an upright RGB image of 8 bits, transparency on white.

    Grey ones become RGB, and 16-bit samples are scaled to 8, of their type's whole range.

    Raises:
        UnreadableImage: As there, or its samples do not become 8-bit colour by themselves.
    """
    picture = decode(encoded, max_pixels, half, keep_colour_space)
    image = converted(picture, RGB8, whole_range("uint16")).pixels
    assert isinstance(image, Image.Image)
    return image


def decode_alpha(encoded: bytes) -> np.ndarray | None:
    """The transparency of a picture that `decode_image` has decoded: uint8 `[H, W]`, upright.

    Returns:
        255 where the picture covers all; None for one that does so everywhere.
    """
    try:
        with _pillow():
            image = open_image(encoded)
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
            name = format_of(file.read(HEAD_BYTES))
            if name not in FORMATS:
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
            profile = colours_of(open_image(encoded), encoded)
    except UnreadableImage:
        return None
    return profile if isinstance(profile, bytes) and profile[16:20] == b"RGB " else None


def rgb_of(image: Image.Image) -> Image.Image:
    """What `decode_image` makes of a file, of a picture that Pillow has opened.

    Raises:
        UnreadableImage: Its file is damaged, or its samples do not become 8-bit colour by themselves.
    """
    picture = _loaded(image, b"", keep_colour_space=False, with_alpha=False)
    rgb = converted(picture, RGB8, whole_range("uint16")).pixels
    assert isinstance(rgb, Image.Image)
    return rgb


def decode_resized(
    encoded: bytes, shape: tuple[int, int], method: str, max_pixels: int = MAX_PIXELS
) -> np.ndarray:
    """Decode and scale to `shape`, whatever the aspect ratio: uint8 `[height, width, 3]`."""
    return resized(decode_image(encoded, max_pixels), shape, method)


def _cut_half(picture: Picture, half: str) -> Picture:
    height, width = picture.size
    if width % 2:
        raise UnreadableImage(
            f"it is {width} pixels wide; two pictures side by side have an even width"
        )
    left, right = HALVES.index(half) * (width // 2), (HALVES.index(half) + 1) * (width // 2)
    if isinstance(picture.pixels, Image.Image):
        return replace(picture, pixels=picture.pixels.crop((left, 0, right, height)))
    return replace(picture, pixels=picture.pixels[:, left:right])


def _decode_what_is_whole(encoded: bytes, *options) -> Picture:
    try:
        return _decode(encoded, *options)
    except TooManyPixels:
        raise
    except UnreadableImage:
        # What is damaged may be no part of the picture.
        for keep_exif in (True, False):
            rest = without_metadata(encoded, keep_exif)
            if rest != encoded:
                try:
                    return _decode(rest, *options)
                except UnreadableImage:
                    continue
        raise


def _decode(encoded: bytes, max_pixels: int, keep_colour_space: bool, with_alpha: bool) -> Picture:
    with _pillow():
        image = open_image(encoded)
    check_size(*image.size, 1, max_pixels)
    notes = []
    with suppress(UnreadableImage), _pillow():  # what is damaged beside the picture
        notes = left_out(encoded, image)
    if encoded.startswith(MAGIC):
        with suppress(UnreadableImage):
            notes += [FRAMES] if Tiff(io.BytesIO(encoded), None).has_more_pages else []
    if Image.MAX_IMAGE_PIXELS is not None:
        # Pillow compares once more while it loads a TIFF. What was allowed here is allowed there.
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, max_pixels)
    picture = _loaded(image, encoded, keep_colour_space, with_alpha)
    return replace(picture, notes=(*picture.notes, *notes))


def _loaded(
    image: Image.Image, encoded: bytes, keep_colour_space: bool, with_alpha: bool
) -> Picture:
    """What `decode` makes of a picture that Pillow has opened."""
    format_ = image.format
    if format_ == "TIFF":
        _leave_out_all_exif_but_the_orientation(image)
    with _pillow():
        # Tells JPEGs that end early from whole ones.
        image.load()
    profile = None
    if not keep_colour_space:
        with suppress(UnreadableImage), _pillow():  # what is damaged beside the picture
            profile = colours_of(image, encoded)
    image = _upright(image)
    with _pillow():
        if image.mode == "F" or image.mode.startswith("I"):
            samples = np.asarray(image)
            if image.mode == "I" and format_ == "PPM":  # scaled to 16 bits, whatever it had
                samples = samples.astype(np.uint16)
            samples, note = samples_to_srgb(arrays.as_known_type(samples[..., None]), profile)
            return Picture(samples, (note,) if note else ())
        return _grey_or_colour(image, format_, profile, with_alpha)


def _leave_out_all_exif_but_the_orientation(image: Image.Image) -> None:
    """Pillow follows the other tags of a TIFF when it loads the pixels, and stumbles over them."""
    try:
        exif = image.getexif()
        for tag in set(exif) - {ORIENTATION}:
            del exif[tag]
    except Exception:
        return  # loading tells whether the pixels are whole


def _upright(image: Image.Image) -> Image.Image:
    """Turn as the orientation says; one that cannot be read is none."""
    try:
        turn = _UPRIGHT.get(image.getexif().get(ORIENTATION))
    except Exception:
        return image
    if turn is None:
        return image
    with _pillow():
        return image.transpose(turn)


def _grey_or_colour(
    image: Image.Image, format_: str | None, profile: bytes | Stated | None, with_alpha: bool
) -> Picture:
    """An image of 8 bits as one of mode L or RGB, or of LA or RGBA where alpha is kept."""
    notes = []
    is_grey = image.mode in ("1", "L", "LA", "La")
    alpha = None
    if image.has_transparency_data:
        if format_ == "TIFF" and not with_alpha:
            notes.append(ALPHA_BAND)
        if with_alpha or profile:
            image = image.convert("RGBA")
            alpha = image.getchannel("A")
            image = image.convert("RGB")
            image = image.getchannel(0) if is_grey else image
        else:
            image = _on_white(image)
            image = image.getchannel(0) if is_grey else image
    elif image.mode == "CMYK" and profile:
        pass  # its colours are what the profile says
    else:
        wanted = "L" if is_grey else "RGB"
        image = image if image.mode == wanted else image.convert(wanted)
    image, space = to_srgb(image, profile)
    if image.mode == "CMYK":
        image = image.convert("RGB")
    if space:
        notes.append(f"{CONVERTED} from {space}")
    if alpha is not None:
        image.putalpha(alpha)
        if not with_alpha:
            image = _on_white(image)
            image = image.getchannel(0) if is_grey else image
    return Picture(image, tuple(notes))


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
