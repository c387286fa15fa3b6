"""A picture in a file with what belongs to it: its transparency and its colour space."""

import io
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from ..data.carried import NOTHING, Carried, read_carried
from ..data.colour import CONVERTED
from ..data.decode import decode, decode_alpha, decode_profile
from ..data.encode import SAMPLE_SUFFIXES, encode_samples, write_tiff
from ..data.picture import converted, resized
from ..pixels import RGB8, PixelFormat
from .targets import Kind

WITH_EXIF = ("JPEG", "PNG", "WEBP", "AVIF")  # what is written with Exif, beside TIFF
WITH_DPI = ("JPEG", "PNG", "BMP")  # and with a resolution beside it
QUALITY = 95  # of what loses detail, where nothing else is asked for


@dataclass(frozen=True)
class Picture:
    """A picture, upright.

    Attributes:
        pixels: uint8 `[H, W, 3]`, what is transparent lies on white; or samples of another domain.
        alpha: uint8 `[H, W]`, 255 where it covers all; None for a picture without transparency.
        profile: ICC profile that says what its colours are; None for sRGB.
        carried: What its file says beside it.
        notes: What was done to it that its owner should know.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    profile: bytes | None = None
    carried: Carried = NOTHING
    notes: tuple[str, ...] = ()

    def with_pixels(self, pixels: np.ndarray) -> "Picture":
        """The same with other pixels, of the same size."""
        return replace(self, pixels=pixels)

    def beside(self, other: "Picture") -> "Picture":
        """This picture to the left of another of its size and kind."""
        alpha = None if self.alpha is None else np.concatenate([self.alpha, other.alpha], axis=1)
        pixels = np.concatenate([self.pixels, other.pixels], axis=1)
        return Picture(pixels, alpha, self.profile, self.carried.elsewhere())


def read_picture(
    encoded: bytes,
    max_pixels: int,
    keep_alpha: bool,
    keep_colour_space: bool = False,
    takes: PixelFormat = RGB8,
    window: tuple[float, float] | None = None,
    max_side: int | None = None,
    keep_exif: bool = True,
) -> Picture:
    """Decode a picture of any kind that the package reads.

    Args:
        encoded: Content of the file.
        max_pixels: One that has more is not decoded.
        keep_alpha: Keep the transparency, beside laying the picture on white.
        keep_colour_space: Leave colours as they are, and keep the profile that says what they are;
            otherwise they become sRGB.
        takes: What the pixels that a model takes are.
        window: What becomes black and white where a picture has more bits than the model.
        max_side: Scale it down until no side is longer; None for as it is.
        keep_exif: Keep what the file says beside the picture.

    Raises:
        UnreadableImage: The bytes are no whole picture, or not of such pixels.
    """
    with_alpha = takes.channels in (2, 4)
    decoded = decode(encoded, max_pixels, None, keep_colour_space, with_alpha)
    picture = converted(decoded, takes, window)
    size = scaled_size(picture.size, max_side)
    pixels = resized(picture.pixels, size, "bicubic")
    carried = read_carried(encoded) if keep_exif else NOTHING
    if size != picture.size:
        carried = carried.elsewhere()
    if takes != RGB8:
        return Picture(pixels, carried=carried, notes=picture.notes)
    alpha = decode_alpha(encoded) if keep_alpha else None
    if alpha is not None:
        alpha = resized(Image.fromarray(alpha), size, "bicubic")[..., 0]
    # What was not converted to sRGB keeps the profile that says what it is.
    is_converted = any(note.startswith(CONVERTED) for note in decoded.notes)
    profile = None if is_converted else decode_profile(encoded)
    return Picture(pixels, alpha, profile, carried, picture.notes)


def scaled_size(size: tuple[int, int], max_side: int | None) -> tuple[int, int]:
    """Two sides scaled down alike until none is longer than `max_side`; None for as they are."""
    scale = 1 if max_side is None else min(1, max_side / max(size))
    one, other = (max(1, round(side * scale)) for side in size)
    return one, other


def encode_picture(picture: Picture, kind: Kind, quality: int | None = None) -> bytes:
    """Encode a picture.

    Its transparency is written where the kind of file can hold it.

    Args:
        picture: To encode.
        kind: Of file.
        quality: From 1 to 100, where the kind has one (default: 95).
    """
    if kind.format in SAMPLE_SUFFIXES:
        return encode_samples(picture.pixels, kind.format, picture.carried)
    alpha = picture.alpha if kind.has_alpha else None
    pixels = picture.pixels if alpha is None else np.dstack([picture.pixels, alpha])
    file = io.BytesIO()
    if kind.format == "TIFF":
        said = {"carried": picture.carried, "profile": picture.profile}
        write_tiff(file, pixels, pixels.shape, "uint8", has_alpha=alpha is not None, **said)
        return file.getvalue()
    options: dict = {"quality": quality or QUALITY} if kind.has_quality else {}
    if kind.format in WITH_EXIF:
        exif = picture.carried.exif(pixels.shape[:2], picture.profile is None)
        options |= {"exif": exif} if exif else {}
    if kind.format in WITH_DPI and picture.carried.dpi is not None:
        options["dpi"] = picture.carried.dpi
    Image.fromarray(pixels).save(file, kind.format, icc_profile=picture.profile, **options)
    return file.getvalue()
