"""Pictures through a network: at once where memory allows it, and else in tiles."""

import math
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import psutil
import tensorflow as tf
from PIL import Image

from ..data.decode import UnreadableImage, rgb_of
from ..data.picture import Picture
from ..errors import UserError
from ..models.cpu.choice import also_of_open_sizes
from ..pixels import RGB8, PixelFormat
from .area import Area
from .memory import NotEnoughMemory, free_bytes
from .memory_of_network import Needs, needs_of_function, needs_of_network
from .tiles import LARGEST_TILE, SMALLEST_TILE, Network, Tiled

CERTAINLY_ENOUGH = 2**14  # bytes a pixel, more than any network here takes
TRACES = 300_000_000  # bytes that the program takes more when it has traced what it translates with
BAND_BYTES = 40  # a pixel of a row of tiles: as read, and as blended in float32
FINE_STEP = 32  # pixels between the sides of tiles that are tried

Advance = Callable[[int, int], None]


class PictureTranslator:
    """Translates pictures of any size.

    Args:
        model: Has `translate_images`, from `[N, H, W, C]` to {"images": such images}.
        takes: What the pixels of pictures to translate are.
        gives: What those of translated ones are.
        network: What `model` translates with, which can be tiled; None where that is not known or
            is more than a network.
        size_multiple: Heights and widths that `network` takes are multiples of this.
        memory: Bytes that the process may take, what it has taken already included; None for half
            of what is free.
    """

    def __init__(
        self,
        model: Any,
        takes: PixelFormat = RGB8,
        gives: PixelFormat = RGB8,
        network: Network | None = None,
        size_multiple: int = 1,
        memory: int | None = None,
    ):
        self._model, self._network, self._multiple = model, network, size_multiple
        self.takes, self.gives = takes, gives
        taken = psutil.Process().memory_info().rss
        free = free_bytes() if memory is None else memory - taken
        # What cannot be tiled has to be translated at once, or not at all: it may have all of it.
        share = 2 if memory is None and network is not None else 1
        self._budget = free // share - TRACES
        self._tiled: dict[int, Tiled] = {}

    def __call__(self, pictures, advance: Advance = lambda done, total: None):
        """Translate one picture or several.

        Args:
            pictures: `[H, W, C]` or `[N, H, W, C]` of any size and of the type that it takes, or a
                PIL image.
            advance: Called, while a large picture is translated in tiles, with how many pieces of
                the work are done and how many there are.

        Returns:
            As many of the type that it gives; for a PIL image one in RGB, upright.

        Raises:
            UserError: They have another shape or type, or need more memory than is allowed.
        """
        if isinstance(pictures, Image.Image):
            return self._of_pil(pictures, advance)
        images = np.asarray(pictures)
        _check_images(images, self.takes)
        if images.ndim == 3:
            return self(images[None], advance)[0]
        if not images.size or not self.is_large(*images.shape[1:3], len(images)):
            with also_of_open_sizes():
                return self._model.translate_images(tf.constant(images))["images"].numpy()
        if len(images) > 1:
            return np.stack([self(image, advance) for image in images])
        if self._network is None:
            raise self._too_large(images.shape[1:3], self._bytes(images[..., 0].size))
        height, width, _ = images[0].shape
        translated = np.empty([height, width, self.gives.channels], self.gives.dtype)
        top = 0
        held = images.nbytes + translated.nbytes
        for rows in self.rows(self.area(images[0]), advance, held):
            translated[top : top + len(rows)] = rows
            top += len(rows)
        return translated[None]

    def is_large(self, height: int, width: int, count: int = 1) -> bool:
        """Whether pictures of a size take more memory at once than is allowed."""
        pixels = max(height, self._multiple) * max(width, self._multiple) * count
        if pixels * CERTAINLY_ENOUGH <= self._budget:
            return False
        return self._bytes(pixels) > self._budget

    def rows(self, area: Area, advance: Advance, held: int = 0) -> Iterator[np.ndarray]:
        """Translate a large picture in tiles.

        Args:
            area: The picture.
            advance: As above.
            held: Bytes of the picture and its translation that are in memory as a whole.

        Yields:
            `[rows, W, C]` of the type that it gives, from top to bottom.

        Raises:
            NotEnoughMemory: Even small tiles need more than is allowed, or there can be none.
        """
        if self._network is None:
            size = (area.height, area.width)
            raise self._too_large(size, self._bytes(area.height * area.width))
        side = self._side(area, self._budget - held)
        if side not in self._tiled:
            self._tiled[side] = Tiled(self._network, self._multiple, side)
        tiled = self._tiled[side]
        total, done = tiled.work(area), 0

        def one_more():
            nonlocal done
            done += 1
            advance(done, total)

        for rows in tiled.rows(area, one_more):
            yield self.gives.from_unit(rows)

    def area(self, image: np.ndarray) -> Area:
        """A picture `[H, W, C]` in memory, for `rows`."""

        def read(top, left, height, width):
            return self.takes.to_unit(image[top : top + height, left : left + width])

        return Area(*image.shape[:2], read)

    def _of_pil(self, picture: Image.Image, advance: Advance) -> Image.Image:
        if not is_pil(self.takes) or not is_pil(self.gives):
            raise UserError(
                f"this translator takes {self.takes} and gives {self.gives}, which PIL images do not "
                "hold; give it NumPy arrays"
            )
        translated = self(_array_of(picture, self.takes), advance)
        return Image.fromarray(translated[..., 0] if translated.shape[2] == 1 else translated)

    @cached_property
    def _needs(self) -> Needs:
        if self._network is not None:
            return needs_of_network(self._network, self._multiple)
        function = self._model.translate_images
        known = getattr(function, "concrete_functions", None)  # of a SavedModel, which has one
        return needs_of_function(known[0] if known else function.get_concrete_function())

    def _bytes(self, pixels: int) -> float:
        return self._needs.by_pixel * pixels

    def _side(self, area: Area, budget: int) -> int:
        """The side of the largest tiles that so many bytes allow."""
        least = math.ceil(SMALLEST_TILE / self._multiple) * self._multiple
        side = max(LARGEST_TILE, least)
        while self._with_band(side, area) > budget and side - FINE_STEP >= least:
            side -= FINE_STEP
        if (needed := self._with_band(side, area)) > budget:
            raise self._too_large((area.height, area.width), needed, budget)
        return side

    def _too_large(
        self, size: tuple[int, int], needed: float, budget: int | None = None
    ) -> NotEnoughMemory:
        allowed = max(self._budget if budget is None else budget, 0) / 1e6
        in_tiles = ""
        if self._network is None:
            in_tiles = (
                ". In tiles it would need less, which this translator does not allow: a SavedModel of "
                "an earlier version does when it is exported anew"
            )
        return NotEnoughMemory(
            f"a picture of {size[1]}x{size[0]} needs {needed / 1e6:,.0f} MB beside what the program "
            f"itself takes, and {allowed:,.0f} MB are allowed or free: give more with --memory, or "
            f"scale the picture down with --max-side{in_tiles}"
        )

    def _with_band(self, side: int, area: Area) -> float:
        masks = self._needs.by_pixel_of_whole * area.height * area.width
        return self._bytes(side**2) + masks + BAND_BYTES * side * area.width


