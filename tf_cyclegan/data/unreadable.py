"""What a picture that cannot be read raises, and how large one may be."""

from collections.abc import Iterator
from contextlib import contextmanager


class UnreadableImage(Exception):
    """Bytes that are no image, or only part of one. The message says why."""


class TooManyPixels(UnreadableImage):
    """A picture that may be whole, and is larger than what was allowed."""


class RangeUnknown(UnreadableImage):
    """A picture whose samples nobody can make 8-bit ones of without being told their range."""


def check_size(width: int, height: int, channels: int, max_pixels: int) -> None:
    """See that a picture has no more pixels than allowed; up to four channels count as one pixel.

    Raises:
        TooManyPixels: It has.
    """
    pixels = width * height * -(-channels // 4)
    if pixels > max_pixels:
        bands = f" of {channels} channels" if channels > 4 else ""
        raise TooManyPixels(
            f"{width}x{height}{bands} are {pixels:,} pixels, more than the {max_pixels:,} that "
            "--max-pixels allows"
        )


@contextmanager
def library_errors() -> Iterator[None]:
    """Around what only a library can do wrong: there is no list of what it raises."""
    try:
        yield
    except MemoryError as error:
        raise UnreadableImage("it needs more memory than there is") from error
    except UnreadableImage:
        raise
    except Exception as error:
        words = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableImage(words) from error
