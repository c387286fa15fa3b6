"""What a file has more than is read of it: frames, and bits."""

import numpy as np
from PIL import Image

FRAMES = "several frames, of which the first is taken"
NO_DATA = (
    "samples of {:.10g}, which mark where there are none, are taken for others; --range-x keeps them "
    "out of what becomes -1 to 1"
)
_ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")
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
