"""Pictures for people to look at: sample grids, loss curves, before and after."""

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .files import write_file
from .pixels import RGB8, PixelFormat

MARGIN = 8
GAP = 4
SMALLEST_CELL = 128  # smaller images are enlarged by a whole factor, pixels left as squares


def to_uint8(images) -> np.ndarray:
    """Float images in [-1, 1] to uint8 in [0, 255]."""
    return np.clip(np.round((np.asarray(images, np.float32) + 1) * 127.5), 0, 255).astype(np.uint8)


def in_colour(images: np.ndarray) -> np.ndarray:
    """Images `[..., C]` as three channels to look at: grey as grey, of more bands the first three."""
    channels = images.shape[-1]
    if channels == 1:
        return np.repeat(images, 3, axis=-1)
    if channels == 2:
        return np.concatenate([images, np.zeros_like(images[..., :1])], axis=-1)
    return images[..., :3]


def shown(samples: np.ndarray, pixels: PixelFormat) -> np.ndarray:
    """Samples of a domain to look at: uint8 `[..., 3]`, its range as black to white."""
    if pixels == RGB8:
        return samples
    return in_colour(to_uint8(pixels.to_unit(samples)))


def image_grid(columns: Mapping[str, np.ndarray], note: str = "") -> Image.Image:
    """Lay out columns of images under their headings.

    Args:
        columns: From a heading to uint8 images `[N, H, W, C]`; see `in_colour`.
        note: A line below them.
    """
    columns = {heading: _enlarged(in_colour(images)) for heading, images in columns.items()}
    rows, height, width, _ = np.array([images.shape for images in columns.values()]).max(axis=0)
    heading_height = 24
    font = ImageFont.load_default(size=14)
    wide = max(len(columns) * (width + GAP) - GAP, round(font.getlength(note)))
    bottom = MARGIN + heading_height + rows * (height + GAP) - GAP + MARGIN
    size = 2 * MARGIN + wide, bottom + heading_height * bool(note)
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    draw.text((MARGIN, bottom), note, "black", font)
    for column, (heading, images) in enumerate(columns.items()):
        left = MARGIN + column * (width + GAP)
        draw.text((left, MARGIN), heading, "black", font)
        for row, image in enumerate(images):
            top = MARGIN + heading_height + row * (height + GAP)
            picture.paste(Image.fromarray(image), (left, top))
    return picture


def side_by_side(*images: np.ndarray) -> Image.Image:
    """Put uint8 images `[H, W, 3]` of one height next to each other."""
    return Image.fromarray(np.concatenate(images, axis=1))


def png_bytes(image: Image.Image) -> bytes:
    """Encode as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def loss_curves(
    metrics: Sequence[Mapping[str, float]],
    path: Path,
    called_real: Sequence[Mapping[str, float]] = (),
) -> None:
    """Plot every loss over the steps, raw in the background and smoothed in front.

    Where there are no losses nothing is written.

    Args:
        metrics: Losses by step.
        path: Of the picture.
        called_real: Shares of real images that discriminators call real, by step; drawn below.
    """
    from matplotlib.figure import Figure

    groups = loss_groups(metrics)
    if not groups:
        return
    count = len(groups) + bool(called_real)
    figure = Figure(figsize=(10, 3.5 * count), layout="constrained")
    rows = list(figure.subplots(count, squeeze=False)[:, 0])
    for axes, (title, members) in zip(rows, groups.items(), strict=False):
        plot_losses(axes, metrics, title, members)
    if called_real:
        names = [name for name in called_real[-1] if name != "step"]
        plot_losses(rows[-1], called_real, "real images that discriminators call real", names)
        rows[-1].set(ylabel="share")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    write_file(path, buffer.getvalue())


def loss_groups(metrics: Sequence[Mapping[str, float]]) -> dict[str, list[str]]:
    """The names of the losses that belong on one pair of axes, by title.

    What generators and discriminators pay each other is one group, all else another, titled by its
    kinds: cycle_x and cycle_y are of one.
    """
    names = [name for name in metrics[-1] if name != "step"]
    adversarial = [name for name in names if name.startswith(("generator", "discriminator"))]
    others = [name for name in names if name not in adversarial]
    kinds = dict.fromkeys(re.sub("_[xy]$", "", name).replace("_", " ") for name in others)
    groups = {"adversarial": adversarial, " and ".join(kinds): others}
    return {title: members for title, members in groups.items() if members}


def plot_losses(axes, metrics: Sequence[Mapping[str, float]], title: str, names: list[str]) -> None:
    """Plot some losses on matplotlib axes."""
    steps = np.array([line["step"] for line in metrics])
    for name in names:
        values = np.array([line[name] for line in metrics])
        smooth = max(1, len(values) // 50)
        (line,) = axes.plot(steps, values, alpha=0.2, linewidth=0.8)
        means = np.convolve(values, np.ones(smooth) / smooth, mode="valid")
        centre = steps[(smooth - 1) // 2 :][: len(means)]
        axes.plot(centre, means, color=line.get_color(), label=name)
    axes.set(title=title, xlabel="step", ylabel="loss")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right", fontsize="small")


def _enlarged(images: np.ndarray) -> np.ndarray:
    factor = -(-SMALLEST_CELL // max(images.shape[1:3]))
    return images.repeat(factor, axis=1).repeat(factor, axis=2)
