"""A decoded picture: its samples, and how they become those of a domain, and of another size."""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from ..pixels import PixelFormat, whole_range
from .unreadable import RangeUnknown, UnreadableImage

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
FULL_DEPTH = 2**14  # samples of 16 bits that are all below this may be of 12 or 14
LUMA = (0.299, 0.587, 0.114)  # of red, green and blue in grey, as Pillow has it (ITU-R BT.601)


@dataclass(frozen=True)
class Picture:
    """A picture as it is in its file, upright.

    Attributes:
        pixels: An image of mode L or RGB where they are of 8 bits, grey or colour (with alpha LA or
            RGBA); else an array `[H, W, C]` of one of `pixels.TYPES`.
        notes: What was done to it, or was not, that its owner should know.
        white: The largest sample that there can be, where that is known and less than the type's.
    """

    pixels: Image.Image | np.ndarray
    notes: tuple[str, ...] = ()
    white: int | None = None

    @property
    def channels(self) -> int:
        """Samples of a pixel."""
        if isinstance(self.pixels, Image.Image):
            return len(self.pixels.getbands())
        return self.pixels.shape[2]

    @property
    def dtype(self) -> str:
        """NumPy's name of the type of its samples."""
        return "uint8" if isinstance(self.pixels, Image.Image) else self.pixels.dtype.name

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        if isinstance(self.pixels, Image.Image):
            return self.pixels.height, self.pixels.width
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def samples(self) -> np.ndarray:
        """The samples `[H, W, C]`."""
        samples = np.asarray(self.pixels)
        return samples if samples.ndim == 3 else samples[..., None]


def converted(
    picture: Picture, pixels: PixelFormat, window: tuple[float, float] | None = None
) -> Picture:
    """A picture with the channels and the type of a domain.

    Grey becomes colour and colour grey; of more bands than wanted the first are taken, which its notes
    say. 8 bits become 16 as in PNG, all of the range to all of it.

    Args:
        picture: As decoded.
        pixels: What it should be.
        window: The values that become the ends of the domain's type, where a picture has more bits;
            None: the whole range of 16 bits, or of as many as the file says that there are, if it is
            plain that the picture uses it.

    Raises:
        RangeUnknown: It has more bits, and nobody says which values are black and white.
        UnreadableImage: It lacks channels, or its type cannot become the domain's.
    """
    if picture.dtype != pixels.dtype:
        picture = _of_type(picture, pixels.dtype, window)
    if picture.channels == pixels.channels:
        return picture
    if {picture.channels, pixels.channels} == {1, 3}:
        picture = simplest(picture)
        if isinstance(picture.pixels, Image.Image):
            mode = "L" if pixels.channels == 1 else "RGB"
            return replace(picture, pixels=picture.pixels.convert(mode))
        if pixels.channels == 3:
            return replace(picture, pixels=np.repeat(picture.pixels, 3, axis=2))
        grey = picture.pixels.astype(np.float64) @ np.array(LUMA)
        return replace(picture, pixels=_cast(grey[..., None], picture.dtype))
    if picture.channels < pixels.channels:
        raise UnreadableImage(
            f"it has {picture.channels} channels, and pictures of its domain have {pixels.channels}"
        )
    note = f"the first {pixels.channels} of {picture.channels} bands taken"
    first = picture.samples[..., : pixels.channels]
    return simplest(Picture(first, (*picture.notes, note)))


def _of_type(picture: Picture, dtype: str, window: tuple[float, float] | None) -> Picture:
    samples = picture.samples
    if (picture.dtype, dtype) == ("uint8", "uint16"):
        return replace(picture, pixels=samples.astype(np.uint16) * np.uint16(257))
    low, high = samples.min(), samples.max()
    if dtype not in ("uint8", "uint16") or picture.dtype == "uint8":
        raise UnreadableImage(f"its samples are {picture.dtype}, and those of its domain {dtype}")
    if picture.white is not None and window in (None, whole_range("uint16")):
        window = (0, picture.white)
    if window is None and picture.dtype == "uint16" and high >= FULL_DEPTH:
        window = whole_range("uint16")
    if window is None or (picture.dtype != "uint16" and window == whole_range("uint16")):
        raise RangeUnknown(
            f"its samples are {picture.dtype} from {low:.10g} to {high:.10g}, and which of them are "
            f"black and white as {dtype} is not said"
        )
    scaled = np.empty(samples.shape, dtype)
    rows = max(1, 2**20 // samples[0].size)
    for top in range(0, len(samples), rows):
        share = (samples[top : top + rows].astype(np.float64) - window[0]) / (window[1] - window[0])
        scaled[top : top + rows] = np.round(np.clip(share, 0, 1) * np.iinfo(dtype).max)
    return simplest(replace(picture, pixels=scaled))


def simplest(picture: Picture) -> Picture:
    """The same, as an image where it is grey or colour of 8 bits."""
    samples = picture.samples
    if isinstance(picture.pixels, Image.Image) or samples.dtype != np.uint8:
        return picture
    if samples.shape[2] not in (1, 3):
        return picture
    samples = samples[..., 0] if samples.shape[2] == 1 else samples
    return replace(picture, pixels=Image.fromarray(np.ascontiguousarray(samples)))


def resized(pixels: Image.Image | np.ndarray, shape: tuple[int, int], method: str) -> np.ndarray:
    """Scale a picture to `shape`, whatever the aspect ratio.

    Args:
        pixels: An image of 8 bits, or an array `[H, W, C]`.
        shape: Height and width.
        method: One of `RESAMPLING`.

    Returns:
        `[height, width, C]` of the same type. Samples of more than 8 bits are averaged in float32.
    """
    height, width = shape
    if isinstance(pixels, Image.Image):
        if pixels.size != (width, height):
            pixels = pixels.resize((width, height), RESAMPLING[method])
        samples = np.asarray(pixels)
        return samples if samples.ndim == 3 else samples[..., None]
    if pixels.shape[:2] == shape:
        return pixels
    if method == "nearest":
        rows, columns = (
            ((np.arange(new) + 0.5) * old / new).astype(int)
            for new, old in zip(shape, pixels.shape[:2], strict=True)
        )
        return np.ascontiguousarray(pixels[rows[:, None], columns])
    bands = [
        Image.fromarray(pixels[..., band].astype(np.float32)).resize(
            (width, height), RESAMPLING[method]
        )
        for band in range(pixels.shape[2])
    ]
    return _cast(np.stack([np.asarray(band) for band in bands], axis=2), pixels.dtype.name)


def _cast(values: np.ndarray, dtype: str) -> np.ndarray:
    """Floating values in a type, rounded and clipped where it is one of whole numbers."""
    if np.dtype(dtype).kind == "f":
        return values.astype(dtype)
    return np.clip(np.round(values.astype(np.float64)), *whole_range(dtype)).astype(dtype)
