"""What translators that have learnt nothing would get: the numbers that others have to beat."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from ..data.piles import open_data
from ..data.scaled import scaled_images
from ..data.survey import Wanted
from ..settings import RunSettings
from .distribution import sliced_wasserstein
from .features import feature_metrics, load_extractor
from .judge import judge
from .translations import ImageSet, translate_set

NOT_TRANSLATED, ONE_COLOUR = "not translated", "one colour"


def judge_baselines(
    config: RunSettings, a: ImageSet, b: ImageSet, features: str | None = None
) -> dict[str, dict[str, Mapping]]:
    """Judge pictures that were left as they are, and pictures of one colour.

    The colour is the median of every channel over the training images of the domain translated to: of
    all single colours that which is nearest to them in L1.

    Args:
        config: Settings that say where the data are and how they are read.
        a: The test images of the data's domain A.
        b: Those of B.
        features: To judge by, too, as `evaluate --features` takes them.

    Returns:
        By baseline and direction (x_to_y from A to B) what `judge` returns, the baseline in the place
        of the translated.
    """
    domains = open_data(config)
    metrics = {"sliced_wasserstein": sliced_wasserstein}
    if features is not None:
        metrics |= feature_metrics(load_extractor(features))
    results: dict[str, dict[str, Mapping]] = {NOT_TRANSLATED: {}, ONE_COLOUR: {}}
    for direction, source, target, letter in (
        ("x_to_y", a, b, "B"),
        ("y_to_x", b, a, "A"),
    ):
        wanted = Wanted.exactly(target.pixels)
        training = scaled_images(domains[f"train{letter}"], config, config.image_shape, wanted)
        colour = median_colour([training.cut(i, config.image_shape) for i in range(len(training))])
        translations = translate_set(partial(_painted, colour), source, target, "names")
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


def median_colour(images: Sequence[np.ndarray]) -> np.ndarray:
    """The lower median of every channel, `[C]`, of images `[H, W, C]` of one type."""
    samples = np.concatenate([image.reshape(-1, image.shape[-1]) for image in images])
    middle = (len(samples) - 1) // 2
    return np.partition(samples, middle, axis=0)[middle]


def _painted(colour: np.ndarray, images: np.ndarray) -> np.ndarray:
    """As many and as large images, each of one colour."""
    return np.broadcast_to(colour, (*images.shape[:3], len(colour)))
