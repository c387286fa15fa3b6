"""All numbers about one direction, and why some are missing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ..errors import NotMeasurable, UserError
from ..pixels import PixelFormat
from ..progress import ProgressLine
from . import segmentation
from .paired import PAIRED_METRICS
from .translations import Translations

# From two sets of images, uint8 `[N, H, W, 3]` and `[M, H, W, 3]`, to named numbers.
DistributionMetric = Callable[[np.ndarray, np.ndarray], Mapping[str, float]]


@dataclass(frozen=True)
class LabelMaps:
    """What judging by segmentation needs.

    Attributes:
        palette: Colours by class.
        images: uint8 `[N, H, W, 3]`, the true label maps, never blended between colours.
        segmenter: From uint8 photographs to labels, or None.
        of_target: Whether the label maps are of the domain translated to.
    """

    palette: segmentation.Palette
    images: np.ndarray
    segmenter: Callable[[np.ndarray], np.ndarray] | None
    of_target: bool


def judge(
    translations: Translations,
    distribution_metrics: Mapping[str, DistributionMetric],
    label_maps: LabelMaps | None = None,
    what: str = "measuring",
) -> dict:
    """Measure a direction in every way that its images allow.

    Args:
        translations: The direction.
        distribution_metrics: By name; called with the real images of the target domain first.
        label_maps: For segmentation scores.
        what: Few words for the progress line.

    Returns:
        Numbers as in metrics.json: "images" (counts), "distribution" and "paired" (of translated
        and of untranslated images), "cycle", "segmentation", "pictures" (numbers of every picture)
        and "not_measured" (the reason for every null).
    """
    t, paired = on_one_scale(translations), translations.paired
    columns = {"translated": t.translated, "untranslated": t.real}
    alike = t.source_pixels.channels == t.target_pixels.channels
    jobs = []  # (section, metric, column or None, function)
    for name, metric in distribution_metrics.items():
        for column, images in columns.items():
            compared = partial(metric, t.target, images)
            unlike = partial(_not_comparable, t) if column == "untranslated" and not alike else None
            jobs.append(("distribution", name, column, unlike or compared))
    for name, metric in PAIRED_METRICS.items():
        truth = t.target[t.truth[paired]] if len(paired) else None
        for column, images in columns.items() if len(paired) else ():
            compared = partial(metric, images[paired], truth)
            unlike = partial(_not_comparable, t) if column == "untranslated" and not alike else None
            jobs.append(("paired", name, column, unlike or compared))
        if t.cycled is not None:
            jobs.append(("cycle", name, None, partial(metric, t.cycled, t.real)))
    if label_maps is not None:
        jobs += [("segmentation", *job) for job in _segmentation_jobs(t, label_maps)]

    result = {
        "images": {"real": len(t.real), "target": len(t.target), "pairs": len(paired)},
        **{section: {} for section, *_ in jobs},
    }
    reasons = {}
    pictures = [{"name": name} for name in t.names]
    for section, name, column, function in _told(jobs, what):
        try:
            value = function()
            if isinstance(value, np.ndarray):
                prefix = "cycle_" if section == "cycle" else ""
                if column != "untranslated":
                    places = range(len(t.names)) if section == "cycle" else paired
                    for place, number in zip(places, value, strict=True):
                        finite = float(number) if np.isfinite(number) else None
                        pictures[place][prefix + name] = finite
                value = _mean(name, value)
        except NotMeasurable as reason:
            value = None
            reasons[f"{section}.{name}" + (f".{column}" if column else "")] = str(reason)
        if column:
            result[section].setdefault(name, {})[column] = value
        else:
            result[section][name] = value
    if not len(paired):
        reasons["paired"] = "no image of one domain has its true translation in the other"
    return result | {"pictures": pictures, "not_measured": reasons}


def on_one_scale(t: Translations) -> Translations:
    """Translations whose samples go from 0 to 255, whatever the range of their domains.

    PSNR and SSIM of the true range are those of this scale: both change nothing when samples and range
    are scaled and moved together. Samples of 8 bits stay as they are, others become float32.
    """

    def scaled(images: np.ndarray | None, pixels: PixelFormat) -> np.ndarray | None:
        if images is None or (pixels.dtype, pixels.low, pixels.high) == ("uint8", 0, 255):
            return images
        return (pixels.to_unit(images) + 1) * np.float32(127.5)

    x, y = t.source_pixels, t.target_pixels
    return replace(
        t,
        real=scaled(t.real, x),
        cycled=scaled(t.cycled, x),
        translated=scaled(t.translated, y),
        target=scaled(t.target, y),
    )


def _not_comparable(t: Translations):
    raise NotMeasurable(
        f"untranslated images have {t.source_pixels.channels} channels, and those that they would be "
        f"compared with {t.target_pixels.channels}"
    )


def _told(jobs, what: str):
    """Pass the jobs through and show how far they are, and which is being done."""
    with ProgressLine(len(jobs), what) as line:
        for done, job in enumerate(jobs):
            line.update(done, job[1].replace("_", " "))
            yield job


def _mean(name: str, values: np.ndarray) -> float:
    infinite = int(np.isinf(values).sum())
    if infinite:
        raise NotMeasurable(f"{name} is infinite: {infinite} pictures are identical to theirs")
    return float(values.mean(dtype=np.float64))


def _segmentation_jobs(t: Translations, maps: LabelMaps):
    names = segmentation.classes(maps.palette)
    true_labels = partial(segmentation.nearest_labels, palette=maps.palette, keep_void=True)

    def score(truth, predict, images):
        predicted = predict(images)
        if predicted.min() < 0 or predicted.max() >= len(names):
            raise UserError(
                f"the segmenter gives labels from {predicted.min()} to {predicted.max()}, the "
                f"palette has {len(names)} classes, 0 to {len(names) - 1}"
            )
        truth = true_labels(truth)
        return segmentation.scores(segmentation.confusion_matrix(truth, predicted, len(names)))

    def unknown(reason):
        raise NotMeasurable(reason)

    if maps.of_target:
        if not len(t.paired):
            return [("labels", "translated", partial(unknown, "no true label map is known"))]
        nearest = partial(segmentation.nearest_labels, palette=maps.palette)
        truth = maps.images[t.truth[t.paired]]
        return [("labels", "translated", partial(score, truth, nearest, t.translated[t.paired]))]
    if maps.segmenter is None:
        reason = "photographs are judged by a segmentation model: pass --segmenter"
        return [("fcn_score", "translated", partial(unknown, reason))]
    jobs = [("fcn_score", "translated", partial(score, maps.images, maps.segmenter, t.translated))]
    if len(t.paired):
        photographs = t.target[t.truth[t.paired]]
        truth = maps.images[t.paired]
        jobs.append(("fcn_score", "true", partial(score, truth, maps.segmenter, photographs)))
    return jobs
