"""A comparison from its entries to its table and its page."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..files import check_writable, holding, write_file
from ..pictures import image_grid, png_bytes
from ..settings import RunSettings
from . import comparison
from .comparison import Row, Runs
from .features import load_extractor
from .run_evaluation import Options, read_test_images
from .translations import ImageSet


def compare(
    entries: Mapping[str, RunSettings],
    folder: Path,
    seeds: Sequence[int],
    jobs: int,
    *,
    steps: int | None = None,
    minutes: float | None = None,
    features: str | None = None,
) -> str:
    """Train and judge entries with one budget, and put their numbers and pictures side by side.

    Args:
        entries: Settings by name; their steps, seed and folder are not looked at.
        folder: For all of it: the runs in NAME/seed_0 and so on, table.md, table.json, index.html and
            a PNG file for each direction.
        seeds: A run of every entry for each.
        jobs: How many runs are at work at a time.
        steps: Of every run; or
        minutes: of the processor that the steps of every run may take.
        features: To judge by, too, as `evaluate --features` takes them.

    Returns:
        The table, in Markdown.

    Raises:
        UserError: The data, a folder or the settings do not allow it.
        Stopped: A signal came; the same call goes on.
    """
    from ..training.devices import accelerated

    check_writable(folder / "table.md")
    entries = {name: settings.sized(accelerated()) for name, settings in entries.items()}
    check_same_test_images(entries)
    if features is not None:
        load_extractor(features)  # or an error now, and not after the training
    with holding(folder, "comparison", "choose another --output"):
        if steps is not None:
            each = dict.fromkeys(entries, steps)
        else:
            each = comparison.steps_in_minutes(entries, folder, minutes, jobs)
        runs = comparison.runs_of(entries, folder, each, seeds)
        comparison.complete(runs, jobs, features)
        return write_comparison(runs, folder, comparison.main_numbers, "method", features)


def _test_images(settings: RunSettings) -> tuple[ImageSet, ImageSet]:
    """The test images of the data's domains A and B."""
    x, y, _, _ = read_test_images(Options(), settings)
    return (x, y) if settings.domains == ("A", "B") else (y, x)


def check_same_test_images(entries: Mapping[str, RunSettings]) -> None:
    """See that entries with data sets of their own, one of them of pairs, have the same test images.

    Raises:
        UserError: They have not, or images cannot be read.
    """
    by_source: dict[tuple, tuple[str, tuple[ImageSet, ImageSet]]] = {}
    for name, settings in entries.items():
        source = settings.data_name, settings.data_dir
        if source not in by_source:
            by_source[source] = name, _test_images(settings)
    (first, images), *others = by_source.values()
    for name, other in others:
        for one, another in zip(images, other, strict=True):
            if list(one.names) != list(another.names) or not np.array_equal(
                one.images, another.images
            ):
                raise UserError(
                    f"{first} and {name} have different test images ({entries[first].data_name} and "
                    f"{entries[name].data_name}): their numbers could not be compared"
                )


def write_comparison(
    runs: Runs,
    folder: Path,
    choose: Callable[[Sequence[Row]], Mapping[str, str]],
    first: str,
    features: str | None = None,
) -> str:
    """Write the table and the pictures of runs that are done.

    Args:
        runs: The settings of an entry's runs, by its name.
        folder: Gets table.md, table.json, index.html and a PNG file for each direction.
        choose: Which numbers are columns of the table, with their headings.
        first: Heading of the entries' names.
        features: That the runs were judged by, and the baselines are.

    Returns:
        The table, in Markdown.
    """
    from .baselines import judge_baselines
    from .comparison_page import GRID_PICTURES, PICTURES, columns_of, comparison_page

    settings = next(iter(runs.values()))[0]
    a, b = _test_images(settings)
    rows = comparison.rows_of(runs)
    baselines = [
        Row(name, [comparison.headline_numbers(results)])
        for name, results in judge_baselines(settings, a, b, features).items()
    ]
    rows = [*baselines, *rows]
    cells = comparison.cells_of(rows, choose(rows), first)
    count = max(len(several) for several in runs.values())
    about = (
        f"{settings.data_name}, {len(a.names)} and {len(b.names)} test images of "
        f"{'x'.join(map(str, settings.image_shape))} pixels"
        + (f"; mean ± standard deviation over {count} seeds, pictures of the first" * (count > 1))
    )
    for direction, (_, columns) in columns_of(runs, a, b, GRID_PICTURES).items():
        write_file(folder / f"{direction}.png", png_bytes(image_grid(columns)))
    pictures = columns_of(runs, a, b, PICTURES)
    page = comparison_page(f"Comparison on {settings.data_name}", about, cells, pictures)
    write_file(folder / "index.html", page)
    write_file(folder / "table.json", json.dumps(comparison.summary(rows, runs), indent=2) + "\n")
    text = comparison.markdown(cells)
    write_file(folder / "table.md", text)
    return text
