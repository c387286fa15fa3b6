"""What translators that have learnt nothing would get: the numbers that others have to beat."""

from collections.abc import Mapping

import numpy as np

from ..data.piles import open_data
from ..data.pipeline import ScaledImages
from ..settings import RunSettings
from .distribution import sliced_wasserstein
from .judge import judge
from .translations import ImageSet, Translations, find_pairs

NOT_TRANSLATED, ONE_COLOUR = "not translated", "one colour"


def judge_baselines(config: RunSettings, a: ImageSet, b: ImageSet) -> dict[str, dict[str, Mapping]]:
    """Judge pictures that were left as they are, and pictures of one colour.

    The colour is the median of every channel over the training images of the domain translated to: of
    all single colours that which is nearest to them in L1.

    Args:
        config: Settings that say where the data are and how they are read.
        a: The test images of the data's domain A.
        b: Those of B.

    Returns:
        By baseline and direction (x_to_y from A to B) what `judge` returns, the baseline in the place
        of the translated.
    """
    domains = open_data(config)
    results: dict[str, dict[str, Mapping]] = {NOT_TRANSLATED: {}, ONE_COLOUR: {}}
    for direction, source, target, letter in (
        ("x_to_y", a, b, "B"),
        ("y_to_x", b, a, "A"),
    ):
        training = ScaledImages(
            domains[f"train{letter}"],
            config.image_shape,
            config.resize_method,
            config.skip_unreadable,
            config.max_pixels,
        )
        images = np.broadcast_to(median_colour(training), source.images.shape)
        truth = find_pairs(source.names, target.names, "names")
        translations = Translations(source.names, source.images, images, target.images, truth)
        metrics = {"sliced_wasserstein": sliced_wasserstein}
        result = judge(translations, metrics, what=f"measuring one colour, {direction}")
        results[ONE_COLOUR][direction] = result
        results[NOT_TRANSLATED][direction] = result | {
            section: {
                name: {"translated": columns["untranslated"]}
                for name, columns in result.get(section, {}).items()
            }
            for section in ("distribution", "paired")
        }
    return results


def median_colour(images) -> np.ndarray:
    """The median of every channel, uint8 `[3]`.

    Args:
        images: A sequence of uint8 images `[H, W, 3]`, of which one at a time is held.
    """
    counts = np.zeros([3, 256], np.int64)
    for place in range(len(images)):
        for channel in range(3):
            counts[channel] += np.bincount(images[place][..., channel].ravel(), minlength=256)
    half = (counts.sum(axis=1, keepdims=True) + 1) // 2
    return (counts.cumsum(axis=1) >= half).argmax(axis=1).astype(np.uint8)
