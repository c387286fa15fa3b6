"""The test images of both domains, which belong together, and what generators make of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from ..data.decode import UnreadableImage
from ..data.fit import Fit
from ..data.pairs import NO_PAIR, Pairs, find_pairs, short_names
from ..data.pipeline import normalise
from ..data.scaled import ScaledImages
from ..data.sources import Domain
from ..data.survey import COLOUR, Wanted
from ..errors import UserError
from ..pixels import RGB8, PixelFormat
from ..progress import progress
from ..settings import MAX_PIXELS

BATCH = 16


@dataclass(frozen=True)
class ImageSet:
    """All images of a domain.

    Attributes:
        names: One an image, none twice: file names without what all have in common.
        images: `[N, H, W, C]`, samples of the domain's own type.
        pixels: What they are.
        lines: What was done to them that is to be told.
    """

    names: Sequence[str]
    images: np.ndarray
    pixels: PixelFormat = RGB8
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class Translations:
    """One direction: images, what they became, and what is known about what they should be.

    Attributes:
        names: Of the N images.
        real: `[N, H, W, C]`, samples of the domain's own type.
        translated: The same images in the other domain.
        target: `[M, H, W, C]`, the test set of the other domain.
        truth: int `[N]`, the place in `target` of the image that each should become, or `NO_PAIR`.
        cycled: The translated images translated back, or None.
        source_pixels: What the pixels of `real` and `cycled` are.
        target_pixels: Those of `translated` and `target`.
    """

    names: Sequence[str]
    real: np.ndarray
    translated: np.ndarray
    target: np.ndarray
    truth: np.ndarray
    cycled: np.ndarray | None = None
    source_pixels: PixelFormat = RGB8
    target_pixels: PixelFormat = RGB8

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
    wanted: Wanted = COLOUR,
    fit: Fit = "stretch",
    keep_colour_space: bool = False,
) -> ImageSet:
    """Read all images of a domain, made one size: see `ScaledImages`; cut from their middle.

    Raises:
        UserError: Images cannot be read (the first is named) and are not to be skipped.
    """
    scaled = ScaledImages(
        domain, shape, method, skip_unreadable, max_pixels, wanted, fit, keep_colour_space
    )
    images = np.stack([scaled.cut(i, shape) for i in range(len(scaled))])
    return ImageSet(short_names(scaled.names), images, scaled.pixels, scaled.lines[1:])


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
            picture = domain.picture(i, max_pixels, keep_colour_space=True, with_alpha=False)
        except UnreadableImage as error:
            if skip_unreadable:
                continue
            raise UserError(
                f"{domain.names[i]} cannot be read ({error}); remove it, or pass --skip-unreadable"
            ) from error
        sizes.setdefault(picture.size, domain.names[i])
    if not sizes:
        raise UserError(f"no image can be read, the first is {domains[0].names[0]}")
    if len(sizes) > 1:
        (one, first), (other, second), *_ = sizes.items()
        raise UserError(
            f"the images have different sizes, {first} {one[0]}x{one[1]} and {second} "
            f"{other[0]}x{other[1]}; pass --image-size to scale all to one"
        )
    return next(iter(sizes))


Compiled = Callable[[np.ndarray], tuple[tf.Tensor, tf.Tensor | None]]


def compiled(
    translators: Mapping[str, Callable], pixels: tuple[PixelFormat, PixelFormat] = (RGB8, RGB8)
) -> dict[str, Compiled]:
    """Graphs of translators, by direction.

    Args:
        translators: From "x_to_y" and "y_to_x", or either, to what maps images to images in [-1, 1].
        pixels: What those of X and of Y are.

    Returns:
        Functions from samples of a domain to those translated and those translated back, in [-1, 1];
        None in place of the latter where there is no way back.
    """

    def there_and_back(there, back, pixels):
        @tf.function(reduce_retracing=True, autograph=False)
        def translate(images):
            # Not by way of 256 levels: a generator can hide what it needs for the way back in less.
            translated = there(normalise(images, pixels))
            return translated, back and back(translated)

        return translate

    opposite = {"x_to_y": "y_to_x", "y_to_x": "x_to_y"}
    return {
        direction: there_and_back(
            translator,
            translators.get(opposite[direction]),
            pixels[0 if direction == "x_to_y" else 1],
        )
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
            None if one[0] is None else np.concatenate([pixels.from_unit(part) for part in one])
            for one, pixels in zip(
                zip(*parts, strict=True), (target.pixels, source.pixels), strict=True
            )
        )
        truth = find_pairs(source.names, target.names, pairs)
        results[direction] = Translations(
            source.names,
            source.images,
            translated,
            target.images,
            truth,
            cycled,
            source.pixels,
            target.pixels,
        )
    return results


def translate_set(
    translate: Callable[[np.ndarray], np.ndarray], source: ImageSet, target: ImageSet, pairs: Pairs
) -> Translations:
    """Translate images with a function from samples of one domain to those of the other."""
    translated = np.concatenate(_in_batches(translate, source.images, "translating"))
    truth = find_pairs(source.names, target.names, pairs)
    return Translations(
        source.names,
        source.images,
        translated,
        target.images,
        truth,
        source_pixels=source.pixels,
        target_pixels=target.pixels,
    )


def _in_batches(function, images, what):
    starts = range(0, len(images), BATCH)
    return [function(images[i : i + BATCH]) for i in progress(starts, len(starts), what)]
