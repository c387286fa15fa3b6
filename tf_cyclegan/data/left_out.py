"""What a file has more than is read of it: frames, bits, and how bright its colours are meant to be."""

import numpy as np
from PIL import Image

from .metadata import PNG_MAGIC

FRAMES = "several frames, of which the first is taken"
NO_DATA = (
    "samples of {:.10g}, which mark where there are none, are taken for others; --range-x keeps them "
    "out of what becomes -1 to 1"
)
_GAMMA = 1 / 2.2
_ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")
# Of colour, after ITU-T H.273: which light samples stand for, and of which red, green and blue.
_CURVES = {8: "linear light", 16: "HDR (PQ)", 18: "HDR (HLG)"}
_PRIMARIES = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
_HEAD = 2**14  # bytes in which files of HEIF's kind tell what they are


def left_out(encoded: bytes, image: Image.Image) -> list[str]:
    """What of a picture is not read or not applied, in words; nothing for most.

    Args:
        encoded: The file.
        image: As Pillow has opened it.
    """
    notes = []
    if image.format in _ANIMATED and getattr(image, "is_animated", False):
        notes.append(FRAMES)
    if (bits := _bits(encoded, image)) > 8 and image.mode in ("RGB", "RGBA"):
        notes.append(f"colour of {bits} bits, of which the highest 8 are taken")
    if not image.info.get("icc_profile"):
        notes += _colours(encoded, image)
    return notes


def no_data(samples: np.ndarray, mark: object) -> list[str]:
    """What to say of samples that mark where a picture has none.

    Args:
        samples: Of a picture.
        mark: What its file says that marks them, a number or one as text; anything else is passed over.
    """
    try:
        value = float(str(mark).strip("\0 "))
    except ValueError:
        return []
    return [NO_DATA.format(value)] if (samples == value).any() else []


def _bits(encoded: bytes, image: Image.Image) -> int:
    """Of a sample, in formats of which Pillow gives 8."""
    if image.format == "JPEG2000":  # ITU-T T.800, A.5.1: the marker SIZ
        place = encoded.find(b"\xff\x51")
        return (encoded[place + 40] & 0x7F) + 1 if 0 <= place < len(encoded) - 40 else 8
    if image.format == "AVIF":  # AV1 codec configuration: high_bitdepth, twelve_bit
        place = encoded.find(b"av1C", 0, _HEAD)
        flags = encoded[place + 6] if 0 <= place < len(encoded) - 6 else 0
        return (12 if flags & 0x20 else 10) if flags & 0x40 else 8
    bits = image.info.get("bit_depth")
    return bits if isinstance(bits, int) else 8


def _colours(encoded: bytes, image: Image.Image) -> list[str]:
    """What curve and primaries a file without a profile names that are not sRGB's."""
    curve = primaries = 0
    if encoded.startswith(PNG_MAGIC):
        head = encoded[: encoded.find(b"IDAT")]
        if (place := head.find(b"cICP")) > 0:
            primaries, curve = head[place + 4], head[place + 5]
        gamma = image.info.get("gamma") if "srgb" not in image.info and not curve else None
        if isinstance(gamma, float) and gamma > 0 and abs(gamma / _GAMMA - 1) > 0.1:
            return [f"a gamma of {1 / gamma:.2g} (gAMA), which is not applied"]
    elif (place := encoded.find(b"colrnclx", 0, _HEAD)) > 0:
        primaries, curve = encoded[place + 9], encoded[place + 11]
    named = [
        names[one] for names, one in ((_CURVES, curve), (_PRIMARIES, primaries)) if one in names
    ]
    return [f"colours of {' and '.join(named)}, which are taken for sRGB"] if named else []
