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
from PIL import ExifTags, Image

from ..pixels import RGB8, whole_range
from ..settings import MAX_PIXELS
from . import arrays, netpbm, tiff
from .colour import CONVERTED, to_srgb
from .deep_colour import samples_to_srgb
from .left_out import FRAMES, left_out, no_data
from .metadata import PNG_MAGIC, without_metadata
from .picture import Picture, converted, resized, simplest
from .recognize import FORMATS, HEAD_BYTES, format_of, open_image
from .unreadable import (
    TooManyPixels,
    UnreadableImage,
    check_size,
)
from .unreadable import library_errors as _pillow

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


_ALPHA_BAND = (
    "the last band taken for transparency, as its tag ExtraSamples says, and laid on white "
    "(with as many --channels-x as bands it stays one)"
)


_PALETTE_LEFT = (
    "a palette of more than 8 bits, which is not applied: its numbers are taken for values"
)


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
    picture = _decode_deep(encoded, *options)
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
            profile = open_image(encoded).info.get("icc_profile")
    except UnreadableImage:
        return None
    return profile if profile and profile[16:20] == b"RGB " else None


def rgb_of(image: Image.Image) -> Image.Image:
    """What `decode_image` makes of a file, of a picture that Pillow has opened.

    Raises:
        UnreadableImage: Its file is damaged, or its samples do not become 8-bit colour by themselves.
    """
    picture = _loaded(image, keep_colour_space=False, with_alpha=False)
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


def _decode_deep(
    encoded: bytes, max_pixels: int, keep_colour_space: bool, with_alpha: bool
) -> Picture | None:
    """Decode what Pillow does not know or would cut to 8 bits; None if it is not of that."""
    if encoded.startswith(arrays.NPY):
        return Picture(arrays.read_npy(encoded, max_pixels))
    if encoded.startswith(arrays.NPZ):
        return Picture(arrays.read_npz(encoded, max_pixels))
    if encoded[:2] in netpbm.COLOUR:
        deep = netpbm.read_deep_colour(encoded, max_pixels)
        return None if deep is None else Picture(arrays.as_known_type(deep))
    if arrays.is_dicom(encoded):
        samples, notes = arrays.read_dicom(encoded, max_pixels)
        return simplest(Picture(samples, tuple(notes)))
    if encoded.startswith(tiff.MAGIC):
        return _decode_deep_tiff(encoded, max_pixels, keep_colour_space, with_alpha)
    if encoded.startswith(PNG_MAGIC) and encoded[24:26] in (b"\x10\2", b"\x10\4", b"\x10\6"):
        return _decode_deep_png(encoded, max_pixels, keep_colour_space, with_alpha)
    return None


def _decode_deep_tiff(
    encoded: bytes, max_pixels: int, keep_colour_space: bool, with_alpha: bool
) -> Picture | None:
    try:
        file = tiff.Tiff(io.BytesIO(encoded), max_pixels)
    except TooManyPixels:
        raise
    except UnreadableImage:
        return None  # Pillow may read it nevertheless
    file.check_meaning()
    if file.is_plain and not file.is_beyond_pillow:
        return None
    samples = arrays.as_known_type(file.read())
    marked = no_data(samples, file.no_data)
    samples, note = samples_to_srgb(samples, None if keep_colour_space else file.profile)
    notes = [*([note] if note else []), *marked, *([FRAMES] if file.has_more_pages else [])]
    if file.has_palette:
        notes.append(_PALETTE_LEFT)
    if file.has_alpha and file.channels in (2, 4) and not with_alpha:
        samples = _array_on_white(samples, file.is_premultiplied)
        notes.append(_ALPHA_BAND)
    return simplest(Picture(_array_upright(samples, file.orientation), tuple(notes), file.white))


def _decode_deep_png(
    encoded: bytes, max_pixels: int, keep_colour_space: bool, with_alpha: bool
) -> Picture:
    """Colour of 16 bits, or grey with transparency, which Pillow cuts to 8."""
    width, height = (int.from_bytes(encoded[at : at + 4], "big") for at in (16, 20))
    check_size(width, height, 1, max_pixels)
    import tensorflow as tf

    try:
        samples = tf.io.decode_png(encoded, dtype=tf.uint16).numpy()
    except tf.errors.OpError as error:
        raise UnreadableImage("it is damaged, or ends early") from error
    orientation = profile = None
    with suppress(UnreadableImage), _pillow():  # damaged beside the picture, which is read by now
        image = open_image(encoded)
        profile = None if keep_colour_space else image.info.get("icc_profile")
        orientation = image.getexif().get(_ORIENTATION)
    samples, note = samples_to_srgb(samples, profile)
    if samples.shape[2] in (2, 4) and not with_alpha:
        samples = _array_on_white(samples)
    return Picture(_array_upright(samples, orientation), (note,) if note else ())


def _array_on_white(samples: np.ndarray, is_premultiplied: bool = False) -> np.ndarray:
    """Samples `[H, W, C + 1]` of whole numbers, the last the transparency, as `[H, W, C]` on white."""
    white = np.iinfo(samples.dtype).max
    laid = np.empty([*samples.shape[:2], samples.shape[2] - 1], samples.dtype)
    rows = max(1, STRIP_PIXELS // samples.shape[1])
    for top in range(0, len(samples), rows):
        strip = samples[top : top + rows].astype(np.float64)
        alpha = strip[..., -1:] / white
        there = strip[..., :-1] * (1 if is_premultiplied else alpha) + white * (1 - alpha)
        laid[top : top + rows] = np.round(np.minimum(there, white))
    return laid


def _array_upright(samples: np.ndarray, orientation: object) -> np.ndarray:
    """Turn `[H, W, C]` as an Exif orientation says."""
    if orientation in (5, 6, 7, 8):
        samples = samples.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    return np.ascontiguousarray(samples)


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
    if encoded.startswith(tiff.MAGIC):
        with suppress(UnreadableImage):
            notes += [FRAMES] if tiff.Tiff(io.BytesIO(encoded), None).has_more_pages else []
    if Image.MAX_IMAGE_PIXELS is not None:
        # Pillow compares once more while it loads a TIFF. What was allowed here is allowed there.
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, max_pixels)
    picture = _loaded(image, keep_colour_space, with_alpha)
    return replace(picture, notes=(*picture.notes, *notes))


def _loaded(image: Image.Image, keep_colour_space: bool, with_alpha: bool) -> Picture:
    """What `decode` makes of a picture that Pillow has opened."""
    format_ = image.format
    if format_ == "TIFF":
        _leave_out_all_exif_but_the_orientation(image)
    with _pillow():
        # Tells JPEGs that end early from whole ones.
        image.load()
    profile = None if keep_colour_space else image.info.get("icc_profile")
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


def _grey_or_colour(
    image: Image.Image, format_: str | None, profile: bytes | None, with_alpha: bool
) -> Picture:
    """An image of 8 bits as one of mode L or RGB, or of LA or RGBA where alpha is kept."""
    notes = []
    is_grey = image.mode in ("1", "L", "LA", "La")
    alpha = None
    if image.has_transparency_data:
        if format_ == "TIFF" and not with_alpha:
            notes.append(_ALPHA_BAND)
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
