"""Samples of any domain to files that hold them as they are."""

import io
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np
from PIL import Image

from ..errors import UserError
from ..pixels import PixelFormat
from .carried import NOTHING, Carried

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


def encode_samples(samples: np.ndarray, suffix: str, carried: Carried = NOTHING) -> bytes:
    """Encode a picture without loss, in its own type and units.

    Args:
        samples: `[H, W, C]` of any of `pixels.TYPES`.
        suffix: One of `SAMPLE_SUFFIXES`. PNG holds uint8 and uint16 of 1 or 3 channels.
        carried: What a TIFF says beside them.

    Raises:
        UserError: Such a file cannot hold these samples.
    """
    suffix = suffix.lower()
    if suffix == ".npy":
        file = io.BytesIO()
        np.save(file, samples, allow_pickle=False)
        return file.getvalue()
    if suffix in (".tif", ".tiff"):
        file = io.BytesIO()
        write_tiff(file, samples, samples.shape, samples.dtype.name, carried)
        return file.getvalue()
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


def write_tiff(
    file: BinaryIO,
    samples: np.ndarray | Iterable[bytes],
    shape: tuple[int, int, int],
    dtype: str,
    carried: Carried = NOTHING,
    profile: bytes | None = None,
    has_alpha: bool = False,
    **options,
) -> None:
    """Write a TIFF, packed with deflate.

    Args:
        file: To write it to; it is read, too.
        samples: `[H, W, C]`, or packed strips of them.
        shape: Of all of them.
        dtype: Of the samples.
        carried: What is said beside them.
        profile: ICC profile that says what their colours are; None for sRGB.
        has_alpha: The last channel is transparency.
        **options: Of tifffile.
    """
    import tifffile

    height, width, channels = shape
    is_colour = channels - has_alpha == 3 and dtype in ("uint8", "uint16")
    shape_ = shape if channels > 1 else (height, width)
    tifffile.imwrite(
        file,
        samples.reshape(shape_) if isinstance(samples, np.ndarray) else samples,
        shape=shape_,
        dtype=dtype,
        photometric="rgb" if is_colour else "minisblack",
        extrasamples=["unassalpha"] if has_alpha else None,
        planarconfig="contig" if channels > 1 else None,
        compression="adobe_deflate",
        iccprofile=profile,
        extratags=carried.tiff_tags(),
        software=False,
        metadata=None,
        **carried.tiff_resolution(),
        **options,
    )
    carried.add_to_tiff(file, (height, width), is_colour and profile is None)
