"""The test images of both domains, which belong together, and what generators make of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from ..data.decode import UnreadableImage
from ..data.pairs import NO_PAIR, Pairs, find_pairs, short_names
from ..data.pipeline import ScaledImages, normalise
from ..data.sources import Domain
from ..errors import UserError
from ..pictures import to_uint8
from ..progress import progress
from ..settings import MAX_PIXELS

BATCH = 16


@dataclass(frozen=True)
class ImageSet:
    """All images of a domain.

    Attributes:
        names: One an image, none twice: file names without what all have in common.
        images: uint8 `[N, H, W, 3]`.
    """

    names: Sequence[str]
    images: np.ndarray


@dataclass(frozen=True)
class Translations:
    """One direction: images, what they became, and what is known about what they should be.

    Attributes:
        names: Of the N images.
        real: uint8 `[N, H, W, 3]`.
        translated: The same images in the other domain.
        target: uint8 `[M, H, W, 3]`, the test set of the other domain.
        truth: int `[N]`, the place in `target` of the image that each should become, or `NO_PAIR`.
        cycled: The translated images translated back, or None.
    """

    names: Sequence[str]
    real: np.ndarray
    translated: np.ndarray
    target: np.ndarray
    truth: np.ndarray
    cycled: np.ndarray | None = None

    @property
    def paired(self) -> np.ndarray:
        """Places of the images whose truth is known."""
        return np.flatnonzero(self.truth != NO_PAIR)


def read_images(
    domain: Domain,
    shape: tuple[int, int],
    method: str,
    skip_unreadable: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> ImageSet:
    """Read all images of a domain, scaled to one size.

    Raises:
        UserError: Images cannot be read (the first is named) and are not to be skipped.
    """
    scaled = ScaledImages(domain, shape, method, skip_unreadable, max_pixels)
    return ImageSet(short_names(scaled.names), np.stack([scaled[i] for i in range(len(scaled))]))


def common_shape(
    domains: Sequence[Domain], skip_unreadable: bool = False, max_pixels: int = MAX_PIXELS
) -> tuple[int, int]:
    """The height and width that all images have.

    Raises:
        UserError: They differ, an image cannot be read and is not to be skipped, or none can.
    """
    places = [(domain, i) for domain in domains for i in range(len(domain))]
    sizes = {}
    for domain, i in progress(places, len(places), "looking at sizes"):
        try:
            size = domain.image(i, max_pixels).size
        except UnreadableImage as error:
            if skip_unreadable:
                continue
            raise UserError(
                f"{domain.names[i]} cannot be read ({error}); remove it, or pass --skip-unreadable"
            ) from error
        sizes.setdefault(size, domain.names[i])
    if not sizes:
        raise UserError(f"no image can be read, the first is {domains[0].names[0]}")
    if len(sizes) > 1:
        (one, first), (other, second), *_ = sizes.items()
        raise UserError(
            f"the images have different sizes, {first} {one[1]}x{one[0]} and {second} "
            f"{other[1]}x{other[0]}; pass --image-size to scale all to one"
        )
    ((width, height),) = sizes
    return height, width


Compiled = Callable[[np.ndarray], tuple[tf.Tensor, tf.Tensor | None]]


def compiled(translators: Mapping[str, Callable]) -> dict[str, Compiled]:
    """Graphs of translators, by direction.

    Args:
        translators: From "x_to_y" and "y_to_x", or either, to what maps images to images in [-1, 1].

    Returns:
        Functions from uint8 images to those translated and those translated back, in [-1, 1]; None in
        place of the latter where there is no way back.
    """

    def there_and_back(there, back):
        @tf.function(reduce_retracing=True, autograph=False)
        def translate(images):
            # Not by way of 256 levels: a generator can hide what it needs for the way back in less.
            translated = there(normalise(images))
            return translated, back and back(translated)

        return translate

    opposite = {"x_to_y": "y_to_x", "y_to_x": "x_to_y"}
    return {
        direction: there_and_back(translator, translators.get(opposite[direction]))
        for direction, translator in translators.items()
    }


def translate_both(
    compiled: Mapping[str, Compiled],
    x: ImageSet,
    y: ImageSet,
    directions: Sequence[str],
    pairs: Pairs,
) -> dict[str, Translations]:
    """Translate test sets with what `compiled` returned, and back where there is a way."""
    results = {}
    for direction in directions:
        source, target = (x, y) if direction == "x_to_y" else (y, x)
        parts = _in_batches(compiled[direction], source.images, f"translating {direction}")
        translated, cycled = (
            None if one[0] is None else np.concatenate([to_uint8(part) for part in one])
            for one in zip(*parts, strict=True)
        )
        truth = find_pairs(source.names, target.names, pairs)
        results[direction] = Translations(
            source.names, source.images, translated, target.images, truth, cycled
        )
    return results


def translate_set(
    translate: Callable[[np.ndarray], np.ndarray], source: ImageSet, target: ImageSet, pairs: Pairs
) -> Translations:
    """Translate images with a function from uint8 images to uint8 images."""
    translated = np.concatenate(_in_batches(translate, source.images, "translating"))
    truth = find_pairs(source.names, target.names, pairs)
    return Translations(source.names, source.images, translated, target.images, truth)


def _in_batches(function, images, what):
    starts = range(0, len(images), BATCH)
    return [function(images[i : i + BATCH]) for i in progress(starts, len(starts), what)]
