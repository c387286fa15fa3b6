"""Pictures of any size in bounded memory: tile by tile, with the norms' statistics of the whole.

First the picture goes through the network scaled down to the size of a tile, which gives each instance
norm its mean and variance (Chen et al. 2022, https://arxiv.org/abs/2103.11784). Then tiles that overlap
are translated with those, and blended where they do.
"""

import math
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from ..methods.dropping import DroppingTranslator
from ..models.cpu.choice import also_of_open_sizes
from ..models.dropout import Part
from ..models.statistics import Given, Pooled, normalising_by
from .area import Area

Network = keras.Model | DroppingTranslator
MARGIN = 32  # pixels that a tile reaches into its neighbour, at least half of what they share
DEAD = 8  # outermost pixels of a tile, which know nothing of what follows them, and do not count
LARGEST_TILE = 1536  # pixels a side
SMALLEST_TILE = 256


class Tiled:
    """A network for pictures that are too large to be translated at once.

    Args:
        network: Of convolutions, instance norms and dropout that stays, from `[N, H, W, C]` in [-1, 1]
            to such images.
        size_multiple: Heights and widths that it takes are multiples of this.
        side: Of the tiles, in pixels; it is made a multiple of `size_multiple`.
    """

    def __init__(self, network: Network, size_multiple: int, side: int):
        self._network = network
        self._multiple = size_multiple
        self._side = max(side // size_multiple, 1) * size_multiple
        self._normalised_by = tf.function(self._statistics_of, autograph=False)
        self._translate = tf.function(self._with_statistics, autograph=False)

    def _statistics_of(self, images):
        with normalising_by(Pooled()) as statistics:
            self._network(images, training=False)
        return statistics.values

    def _with_statistics(self, images, values, place):
        options = {}
        if isinstance(self._network, DroppingTranslator):
            options["part"] = Part(*tf.unstack(place), rows=images.shape[1])
        with normalising_by(Given(values)):
            return tf.cast(self._network(images, training=False, **options), tf.float32)

    def work(self, area: Area) -> int:
        """How many pieces of progress `rows` has: the tiles, and the picture scaled down."""
        tile = self._tile(area)
        count = [
            len(_starts(*pair, self._multiple)) for pair in zip(_size(area), tile, strict=True)
        ]
        return math.prod(count) + 1

    def rows(self, area: Area, advance: Callable[[], None] = lambda: None) -> Iterator[np.ndarray]:
        """Translate a picture.

        Args:
            area: The picture.
            advance: Called after every piece of `work`.

        Yields:
            float32 `[rows, W, C]` in [-1, 1], from top to bottom.
        """
        values = self.statistics(area, advance)
        whole = [self._fitting(max(side, 8)) for side in _size(area)]
        (height, width), (tile_height, tile_width) = _size(area), self._tile(area)
        tops = _starts(height, tile_height, self._multiple)
        lefts = _starts(width, tile_width, self._multiple)
        down, across = _weights(tops, tile_height), _weights(lefts, tile_width)
        band = None
        for number, top in enumerate(tops):
            for left, weights in zip(lefts, across, strict=True):
                part = _mirrored(area, top, left, tile_height, tile_width)
                with also_of_open_sizes():
                    place = tf.constant([top, left, *whole])
                    tile = self._translate(part[None], values, place)[0].numpy()
                if band is None:
                    band = np.zeros(
                        [tile_height, lefts[-1] + tile_width, tile.shape[-1]], np.float32
                    )
                tile *= down[number][:, None, None] * weights[:, None]
                band[:, left : left + tile_width] += tile
                advance()
            following = tops[number + 1] if number + 1 < len(tops) else height
            done = following - top
            yield band[:done, :width]
            rest = band[done:].copy()
            band = np.concatenate([rest, np.zeros_like(band[: min(done, tile_height)])])

    def statistics(self, area: Area, advance: Callable[[], None] = lambda: None) -> list:
        """What the network's norms shall normalise this picture by."""
        with also_of_open_sizes():
            values = self._normalised_by(self._thumbnail(area)[None])
        advance()
        return values

    def _tile(self, area: Area) -> tuple[int, int]:
        """Height and width of the smallest tiles of which no more are needed than of the largest."""

        def smallest(size: int) -> int:
            if size <= self._side:
                return self._fitting(max(size, 8))
            count = len(_starts(size, self._side, self._multiple))
            return self._fitting(math.ceil((size - 2 * MARGIN) / count) + 2 * MARGIN)

        height, width = map(smallest, _size(area))
        return height, width

    def _thumbnail(self, area: Area) -> np.ndarray:
        """The picture no larger than a tile, in its shape: means of what falls into each pixel."""
        scale = min(1.0, *(self._side / side for side in _size(area)))
        height, width = (max(1, int(side * scale)) for side in _size(area))
        tops, lefts = (
            np.arange(count + 1) * side // count
            for side, count in zip(_size(area), (height, width), strict=True)
        )
        at_once = max(1, self._side**2 * height // (area.height * area.width))  # rows of it
        bands = []
        for first in range(0, height, at_once):
            edges = tops[first : first + at_once + 1]
            band = area.read(int(edges[0]), 0, int(edges[-1] - edges[0]), area.width)
            sums = np.add.reduceat(band, edges[:-1] - edges[0], axis=0)
            sums = np.add.reduceat(sums, lefts[:-1], axis=1)
            bands.append(sums / (np.diff(edges)[:, None, None] * np.diff(lefts)[:, None]))
        whole = np.concatenate(bands).astype(np.float32)
        missing = [(0, self._fitting(side) - side) for side in whole.shape[:2]]
        return np.pad(whole, [*missing, (0, 0)], mode="symmetric")

    def _fitting(self, side: int) -> int:
        return -(-side // self._multiple) * self._multiple


def _size(area: Area) -> tuple[int, int]:
    return area.height, area.width


def _starts(size: int, tile: int, multiple: int) -> list[int]:
    """Where tiles begin that cover a side; the last may reach beyond it, by less than `multiple`."""
    if size <= tile:
        return [0]
    count = math.ceil((size - 2 * MARGIN) / (tile - 2 * MARGIN))
    last = -(-(size - tile) // multiple) * multiple
    return [round(i * last / (count - 1) / multiple) * multiple for i in range(count)]


def _weights(starts: list[int], tile: int) -> list[np.ndarray]:
    """How much each tile counts at each of its pixels along a side; all of a pixel together are 1."""
    size = starts[-1] + tile
    all_weights = []
    for number, start in enumerate(starts):
        weights = np.ones(tile, np.float32)
        if number:
            weights *= _ramp(starts[number - 1] + tile - start, tile)
        if number + 1 < len(starts):
            weights *= _ramp(start + tile - starts[number + 1], tile)[::-1]
        all_weights.append(weights)
    total = np.zeros(size, np.float32)
    for start, weights in zip(starts, all_weights, strict=True):
        total[start : start + tile] += weights
    return [
        weights / total[start : start + tile]
        for start, weights in zip(starts, all_weights, strict=True)
    ]


def _ramp(shared: int, tile: int) -> np.ndarray:
    """From 0 to 1 within the pixels that a tile shares with the one before it."""
    t = np.clip((np.arange(tile) + 0.5 - DEAD) / max(shared - 2 * DEAD, 1), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def _mirrored(area: Area, top: int, left: int, height: int, width: int) -> np.ndarray:
    """A part of a picture, which goes on in its mirror where it ends."""
    inside = (min(height, area.height - top), min(width, area.width - left))
    part = area.read(top, left, *inside)
    missing = [(0, height - inside[0]), (0, width - inside[1]), (0, 0)]
    return np.pad(part, missing, mode="symmetric") if any(map(any, missing)) else part
