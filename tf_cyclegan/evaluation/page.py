"""One HTML file that shows an evaluation: it opens from disk and loads nothing."""

import base64
import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from ..pictures import loss_groups, plot_losses, shown
from ..progress import progress
from .translations import Translations

PAGE_BYTES = 24 * 2**20  # of pictures; of a larger test set the page shows the best and the worst
SMALL = 128  # pixels a side up to which pictures are kept without loss and enlarged as squares

TEMPLATE = Path(__file__).with_name("page.html")

SECTIONS = {
    "distribution": "As a set, against the real images of the other domain",
    "paired": "Each against its true translation",
    "cycle": "There and back, each against its original",
    "segmentation": "Classes of pixels",
}
LABELS = {
    "sliced_wasserstein": "Sliced Wasserstein",
    "total_variation": "Total variation",
    "l1": "L1",
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "ms_ssim": "Multi-scale SSIM",
    "fid": "FID",
    "published_fid": "FID as published,",
    "kid": "KID",
    "precision_recall": "Features",
    "labels": "Labels",
    "fcn_score": "FCN score",
}
LOWER_IS_BETTER = {"sliced_wasserstein", "l1", "fid", "published_fid", "kid"}
HIGHER_IS_BETTER = {"psnr", "ssim", "ms_ssim", "labels", "fcn_score", "precision_recall"}
COLUMNS = {"translated": "translated", "untranslated": "not translated", "true": "true photos"}
HEADINGS = {
    "x_to_y": ("X → Y", "x", "G(x)", "F(G(x))", "true y"),
    "y_to_x": ("Y → X", "y", "F(y)", "G(F(y))", "true x"),
}


def evaluation_page(
    about: Mapping,
    results: Mapping[str, Mapping],
    directions: Mapping[str, Translations],
    losses: Sequence[Mapping[str, float]] = (),
) -> str:
    """Make the page.

    Args:
        about: What was judged, on what.
        results: What `judge` returned, by direction.
        directions: The pictures, by direction.
        losses: Lines of a run's metrics.jsonl.

    Returns:
        HTML, with all pictures in it as data URIs.
    """
    parts = {
        "title": escape(str(about.get("run") or about.get("model"))),
        "about": _about(about),
        "numbers": "".join(_numbers(name, result) for name, result in results.items()),
        "losses": _losses(losses),
        "pictures": "".join(
            _pictures(name, directions[name], results[name]["pictures"], PAGE_BYTES // len(results))
            for name in results
        ),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], TEMPLATE.read_text("utf-8"))


def _about(about: Mapping) -> str:
    facts = {}
    for name, value in about.items():
        if name == "image_size":
            value = "x".join(map(str, value))
        elif name == "splits":
            value = f"{value['x']}, {value['y']}"
        facts[name.replace("_", " ")] = str(value)
    return "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in facts.items())


def _numbers(direction: str, result: Mapping) -> str:
    """One direction's table."""
    rows = []
    for section, title in SECTIONS.items():
        metrics = result.get(section)
        if not metrics:
            continue
        by_column = {
            name: value if section != "cycle" else {"translated": value}
            for name, value in metrics.items()
        }
        columns = list(dict.fromkeys(c for value in by_column.values() for c in value))
        cells = "".join(f"<th scope=col>{COLUMNS[c]}</th>" for c in columns)
        cells = "<th scope=col>cycled</th>" if section == "cycle" else cells
        rows.append(
            f"<tbody><tr class=section><th scope=rowgroup>{title}</th>{cells}"
            + "<td></td>" * (2 - len(columns))
            + "</tr>"
        )
        for name, value in by_column.items():
            rows += _rows(name, value, columns)
        rows.append("</tbody>")
    reasons = "".join(
        f"<li>{escape(reason)}</li>" for reason in dict.fromkeys(result["not_measured"].values())
    )
    counts = result["images"]
    return (
        f"<div class=numbers><table><caption>{HEADINGS[direction][0]} <small>{counts['real']} images "
        f"into a domain of {counts['target']}, {counts['pairs']} with their true translation"
        f"</small></caption>{''.join(rows)}</table>"
        + (f"<div class=reasons>Not measured:<ul>{reasons}</ul></div>" if reasons else "")
        + "</div>"
    )


def _rows(name: str, value: Mapping, columns: Sequence[str]) -> list[str]:
    """A row for a metric, or for each of its numbers."""
    parts = next((list(v) for v in value.values() if isinstance(v, Mapping)), [None])
    better = "↓" if name in LOWER_IS_BETTER else "↑" if name in HIGHER_IS_BETTER else ""
    rows = []
    for part in parts:
        label = LABELS.get(name, name.replace("_", " "))
        if part is not None and part != name:
            label += f", {part.replace('_', ' ')}"
        cells = []
        for column in columns:
            number = value.get(column)
            if isinstance(number, Mapping):
                number = number[part]
            cells.append(f"<td>{'-' if number is None else f'{number:#.4g}'}</td>")
        cells += ["<td></td>"] * (2 - len(columns))
        rows.append(f"<tr><th scope=row>{escape(label)} {better}</th>{''.join(cells)}</tr>")
    return rows


