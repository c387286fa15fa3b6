"""Samples of any domain to files that hold them as they are."""

import io

import numpy as np
from PIL import Image

from ..errors import UserError
from ..pixels import PixelFormat

PNG_CHANNELS = (1, 3)  # with two or four the last is transparency
SAMPLE_SUFFIXES = (".png", ".tif", ".tiff", ".npy")  # which samples can be written as


def can_hold(suffix: str, pixels: PixelFormat) -> bool:
    """Whether a kind of file holds the samples of a domain as they are."""
    if suffix == ".png":
        return pixels.dtype in ("uint8", "uint16") and pixels.channels in PNG_CHANNELS
    return suffix in SAMPLE_SUFFIXES


def usual_suffix(pixels: PixelFormat) -> str:
    """The kind of file that pictures of a domain are written as, where nothing else is asked for."""
    return ".png" if can_hold(".png", pixels) else ".tif"


def encode_samples(samples: np.ndarray, suffix: str) -> bytes:
    """Encode a picture without loss, in its own type and units.

    Args:
        samples: `[H, W, C]` of any of `pixels.TYPES`.
        suffix: One of `SAMPLE_SUFFIXES`. PNG holds uint8 and uint16 of 1 or 3 channels.

    Raises:
        UserError: Such a file cannot hold these samples.
    """
    suffix = suffix.lower()
    if suffix == ".npy":
        file = io.BytesIO()
        np.save(file, samples, allow_pickle=False)
        return file.getvalue()
    if suffix in (".tif", ".tiff"):
        return _tiff(samples)
    if suffix != ".png":
        raise UserError(
            f"{suffix} is no kind of file for samples; {', '.join(SAMPLE_SUFFIXES)} are"
        )
    if not can_hold(suffix, PixelFormat(samples.shape[2], samples.dtype.name)):
        raise UserError(
            f"PNG holds 8 or 16 bits of 1 or 3 channels, not {samples.dtype} of {samples.shape[2]}; "
            "choose .tif or .npy"
        )
    if samples.dtype == np.uint8 or samples.shape[2] == 1:
        file = io.BytesIO()
        Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples).save(file, "PNG")
        return file.getvalue()
    import tensorflow as tf  # Pillow writes no colour of 16 bits

    return tf.io.encode_png(np.ascontiguousarray(samples)).numpy()


def _tiff(samples: np.ndarray) -> bytes:
    import tifffile

    channels = samples.shape[2]
    is_colour = channels == 3 and samples.dtype in (np.uint8, np.uint16)
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        samples[..., 0] if channels == 1 else samples,
        photometric="rgb" if is_colour else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        compression="deflate",
        metadata=None,
    )
    return file.getvalue()
