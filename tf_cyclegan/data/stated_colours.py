"""Colours that a file states without a profile: PNG's gAMA, cHRM and cICP, the nclx of AVIF and HEIC,
and Exif's mark of Adobe RGB.

What has a curve and primaries becomes an ICC profile, so that all that knows profiles knows these
too. HDR has none: how bright it becomes is a choice (`light.py`).
"""

import struct
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from PIL import ExifTags, Image

from .light import HDR_NAMES, hdr_light, srgb_encoded
from .metadata import PNG_MAGIC

Primaries = tuple[float, ...]  # x and y of white, red, green and blue, as in PNG's cHRM

_D65 = (0.3127, 0.3290)
_SRGB: Primaries = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_ADOBE: Primaries = (*_D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
# Of ITU-T H.273, tables 2 and 3. Curves are powers; those that are not here are taken for sRGB's,
# as 1, 6, 13, 14 and 15 are by all that show pictures, and 2 is not said.
_PRIMARIES: dict[int, tuple[str, Primaries]] = {
    4: ("NTSC of 1953", (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08)),
    5: ("PAL", (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06)),
    6: ("NTSC", (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070)),
    7: ("NTSC", (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070)),
    9: ("BT.2020", (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046)),
    11: ("DCI-P3", (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)),
    12: ("Display P3", (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)),
}
_POWERS = {4: 2.2, 5: 2.8, 8: 1.0}
_NEAR_SRGB = 0.1  # a power is taken for sRGB's curve, as PNG's gAMA of 1/2.2 is meant
_GREY_MODES = ("1", "L", "LA", "La", "F", "I", "I;16", "I;16B")
_INTEROPERABILITY, _ADOBE_MARK = 1, "R03"  # the tag, and DCF's value of it for Adobe RGB
_HEAD = 2**14  # bytes in which files of HEIF's kind tell what they are

_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


@dataclass(frozen=True)
class Stated:
    """What a file states of its colours.

    Attributes:
        name: Of the space, for people.
        primaries: Of its red, green and blue, and its white.
        power: Of its curve; None for sRGB's.
        hdr: `light.PQ` or `light.HLG` in place of a curve; None for what is not HDR.
    """

    name: str
    primaries: Primaries = _SRGB
    power: float | None = None
    hdr: int | None = None

    @cached_property
    def to_xyz(self) -> np.ndarray:
        """Matrix from the light of red, green and blue to XYZ, its white adapted to D50."""
        x, y = np.array(self.primaries).reshape(4, 2).T
        white, *rgb = np.stack([x / y, np.ones(4), (1 - x - y) / y], axis=1)
        columns = np.stack(rgb, axis=1)
        columns = columns * np.linalg.solve(columns, white)
        return _adaptation(white) @ columns

    def to_srgb(self, samples: np.ndarray) -> np.ndarray:
        """HDR samples in sRGB: uint8 or uint16 `[H, W, 3]`, and so they come back."""
        most = np.iinfo(samples.dtype).max
        to_deep = np.uint16(65535 // most)
        to_srgb = np.linalg.solve(Stated("sRGB").to_xyz, self.to_xyz).astype(np.float32)
        converted = np.empty_like(samples)
        rows = max(1, 2**18 // samples.shape[1])  # a strip at a time, for the memory
        for top in range(0, len(samples), rows):
            codes = samples[top : top + rows] * to_deep
            light = hdr_light(codes, self.hdr) @ to_srgb.T
            converted[top : top + rows] = np.round(most * srgb_encoded(np.clip(light, 0, 1)))
        return converted


def colours_of(image: Image.Image, encoded: bytes) -> bytes | Stated | None:
    """What says what a picture's colours are: an ICC profile, the file's or one of what it states, or
    HDR, which has none; None where nothing does, or it says sRGB.

    Args:
        image: As Pillow has opened it.
        encoded: The file; empty where it is not at hand.
    """
    if profile := image.info.get("icc_profile") or _unseen_profile(image.format, encoded):
        return profile
    stated = _stated(image, encoded)
    if stated is None or stated.hdr is not None:
        return stated
    return _profile(stated, is_grey=image.mode in _GREY_MODES)


def _unseen_profile(format_: str | None, encoded: bytes) -> bytes | None:
    """An ICC profile where Pillow does not look for one."""
    if format_ == "JPEG2000":  # ITU-T T.800, I.5.3.3: a colour specification by the method 2
        place = encoded.find(b"colr\2", 0, _HEAD)
        if place >= 4:
            (size,) = struct.unpack_from(">L", encoded, place - 4)
            return encoded[place + 7 : place - 4 + size]
    elif format_ == "BMP" and encoded[14:15] == b"\x7c" and encoded[70:74] == b"DEBM":
        # BITMAPV5HEADER, of 124 bytes, with PROFILE_EMBEDDED
        place, size = struct.unpack_from("<2L", encoded.ljust(134, b"\0"), 126)
        return encoded[14 + place : 14 + place + size]
    return None


def _stated(image: Image.Image, encoded: bytes) -> Stated | None:
    """What a file without a profile states of its colours; None for nothing, or for sRGB."""
    if encoded.startswith(PNG_MAGIC) or image.format == "PNG":
        return _of_png(image, encoded[: max(0, encoded.find(b"IDAT"))])
    if nclx := _nclx(encoded):
        return _of_numbers(*nclx)
    if image.format == "TIFF":
        return None
    with suppress(Exception):  # of a damaged Exif block Pillow raises many things
        if image.getexif().get_ifd(ExifTags.IFD.Interop).get(_INTEROPERABILITY) == _ADOBE_MARK:
            return Stated("Adobe RGB (Exif)", _ADOBE, 563 / 256)
    return None


def _of_png(image: Image.Image, head: bytes) -> Stated | None:
    """PNG, third edition, section 4.3: of several statements the first of cICP, sRGB, gAMA counts."""
    if (place := head.find(b"cICP")) > 0:
        return _of_numbers(head[place + 4], head[place + 5])
    gamma, points = image.info.get("gamma"), image.info.get("chromaticity")
    if "srgb" in image.info or not isinstance(gamma, float) or not 0.05 < gamma < 20:
        return None
    power = None if abs(gamma * 2.2 - 1) <= _NEAR_SRGB else 1 / gamma
    primaries = tuple(points) if points and _are_primaries(points) else _SRGB
    if power is None and np.abs(np.subtract(primaries, _SRGB)).max() < 0.005:
        return None
    named = [f"a gamma of {power:.2g} (gAMA)"] if power else []
    named += ["the primaries of its cHRM"] if primaries != _SRGB else []
    return Stated(" and ".join(named), primaries, power)


def _are_primaries(points: tuple[float, ...]) -> bool:
    x, y = np.array(points).reshape(4, 2).T
    first, second, third = np.stack([x, y], axis=1)[1:]
    area = np.linalg.det([second - first, third - first])
    return bool((y > 0.01).all() and (x >= 0).all() and (x + y <= 1.001).all() and abs(area) > 0.01)


def _of_numbers(primaries: int, curve: int) -> Stated | None:
    """Numbers of ITU-T H.273."""
    space, points = _PRIMARIES.get(primaries, ("", _SRGB))
    if curve in HDR_NAMES:
        return Stated(f"HDR ({HDR_NAMES[curve]})" + f" of {space}" * bool(space), points, hdr=curve)
    power = _POWERS.get(curve)
    if power is not None and abs(power / 2.2 - 1) <= _NEAR_SRGB:
        power = None
    if power is not None:
        space = f"a gamma of {power:.2g}" + f" and {space}" * bool(space)
    return Stated(space, points, power) if space else None


def _nclx(encoded: bytes) -> tuple[int, int] | None:
    """Primaries and curve that all of a file's pictures share; None where they differ or are none."""
    found, place = set(), -1
    head = encoded[:_HEAD] if encoded[4:8] == b"ftyp" else b""
    while (place := head.find(b"colrnclx", place + 1)) > 0:
        found.add(struct.unpack(">2H", head[place + 8 : place + 12].ljust(4, b"\0")))
    return found.pop() if len(found) == 1 else None


def _adaptation(white: np.ndarray) -> np.ndarray:
    """Matrix from XYZ under a white to XYZ under D50, by Bradford's cones."""
    scale = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    return np.linalg.solve(_BRADFORD, scale[:, None] * _BRADFORD)


@lru_cache(maxsize=16)
def _profile(stated: Stated, is_grey: bool) -> bytes:
    """An ICC profile (ICC.1:2022) of such colours, or of their curve alone."""
    if stated.power is None:
        curve = b"para\0\0\0\0\0\3\0\0" + _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    else:
        curve = b"para\0\0\0\0\0\0\0\0" + _fixed(stated.power)
    tags = {b"desc": _text(stated.name), b"cprt": _text("CC0"), b"wtpt": _xyz(_D50)}
    if is_grey:
        tags[b"kTRC"] = curve
    else:
        for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), stated.to_xyz.T, strict=True):
            tags[name] = _xyz(column)
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    entries, content, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        entries += struct.pack(">4sLL", name, start + len(content), len(data))
        content += data + bytes(-len(data) % 4)
    head = struct.pack(
        ">L4xL4s4s4s12x4s28x12s",
        start + len(content),
        0x04300000,
        b"mntr",
        b"GRAY" if is_grey else b"RGB ",
        b"XYZ ",
        b"acsp",
        _fixed(*_D50),
    )
    return head.ljust(128, b"\0") + struct.pack(">L", len(tags)) + entries + content


def _fixed(*numbers: float) -> bytes:
    """Numbers of 16 bits before the point and 16 after it."""
    return b"".join(struct.pack(">i", round(65536 * number)) for number in numbers)


def _xyz(numbers: np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*numbers)


def _text(text: str) -> bytes:
    """A text in one language: section 10.15."""
    encoded = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">4xLL4sLL", 1, 12, b"enUS", len(encoded), 28) + encoded
