"""The folder of an evaluation: metrics.json, all pictures, and a page to look at."""

import json
from collections.abc import Mapping
from pathlib import Path

from ..data.encode import encode_samples, usual_suffix
from ..files import writing
from ..progress import progress
from ..training.run import Run
from .page import evaluation_page
from .translations import Translations


def write_evaluation(
    folder: Path,
    about: Mapping,
    results: Mapping[str, Mapping],
    directions: Mapping[str, Translations],
    run: Path | None = None,
) -> None:
    """Write an evaluation whole or not at all.

    Args:
        folder: Gets metrics.json, index.html, the translated pictures as x_to_y/NAME.png and, where
            there are any, the cycled ones as x_to_y_cycled/NAME.png; samples that PNG cannot hold are
            in NAME.tif.
        about: What was judged, on what.
        results: What `judge` returned, by direction.
        directions: The pictures, by direction.
        run: Folder of the run whose losses the page shows.

    Raises:
        UserError: The disk is full or read-only.
    """
    losses = Run(run).metrics.lines() if run else []
    page = evaluation_page(about, results, directions, losses)
    content = json.dumps(dict(about) | {"directions": results}, indent=2, allow_nan=False)
    pictures = []
    for direction, translations in directions.items():
        sets = {
            direction: (translations.translated, translations.target_pixels),
            f"{direction}_cycled": (translations.cycled, translations.source_pixels),
        }
        for name, (images, pixels) in sets.items():
            if images is not None:
                suffix = usual_suffix(pixels)
                pictures += [
                    (f"{name}/{own}{suffix}", image)
                    for own, image in zip(translations.names, images, strict=True)
                ]
    with writing(folder) as beside:
        beside.mkdir()
        (beside / "metrics.json").write_text(content + "\n")
        (beside / "index.html").write_text(page, encoding="utf-8")
        for name, image in progress(pictures, len(pictures), "writing pictures"):
            path = beside / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_samples(image, path.suffix))
