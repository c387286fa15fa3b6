"""The page to try translators on: what stands on it, and what it does with a picture."""

import re
import time
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..data.decode import UnreadableImage, decode
from ..data.embedded import EMBEDDED
from ..data.picture import converted, resized
from ..pictures import shown
from ..pixels import RGB8, PixelFormat
from ..training.run import Run
from .load import Direction, load_translator, load_translators, saved_model_folder
from .uploads import MAX_BYTES, NotAnUpload, Uploads

MOST_WAITING = 1000  # changes on pages that wait for their turn; more are told to try again
MOST_REMEMBERED = 100  # pages whose state gradio keeps; it makes no difference to ours
HEIGHT = "min(400px, 80vw)"  # of the pictures: no taller than wide on a phone

Translate = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Model:
    """What the page offers under one name.

    Attributes:
        directions: From "x_to_y" and "y_to_x", or either, to what the page calls it.
        translate: The translator of each direction.
        pixels: What the pixels are that each takes and gives, where that is not 8-bit colour.
    """

    directions: dict[Direction, str]
    translate: dict[Direction, Translate]
    pixels: dict[Direction, tuple[PixelFormat, PixelFormat]] = field(default_factory=dict)


def load_model(path: Path) -> Model:
    """Load the translators of a run, a SavedModel or what convert wrote, and warm them up.

    Raises:
        UserError: There is no such model.
    """
    if (folder := saved_model_folder(path)) is not None:
        direction = "y_to_x" if folder.name == "y_to_x" else "x_to_y"
        translate = {direction: load_translator(path)}
        x, y = "X", "Y"
    else:
        translate = load_translators(path)
        settings = Run(path).read_settings()
        names = dict(zip("AB", _domains(settings.dataset or settings.short_name), strict=True))
        x, y = (names[letter] for letter in settings.domains)
    pixels = {direction: (each.takes, each.gives) for direction, each in translate.items()}
    for direction, (takes, _) in pixels.items():
        # What is compiled or allocated at the first call is no part of the time shown.
        translate[direction](np.zeros([1, 64, 64, takes.channels], takes.dtype))
    labels = {"x_to_y": f"{x} → {y}", "y_to_x": f"{y} → {x}"}
    return Model({direction: labels[direction] for direction in translate}, translate, pixels)


def _domains(dataset: str) -> tuple[str, str]:
    """What a data set's name says of its domains: horse2zebra is of horses and zebras."""
    name = re.sub(r"\.zip$", "", re.split(r"[/\\]", dataset.rstrip("/\\"))[-1])
    if name in EMBEDDED:
        return EMBEDDED[name].domains
    match = re.fullmatch(r"([^\W\d]+)2([^\W\d]+)", name)
    return match.groups() if match else ("X", "Y")


def model_names(paths: Sequence[Path]) -> list[str]:
    """Short names that tell the models apart: emoji for runs/emoji."""
    names = []
    for path in paths:
        parts = [part for part in path.absolute().parts if part != "saved_model"]
        exported = parts[-1] in typing.get_args(Direction)
        names.append("/".join(parts[-2:] if exported else parts[-1:]))
    return [
        name if names.count(name) == 1 else str(path)
        for name, path in zip(names, paths, strict=True)
    ]


def read_upload(
    encoded: bytes, max_side: int, max_pixels: int, takes: PixelFormat = RGB8
) -> tuple[np.ndarray, str]:
    """Decode an upload as the package does any picture, and scale it down if it is larger.

    Returns:
        `[H, W, C]`, such samples as a translator takes, and a few words on its size.

    Raises:
        UnreadableImage: It is no image, is broken, or has too many bytes or pixels.
    """
    if len(encoded) > MAX_BYTES:
        raise UnreadableImage(f"it is larger than {MAX_BYTES // 2**20} MB")
    picture = converted(decode(encoded, max_pixels, with_alpha=takes.channels in (2, 4)), takes)
    height, width = picture.size
    size = f"{width}x{height} pixels"
    if max(height, width) <= max_side:
        return picture.samples, size
    scale = max_side / max(height, width)
    smaller = max(1, round(height * scale)), max(1, round(width * scale))
    size = f"{size} scaled down to {smaller[1]}x{smaller[0]} (--max-side {max_side})"
    return resized(picture.pixels, smaller, "bicubic"), size


