"""The pictures of a comparison side by side: the input, what each entry makes of it, and the truth."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from ..data.decode import decode
from ..data.encode import usual_suffix
from ..data.picture import converted
from ..pictures import shown
from ..pixels import PixelFormat
from ..training.run import Run
from .comparison import ARROWS, Runs, data_direction
from .page import SMALL, picture_uri
from .translations import ImageSet, find_pairs

PICTURES = 40  # rows of the page
GRID_PICTURES = 8  # rows of the PNG files
TEMPLATE = Path(__file__).with_name("comparison_page.html")

Columns = Mapping[str, np.ndarray]


def columns_of(runs: Runs, a: ImageSet, b: ImageSet, most: int) -> dict[str, tuple[list, Columns]]:
    """Pictures of a comparison, by direction of the data: their names, and a column for each heading.

    Args:
        runs: Of the entries; the first of each is shown.
        a: The test images of the data's domain A.
        b: Those of B.
        most: How many pictures of each direction, spread evenly over the test images.
    """
    columns_by_direction = {}
    for direction, source, target in (("x_to_y", a, b), ("y_to_x", b, a)):
        count = min(most, len(source.names))
        places = np.arange(count) * len(source.names) // count
        names = [source.names[place] for place in places]
        columns = {direction[0]: shown(source.images[places], source.pixels)}
        for name, several in runs.items():
            folder = Run(several[0].run_folder).evaluation / data_direction(several[0], direction)
            if folder.is_dir():
                suffix = usual_suffix(target.pixels)
                columns[name] = np.stack(
                    [_picture(folder / f"{name}{suffix}", target.pixels) for name in names]
                )
        truth = find_pairs(source.names, target.names, "names")[places]
        if len(columns) > 1:
            if (truth >= 0).all():
                columns[f"true {direction[-1]}"] = shown(target.images[truth], target.pixels)
            columns_by_direction[direction] = names, columns
    return columns_by_direction


def _picture(path: Path, pixels: PixelFormat) -> np.ndarray:
    picture = decode(path.read_bytes(), keep_colour_space=True)
    return shown(converted(picture, pixels).samples, pixels)


def comparison_page(
    title: str,
    about: str,
    cells: Sequence[Sequence[str]],
    pictures: Mapping[str, tuple[Sequence[str], Columns]],
) -> str:
    """One HTML file that opens from disk and loads nothing.

    Args:
        title: Of the page.
        about: A sentence on what is compared.
        cells: Of the table of numbers, the heading first.
        pictures: What `columns_of` returned.
    """
    parts = {
        "title": escape(title),
        "about": escape(about),
        "numbers": _numbers(cells),
        "pictures": "".join(_pictures(key, *one) for key, one in pictures.items()),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], TEMPLATE.read_text("utf-8"))


def _numbers(cells: Sequence[Sequence[str]]) -> str:
    heading, *rows = cells
    head = "".join(f"<th scope=col>{escape(cell)}</th>" for cell in heading)
    body = "".join(
        f"<tr><th scope=row>{escape(name)}</th>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in row)
        + "</tr>"
        for name, *row in rows
    )
    return f"<table class=numbers><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _pictures(direction: str, names: Sequence[str], columns: Columns) -> str:
    small = " small" if max(next(iter(columns.values())).shape[1:3]) <= SMALL else ""
    head = "".join(f"<th scope=col>{escape(heading)}</th>" for heading in columns)
    rows = []
    for place, name in enumerate(names):
        cells = "".join(
            f'<td><img loading=lazy src="{picture_uri(images[place])}" width={images.shape[2]} '
            f'height={images.shape[1]} alt="{escape(heading)} of {escape(name)}"></td>'
            for heading, images in columns.items()
        )
        rows.append(f"<tr><th scope=row>{escape(name)}</th>{cells}</tr>")
    return (
        f"<section><h2>{ARROWS[direction]}</h2><div class='scroll pictures{small}'><table><thead><tr>"
        f"<th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></section>"
    )
