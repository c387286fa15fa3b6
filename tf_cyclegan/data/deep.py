"""What Pillow does not know, gets wrong or would cut to 8 bits: samples of any type and number."""

import io
from contextlib import suppress

import numpy as np
from PIL import ExifTags

from . import arrays, netpbm
from .deep_colour import samples_to_srgb
from .left_out import FRAMES, no_data
from .metadata import PNG_MAGIC
from .picture import Picture, simplest
from .recognize import open_image
from .stated_colours import colours_of
from .tiff import Tiff
from .tiff_directory import MAGIC
from .unreadable import TooManyPixels, UnreadableImage, check_size, library_errors

STRIP_PIXELS = 2**20  # of a picture that are converted at a time, by the way of larger types
ORIENTATION = ExifTags.Base.Orientation
ALPHA_BAND = (
    "the last band taken for transparency, as its tag ExtraSamples says, and laid on white "
    "(with as many --channels-x as bands it stays one)"
)
PALETTE_LEFT = (
    "a palette of more than 8 bits, which is not applied: its numbers are taken for values"
)


def decode_deep(
    encoded: bytes, max_pixels: int, keep_colour_space: bool, with_alpha: bool
) -> Picture | None:
    """Decode what Pillow does not know, gets wrong or would cut to 8 bits; None if it is none of that.

    Args:
        encoded, max_pixels, keep_colour_space, with_alpha: As in `decode.decode`.

    Raises:
        UnreadableImage: It is damaged, or of a kind that is not read.
    """
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
    if encoded.startswith(MAGIC):
        return _decode_deep_tiff(encoded, max_pixels, keep_colour_space, with_alpha)
    if encoded.startswith(PNG_MAGIC) and encoded[24:26] in (b"\x10\2", b"\x10\4", b"\x10\6"):
        return _decode_deep_png(encoded, max_pixels, keep_colour_space, with_alpha)
    return None


def read_tiff(file: Tiff, keep_colour_space: bool, *place: int) -> Picture:
    """Read a TIFF as it is stored, or a part of it, but for its colours, which become sRGB.

    Args:
        file: Of a kind that is read so.
        keep_colour_space: Leave them as they are, too.
        *place: Top, left, height and width of the part.

    Raises:
        UnreadableImage: It is damaged, or its samples are of no known type.
    """
    samples = arrays.as_known_type(file.read(*place))
    marked = no_data(samples, file.no_data)
    samples, note = samples_to_srgb(samples, None if keep_colour_space else file.profile)
    notes = [*([note] if note else []), *marked, *([FRAMES] if file.has_more_pages else [])]
    return Picture(samples, tuple(notes), file.white)


def _decode_deep_tiff(
    encoded: bytes, max_pixels: int, keep_colour_space: bool, with_alpha: bool
) -> Picture | None:
    try:
        file = Tiff(io.BytesIO(encoded), max_pixels)
    except TooManyPixels:
        raise
    except UnreadableImage:
        return None  # Pillow may read it nevertheless
    file.check_meaning()
    if file.is_plain and not file.is_beyond_pillow:
        return None
    picture = read_tiff(file, keep_colour_space)
    samples, notes = picture.samples, list(picture.notes)
    if file.has_palette:
        notes.append(PALETTE_LEFT)
    is_laid = file.has_alpha and file.channels in (2, 4) and samples.dtype.kind == "u"
    if is_laid and not with_alpha:
        samples = array_on_white(samples, file.is_premultiplied)
        notes.append(ALPHA_BAND)
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
    with suppress(UnreadableImage), library_errors():  # of what is beside the picture
        image = open_image(encoded)
        profile = None if keep_colour_space else colours_of(image, encoded)
        orientation = image.getexif().get(ORIENTATION)
    samples, note = samples_to_srgb(samples, profile)
    if samples.shape[2] in (2, 4) and not with_alpha:
        samples = array_on_white(samples)
    return Picture(_array_upright(samples, orientation), (note,) if note else ())


def array_on_white(samples: np.ndarray, is_premultiplied: bool = False) -> np.ndarray:
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