def build_page(
    models: dict[str, Model], max_side: int, max_pixels: int, uploads: Uploads, examples: str = ""
):
    """The page, a gradio.Blocks, whose pictures come from `uploads` alone.

    `examples` is what `examples_of` returned.
    """
    import gradio as gr

    first = next(iter(models.values()))

    def update(upload: dict | None, name: str, direction: Direction):
        """Translate anew after any change; the values are as the browser sent them."""
        model = models.get(name, first)
        if direction not in model.directions:
            direction = next(iter(model.directions))
        choice = gr.Radio(
            [(label, value) for value, label in model.directions.items()],
            value=direction,
            visible=len(model.directions) > 1,
        )
        nothing = (choice, None, gr.Column(visible=False), None)
        if upload is None:
            return *nothing, ""
        takes, gives = model.pixels.get(direction, (RGB8, RGB8))
        try:
            original, size = read_upload(uploads.read(upload["path"]), max_side, max_pixels, takes)
        except (NotAnUpload, UnreadableImage) as error:
            return *nothing, f"**This cannot be translated:** {error}."
        start = time.perf_counter()
        translated = model.translate[direction](original[None])[0]
        seconds = time.perf_counter() - start
        back = model.translate.get("y_to_x" if direction == "x_to_y" else "x_to_y")
        cycled = back and back(translated[None])[0]
        # gradio writes them to files, which are no larger, but for a few bytes.
        uploads.make_room(original.nbytes * (2 if cycled is None else 3))
        told = f"Translated in {_seconds(seconds)}: {size}."
        if (takes, gives) != (RGB8, RGB8):
            told += (
                f" Shown are {takes.low:.6g} to {takes.high:.6g} as black to white, and in the "
                f"translation {gives.low:.6g} to {gives.high:.6g}; the command translate writes the "
                "samples themselves."
            )
        original, translated = shown(original, takes), shown(translated, gives)
        cycled = None if cycled is None else shown(cycled, takes)
        column = gr.Column(visible=back is not None)
        return choice, (original, translated), column, cycled, told

    with gr.Blocks(title="CycleGAN", analytics_enabled=False, delete_cache=(600, 3600)) as page:
        or_click = ", or click on one of these below," if examples else ""
        gr.Markdown(
            f"# CycleGAN\nDrop, paste or photograph a picture{or_click} to see it translated."
        )
        with gr.Row():
            with gr.Column():
                # Labels of gradio's own would cover a corner of the pictures.
                gr.Markdown("**Your picture**")
                upload = gr.Image(
                    sources=["upload", "clipboard", "webcam"],
                    show_label=False,
                    elem_id="original",
                    buttons=["fullscreen"],
                    height=HEIGHT,
                )
                if examples:
                    gr.HTML(examples, elem_id="examples")
                name = gr.Radio(
                    list(models),
                    value=next(iter(models)),
                    label="Model",
                    visible=len(models) > 1,
                    elem_id="model",
                )
                direction = gr.Radio(
                    [(label, value) for value, label in first.directions.items()],
                    value=next(iter(first.directions)),
                    label="Direction",
                    visible=len(first.directions) > 1,
                    elem_id="direction",
                )
            with gr.Column():
                gr.Markdown("**Before and after**")
                slider = gr.ImageSlider(
                    format="png",
                    show_label=False,
                    elem_id="slider",
                    interactive=False,
                    buttons=["download", "fullscreen"],
                    height=HEIGHT,
                )
                told = gr.Markdown(elem_id="told")
                with gr.Column(visible=False) as cycled_column:
                    gr.Markdown("**Translated back**")
                    cycled = gr.Image(
                        format="png",
                        show_label=False,
                        elem_id="cycled",
                        interactive=False,
                        buttons=["download", "fullscreen"],
                        height=HEIGHT,
                    )
        gr.on(
            [upload.input, upload.clear, name.input, direction.input],
            update,
            inputs=[upload, name, direction],
            outputs=[direction, slider, cycled_column, cycled, told],
            preprocess=False,  # nothing but the package's own decoder is to read uploads
            show_progress_on=[slider],
            trigger_mode="always_last",
            api_visibility="private",
        )
    page.queue(max_size=MOST_WAITING, api_open=False)
    page.state_session_capacity = MOST_REMEMBERED
    return page


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
