"""Colours of another space than sRGB, by what the file says of them, to sRGB."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from .stated_colours import Stated

SPACES = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK"}  # of modes, as profiles name them
CONVERTED = "converted to sRGB"
NEAR = 2  # of 255: what a profile may change and is taken for sRGB itself


def to_srgb(image: Image.Image, colours: bytes | Stated | None) -> tuple[Image.Image, str | None]:
    """Convert an image of 8 bits to sRGB, where its file says that it is of another space.

    Args:
        image: Of mode RGB, L or CMYK.
        colours: ICC profile, HDR, or None, as `colours_of` tells. A damaged profile, or one of another
            kind of image, is passed over.

    Returns:
        The image, RGB or L, and the name of the space that it was converted from, or None. One whose
        profile changes no colour by more than `NEAR` is left as it is, to the bit.
    """
    if not colours or image.mode not in SPACES:
        return image, None
    if isinstance(colours, Stated):
        converted = Image.fromarray(colours.to_srgb(np.asarray(image.convert("RGB"))))
        return (converted.getchannel(0) if image.mode == "L" else converted), colours.name
    transform, name = _transform(colours, image.mode)
    if transform is None:
        return image, None
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None
    return (converted.getchannel(0) if image.mode == "L" else converted), name


@lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str):
    """What converts images of a mode, and the name of their space; None, None if nothing has to."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space != SPACES[mode]:
            return None, None
        name = profile_name(profile)
        # The cast is the relative colorimetric one with black points matched, as browsers do.
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        if mode != "CMYK":
            before = Image.fromarray(colour_grid()).convert(mode)
            after = np.asarray(ImageCms.applyTransform(before, transform), np.int16)
            if np.abs(after - np.asarray(before.convert("RGB"))).max() <= NEAR:
                return None, None
    except Exception:  # Pillow and LittleCMS raise many things over damaged profiles
        return None, None
    return transform, name


def profile_name(profile: bytes) -> str:
    """What a profile calls its space."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return " ".join(ImageCms.getProfileDescription(source).split()) or "a space without a name"


def colour_grid() -> np.ndarray:
    """Colours from all over the cube, uint8 `[17, 17 * 17, 3]`."""
    levels = np.linspace(0, 255, 17).round().astype(np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(17, -1, 3)
