"""Colours of 16 bits in another space than sRGB, to sRGB, which Pillow's ImageCms does at 8 bits alone.

Profiles of screens and cameras are three curves and a matrix (ICC.1:2022, section F.3); those of
printers are tables, whose samples are left as they are.
"""

import struct
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from PIL import Image, ImageCms

from .colour import CONVERTED, NEAR, colour_grid, profile_name, to_srgb
from .light import srgb_encoded
from .stated_colours import Stated

LEFT = "a colour profile that is not applied to samples of such a type or number, or is damaged"
PIXELS_AT_ONCE = 2**18  # that are converted at a time
_MOST = 65535
_TABLES = (b"A2B0", b"A2B1", b"D2B0", b"D2B1")  # tags that are to be taken before the curves
_CHANNELS = {b"RGB ": 3, b"GRAY": 1}


@dataclass(frozen=True)
class Shaper:
    """What a profile says of colours.

    Attributes:
        curves: `[channels, 65536]`, the light that each sample stands for, from 0 to 1.
        to_light: Matrix from the light of its channels to that of sRGB's; None for grey.
    """

    curves: np.ndarray
    to_light: np.ndarray | None

    def converted(self, samples: np.ndarray) -> np.ndarray:
        """uint16 `[H, W, channels]` in sRGB, relative colorimetric."""
        converted = np.empty_like(samples)
        rows = max(1, PIXELS_AT_ONCE // samples.shape[1])
        for top in range(0, len(samples), rows):
            strip = samples[top : top + rows]
            light = [curve[strip[..., i]] for i, curve in enumerate(self.curves)]
            light = np.stack(light, axis=-1)
            if self.to_light is not None:
                light = light @ self.to_light.T
            converted[top : top + rows] = np.round(srgb_encoded(np.clip(light, 0, 1)) * _MOST)
        return converted

    @cached_property
    def changes_nothing(self) -> bool:
        """Whether no colour changes by more than `NEAR` of 255."""
        before = colour_grid()[..., : len(self.curves)].astype(np.uint16) * np.uint16(257)
        difference = self.converted(before).astype(int) - before
        return bool(np.abs(difference).max() <= 257 * NEAR)


def samples_to_srgb(
    samples: np.ndarray, profile: bytes | Stated | None
) -> tuple[np.ndarray, str | None]:
    """Convert samples to sRGB, where their file says that they are of another space.

    Args:
        samples: `[H, W, C]`; of four channels and of two the last is no colour and stays.
        profile: ICC profile, HDR, or None, as `colours_of` tells.

    Returns:
        The samples, and what was done or not done to them that is to be told, or None. Those whose
        profile changes no colour by more than `NEAR` are left as they are, to the bit.
    """
    if isinstance(profile, Stated) and samples.dtype == np.uint16 and samples.shape[2] in (3, 4):
        converted = profile.to_srgb(samples[..., :3])
        whole = np.concatenate([converted, samples[..., 3:]], axis=2)
        return whole, f"{CONVERTED} from {profile.name}"
    if isinstance(profile, Stated):
        return samples, LEFT
    if not isinstance(profile, bytes):  # in what is damaged it may be a number
        return samples, None
    channels = _CHANNELS.get(profile[16:20], 0)
    if not channels or samples.shape[2] not in (channels, channels + 1):
        return samples, LEFT
    colours, converted = samples[..., :channels], None
    if samples.dtype == np.uint8:
        image = Image.fromarray(colours if channels == 3 else colours[..., 0])
        image, name = to_srgb(image, profile)
        if name is None:
            return samples, None
        converted = np.asarray(image).reshape(colours.shape)
    elif samples.dtype == np.uint16 and (shaper := _shaper(profile)) is not None:
        if shaper.changes_nothing:
            return samples, None
        name, converted = profile_name(profile), shaper.converted(colours)
    if converted is None:
        return samples, LEFT
    whole = np.concatenate([converted, samples[..., channels:]], axis=2)
    return whole, f"{CONVERTED} from {name}"


@lru_cache(maxsize=16)
def _shaper(profile: bytes) -> Shaper | None:
    """The curves and the matrix of a profile; None for one of tables, or damaged."""
    try:
        tags = _tags(profile)
        if any(tag in tags for tag in _TABLES):
            return None
        if profile[16:20] == b"GRAY":
            return Shaper(_curve(tags[b"kTRC"])[None], None)
        srgb = _tags(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
        to_light = np.linalg.inv(_matrix(srgb)) @ _matrix(tags)
        curves = np.stack([_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")])
        return Shaper(curves, to_light.astype(np.float32))
    except (KeyError, IndexError, ValueError, struct.error):
        return None


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">L", profile, 128)
    entries = (struct.unpack_from(">4sLL", profile, 132 + 12 * i) for i in range(min(count, 100)))
    return {name: profile[place : place + size] for name, place, size in entries}


def _matrix(tags: dict[bytes, bytes]) -> np.ndarray:
    """From the light of red, green and blue to XYZ under D50."""
    columns = [struct.unpack_from(">3i", tags[name], 8) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    return np.array(columns).T / 65536


def _curve(tag: bytes) -> np.ndarray:
    """A curve at all samples of 16 bits: float32 `[65536]`; sections 10.6 and 10.18."""
    x = np.linspace(0, 1, _MOST + 1)
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">L", tag, 8)
        table = np.frombuffer(tag, ">u2", count, 12)
        if count == 0:
            y = x
        elif count == 1:
            y = x ** (table[0] / 256)
        else:
            y = np.interp(x, np.linspace(0, 1, count), table / _MOST)
    elif tag[:4] == b"para":
        (kind,) = struct.unpack_from(">H", tag, 8)
        count = (1, 3, 4, 5, 7)[kind]
        given = [value / 65536 for value in struct.unpack_from(f">{count}i", tag, 12)]
        gamma, a, b, c, d, e, f = (given + [1.0, 0.0, 0.0, 0.0, 0.0, 0.0][count - 1 :])[:7]
        if kind in (1, 2):  # below -b/a nothing, or c
            d, e, f, c = -b / a, c, c, 0.0
        y = np.where(x >= d, np.maximum(a * x + b, 0) ** gamma + e, c * x + f)
    else:
        raise ValueError(f"a curve of type {tag[:4]!r}")
    return np.clip(y, 0, 1).astype(np.float32)