def _losses(losses: Sequence[Mapping[str, float]]) -> str:
    if len(losses) < 2:
        return ""
    from matplotlib.figure import Figure

    figures = []
    for title, names in loss_groups(losses).items():
        # Each its own small figure, so that it can be read on a phone.
        figure = Figure(figsize=(6, 3.6), layout="constrained")
        plot_losses(figure.subplots(), losses, title, names)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=130)
        source = _data_uri("image/png", buffer.getvalue())
        figures.append(f'<img class=curves src="{source}" alt="losses: {title}, by step">')
    return f"<section><h2>Losses</h2><div class=losses>{''.join(figures)}</div></section>"


def _pictures(
    direction: str, translations: Translations, numbers: Sequence[Mapping], budget: int
) -> str:
    """One direction's pictures, from both ends of their ranking."""
    title, *headings = HEADINGS[direction]
    key = next((k for k in ("l1", "cycle_l1") if all(k in n for n in numbers)), None)
    order = (
        sorted(range(len(numbers)), key=lambda i: numbers[i][key]) if key else range(len(numbers))
    )
    ranks = {place: rank for rank, place in enumerate(order)}
    cards = []
    for place in progress(
        _from_both_ends(order) if key else order, len(order), f"page, {direction}"
    ):
        card = _card(translations, place, headings, ranks[place], numbers[place], key)
        budget -= len(card)
        if budget < 0 and cards:
            break
        cards.append(card)
    ranked_by = {
        "l1": "ranked by L1 to the true translation",
        "cycle_l1": "ranked by L1 of the cycle to the original",
        None: "in the order of their names",
    }[key]
    shown = f"{len(order)} pictures"
    if len(cards) < len(order):
        which = "the best and the worst" if key else "the first"
        shown = f"{which} {len(cards)} of {shown}; all are in the folder {direction}"
    sorts = {"ends": "best and worst", "best": "best first", "worst": "worst first"} if key else {}
    buttons = "".join(
        f'<button data-order="{name}" aria-pressed="{str(name == "ends").lower()}">{text}</button>'
        for name, text in (sorts | {"name": "by name"} if key else {}).items()
    )
    ends = "<p class=end>Best</p><p class=end>Worst</p>" if key and len(cards) > 1 else ""
    return (
        f"<section><h2>{title}</h2><p>{shown}, {ranked_by}.</p>"
        f"<div class=orders>{buttons}</div><div class=grid>{ends}{''.join(cards)}</div></section>"
    )


def _from_both_ends(order: Sequence[int]) -> list[int]:
    """Best, worst, second best, second worst and so on."""
    return [order[i // 2] if i % 2 == 0 else order[-1 - i // 2] for i in range(len(order))]


def _card(
    t: Translations,
    place: int,
    headings: Sequence[str],
    rank: int,
    numbers: Mapping,
    key: str | None,
) -> str:
    both = (t.source_pixels, t.target_pixels)
    images = [t.real[place], t.translated[place]]
    images.append(None if t.cycled is None else t.cycled[place])
    images.append(None if t.truth[place] < 0 else t.target[t.truth[place]])
    figures = [
        f'<figure><img src="{picture_uri(shown(image, pixels))}" alt="{heading}" '
        f"width={image.shape[1]} height={image.shape[0]}><figcaption>{heading}</figcaption></figure>"
        for heading, image, pixels in zip(headings, images, 2 * both, strict=True)
        if image is not None
    ]
    values = "".join(
        f"<span>{escape(LABELS.get(name, name.replace('_', ' ').replace('l1', 'L1')))} "
        f"{value:#.3g}</span> "
        for name, value in numbers.items()
        if name in ("l1", "ssim", "cycle_l1") and value is not None
    )
    position = f"<b>#{rank + 1} of {len(t.names)}</b> " if key else ""
    small = " small" if max(t.real.shape[1:3]) <= SMALL else ""
    name = escape(numbers["name"])
    return (
        f'<div class="card{small}" tabindex=0 role=button data-rank={rank} data-name="{name}">'
        f"<div class=images>{''.join(figures)}</div>"
        f"<p>{position}<span class=name>{name}</span> {values}</p></div>"
    )


def picture_uri(image: np.ndarray) -> str:
    """A picture, uint8 `[H, W, 3]`, as the source of an <img> in a page that loads nothing."""
    buffer = io.BytesIO()
    small = max(image.shape[:2]) <= SMALL
    # Without loss a greater effort takes five times as long and saves a hundredth.
    how = {"lossless": True, "method": 1} if small else {"quality": 85}
    Image.fromarray(image).save(buffer, "WEBP", **how)
    return _data_uri("image/webp", buffer.getvalue())


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
