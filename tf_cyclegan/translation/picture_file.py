"""A picture in a file with what belongs to it: its transparency and its colour space."""

import io
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from ..data.decode import decode_alpha, decode_image, decode_profile
from .targets import Kind

QUALITY = 95  # of what loses detail, where nothing else is asked for


@dataclass(frozen=True)
class Picture:
    """A picture, upright.

    Attributes:
        pixels: uint8 `[H, W, 3]`; what is transparent lies on white.
        alpha: uint8 `[H, W]`, 255 where it covers all; None for a picture without transparency.
        profile: ICC profile that says what its colours are; None for sRGB.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    profile: bytes | None = None

    def with_pixels(self, pixels: np.ndarray) -> "Picture":
        """The same with other pixels, of the same size."""
        return replace(self, pixels=pixels)

    def beside(self, other: "Picture") -> "Picture":
        """This picture to the left of another of its size and kind."""
        alpha = None if self.alpha is None else np.concatenate([self.alpha, other.alpha], axis=1)
        return Picture(np.concatenate([self.pixels, other.pixels], axis=1), alpha, self.profile)


def read_picture(encoded: bytes, max_pixels: int, keep_alpha: bool) -> Picture:
    """Decode a picture of any kind that the package reads.

    Args:
        encoded: Content of the file.
        max_pixels: One that has more is not decoded.
        keep_alpha: Keep the transparency, beside laying the picture on white.

    Raises:
        UnreadableImage: The bytes are no whole picture.
    """
    pixels = np.asarray(decode_image(encoded, max_pixels))
    alpha = decode_alpha(encoded) if keep_alpha else None
    return Picture(pixels, alpha, decode_profile(encoded))


def encode_picture(picture: Picture, kind: Kind, quality: int | None = None) -> bytes:
    """Encode a picture.

    Its transparency is written where the kind of file can hold it.

    Args:
        picture: To encode.
        kind: Of file.
        quality: From 1 to 100, where the kind has one (default: 95).
    """
    image = Image.fromarray(picture.pixels)
    if picture.alpha is not None and kind.has_alpha:
        image.putalpha(Image.fromarray(picture.alpha))
    options: dict = {"quality": quality or QUALITY} if kind.has_quality else {}
    if kind.format == "TIFF":
        options["compression"] = "tiff_adobe_deflate"
    file = io.BytesIO()
    image.save(file, kind.format, icc_profile=picture.profile, **options)
    return file.getvalue()
