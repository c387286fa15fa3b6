"""Colour of more than 8 bits in Netpbm's formats, which Pillow cuts to 8 or does not read."""

import re

import numpy as np

from .unreadable import UnreadableImage, check_size

COLOUR = (b"P3", b"P6", b"PF")  # as text, in bytes, in floats
_TOKEN = re.compile(rb"(?:\s|#[^\n]*\n)*([^\s#]+)")
_MOST = 65535


def read_deep_colour(encoded: bytes, max_pixels: int) -> np.ndarray | None:
    """Colour of 9 to 16 bits, scaled to 16 by the largest value that the file names, or of floats.

    Returns:
        `[H, W, 3]`; None for what Pillow reads as it is.

    Raises:
        UnreadableImage: It is damaged, or has too many pixels.
    """
    kind, place, words = encoded[:2], 2, []
    while len(words) < 3:
        if (found := _TOKEN.match(encoded, place)) is None:
            raise UnreadableImage("it ends early")
        words.append(found[1])
        place = found.end()
    try:
        width, height, largest = int(words[0]), int(words[1]), float(words[2])
    except ValueError as error:
        raise UnreadableImage("its header is damaged") from error
    if kind != b"PF" and largest <= 255:
        return None
    if min(width, height) < 1 or not 0 < abs(largest) <= (np.inf if kind == b"PF" else _MOST):
        raise UnreadableImage("its header is damaged")
    check_size(width, height, 3, max_pixels)
    count = width * height * 3
    if kind == b"P3":
        samples = _of_text(encoded[place:], count)
    else:
        dtype = (">f4" if largest > 0 else "<f4") if kind == b"PF" else ">u2"
        if len(encoded) - place - 1 < count * np.dtype(dtype).itemsize:
            raise UnreadableImage("it ends early")
        samples = np.frombuffer(encoded, dtype, count, place + 1)
    samples = samples.reshape(height, width, 3)
    if kind == b"PF":
        return samples[::-1].astype(np.float32)  # the lowest row comes first
    return np.round(np.minimum(samples, largest) * (_MOST / largest)).astype(np.uint16)


def _of_text(text: bytes, count: int) -> np.ndarray:
    words = re.sub(rb"#[^\n]*", b"", text).split()[:count]
    if len(words) < count:
        raise UnreadableImage("it ends early")
    try:
        return np.array(list(map(int, words)), np.uint32)
    except (ValueError, OverflowError) as error:
        raise UnreadableImage("it holds what is no number") from error
