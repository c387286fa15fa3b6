"""Encoded bytes to RGB pixels, whatever the format."""

import io

import numpy as np
from PIL import Image, ImageOps

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff"}


class UnreadableImage(Exception):
    """Bytes that are no image, or only part of one. The message says why."""


def decode_image(encoded: bytes, max_pixels: int | None = None) -> Image.Image:
    """Decode any format that Pillow reads to an upright RGB image.

    Animations give their first frame, transparency is laid on white, 16-bit samples are scaled to 8,
    grey, palette and CMYK images become RGB, and the EXIF orientation is applied.

    Args:
        encoded: The content of an image file.
        max_pixels: Do not decode an image that says it has more; few bytes can unpack to gigabytes.

    Raises:
        UnreadableImage: The bytes are no image, end too early, or hold too many pixels.
    """
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            width, height = image.size
            if max_pixels is not None and width * height > max_pixels:
                raise UnreadableImage(
                    f"{width}x{height} pixels are too many; at most {max_pixels:,} are taken"
                )
            # Tells JPEGs that end early from whole ones, which load() alone may not.
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image))
    except Image.UnidentifiedImageError as error:
        raise UnreadableImage("not an image") from error
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise UnreadableImage(str(error)) from error


def decode_resized(encoded: bytes, shape: tuple[int, int], method: str) -> np.ndarray:
    """Decode and scale to `shape`, whatever the aspect ratio: uint8 `[height, width, 3]`."""
    image = decode_image(encoded)
    height, width = shape
    if image.size != (width, height):
        image = image.resize((width, height), RESAMPLING[method])
    return np.asarray(image)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "I" or image.mode.startswith("I;16"):
        # Pillow's own conversion would clip 16-bit samples instead of scaling them.
        samples = np.asarray(image).astype(np.float64)
        image = Image.fromarray(np.clip(np.round(samples / 257), 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")