def is_pil(pixels: PixelFormat) -> bool:
    """Whether PIL has images of such pixels that are converted here: grey or colour of 8 bits."""
    return pixels.dtype == "uint8" and pixels.channels in (1, 3)


def _array_of(picture: Image.Image, pixels: PixelFormat) -> np.ndarray:
    try:
        image = rgb_of(picture)
        return Picture(image if pixels.channels == 3 else image.convert("L")).samples
    except UnreadableImage as error:
        raise UserError(f"the picture cannot be read ({error})") from error


def _check_images(images: np.ndarray, takes: PixelFormat) -> None:
    """See that images are what a translator takes.

    Raises:
        UserError: They are not.
    """
    if images.ndim not in (3, 4) or images.shape[-1] != takes.channels:
        raise UserError(
            f"the pictures have the shape {list(images.shape)}; this translator takes one picture "
            f"[height, width, {takes.channels}] or several [number, height, width, {takes.channels}]"
        )
    if images.dtype == np.dtype(takes.dtype):
        return
    if not images.size or images.dtype.kind not in "iuf":
        found = f"{images.dtype}"
    else:
        found = f"{images.dtype} from {images.min():g} to {images.max():g}"
    way_out = ": where 1.0 is white, numpy.uint8(numpy.round(255 * pictures))"
    raise UserError(
        f"the pictures are {found}; this translator takes {takes.dtype} from {takes.low:.10g} to "
        f"{takes.high:.10g}{way_out if takes == RGB8 else ''}"
    )
