"""A page to try translators on: `python -m tf_cyclegan.demo --model runs/emoji`."""

import errno
import logging
import os
import re
import signal
import socket
import sys
import tempfile
import time
import typing
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from PIL import Image

from .commands import import_tensorflow, parse, run_command
from .data.decode import UnreadableImage, decode_image
from .errors import UserError
from .progress import log, progress
from .settings import Config
from .translate import Direction, load_translator, saved_model_folder

MAX_BYTES = 32 * 2**20  # of an upload; a photo of 50 megapixels has about 20
MAX_PIXELS = 100_000_000
LOOPBACK = ("127.0.0.1", "localhost", "::1")
DOMAINS = {"emoji": ("Noto", "Fluent 3D")}  # of data sets whose name does not say them
HEIGHT = "min(400px, 80vw)"  # of the pictures: no taller than wide on a phone
STYLE = ".gradio-container {margin: 0 auto !important; width: 100%; max-width: 1280px !important}"

Translate = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Options:
    """Open a page to try translators on: drop, paste or photograph a picture and see it translated.

    Everything stays on this machine: the page asks nothing of any other, and what was uploaded is
    deleted when the command ends, with Ctrl-C.
    """

    model: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="PATH")]
    """the folder of a run, a SavedModel, or what convert wrote; give it again for more models"""
    host: str = "127.0.0.1"
    """address to listen on; 0.0.0.0 lets every machine that reaches this one use the page"""
    port: int = 7860
    """port to listen on; 0 takes a free one"""
    max_side: int = 1024
    """larger pictures are scaled down to so many pixels on their longer side"""


@dataclass(frozen=True)
class Model:
    """What the page offers under one name.

    Attributes:
        directions: From "x_to_y" and "y_to_x", or either, to what the page calls it.
        translate: The translator of each direction.
    """

    directions: dict[Direction, str]
    translate: dict[Direction, Translate]


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
        translate = {side: load_translator(path, side) for side in typing.get_args(Direction)}
        x, y = _domains(Config.from_json(path / "config.json").dataset)
    for function in translate.values():
        # What is compiled or allocated at the first call is no part of the time shown.
        function(np.zeros([1, 64, 64, 3], np.uint8))
    names = {"x_to_y": f"{x} → {y}", "y_to_x": f"{y} → {x}"}
    return Model({direction: names[direction] for direction in translate}, translate)


def _domains(dataset: str) -> tuple[str, str]:
    """What a data set's name says of its domains: horse2zebra is of horses and zebras."""
    name = re.sub(r"\.zip$", "", re.split(r"[/\\]", dataset.rstrip("/\\"))[-1])
    if name in DOMAINS:
        return DOMAINS[name]
    match = re.fullmatch(r"([^\W\d]+)2([^\W\d]+)", name)
    return match.groups() if match else ("X", "Y")


def _model_names(paths: tuple[Path, ...]) -> list[str]:
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


def read_upload(path: Path, max_side: int) -> tuple[np.ndarray, str]:
    """Decode an upload as the package does any picture, and scale it down if it is larger.

    Returns:
        uint8 `[H, W, 3]`, and a few words on its size.

    Raises:
        UnreadableImage: It is no image, is broken, or has too many bytes or pixels.
    """
    if path.stat().st_size > MAX_BYTES:
        raise UnreadableImage(f"it is larger than {MAX_BYTES // 2**20} MB")
    image = decode_image(path.read_bytes(), MAX_PIXELS)
    size = "{}x{} pixels".format(*image.size)
    if max(image.size) > max_side:
        image.thumbnail((max_side, max_side), Image.Resampling.BICUBIC)
        size = f"{size} scaled down to {image.width}x{image.height} (--max-side {max_side})"
    return np.asarray(image), size


def build_page(models: dict[str, Model], max_side: int):
    """The page, a gradio.Blocks."""
    import gradio as gr

    first = next(iter(models.values()))

    def update(upload: dict | None, name: str, direction: Direction):
        """Translate anew after any change; the values are as the browser sent them."""
        model = models[name]
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
        try:
            original, size = read_upload(Path(upload["path"]), max_side)
        except UnreadableImage as error:
            return *nothing, f"**This cannot be translated:** {error}."
        start = time.perf_counter()
        translated = model.translate[direction](original[None])[0]
        seconds = time.perf_counter() - start
        back = model.translate.get("y_to_x" if direction == "x_to_y" else "x_to_y")
        cycled = back and back(translated[None])[0]
        told = f"Translated in {_seconds(seconds)}: {size}."
        shown = gr.Column(visible=back is not None)
        return choice, (original, translated), shown, cycled, told

    with gr.Blocks(title="CycleGAN", analytics_enabled=False, delete_cache=(600, 3600)) as page:
        gr.Markdown("# CycleGAN\nDrop, paste or photograph a picture to see it translated.")
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
                with gr.Column(visible=False) as shown:
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
            outputs=[direction, slider, shown, cycled, told],
            preprocess=False,  # nothing but the package's own decoder is to read uploads
            show_progress_on=[slider],
            trigger_mode="always_last",
            api_visibility="private",
        )
    return page


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def serve(page, listening: socket.socket) -> None:
    """Serve the page until Ctrl-C or SIGTERM."""
    import fastapi
    import gradio as gr
    import uvicorn

    host, port = listening.getsockname()[:2]
    # Themes name fonts of Google's by default, which the browser would fetch.
    theme = gr.themes.Default(
        font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    app = gr.mount_gradio_app(
        fastapi.FastAPI(),
        page,
        path="",
        server_name=host,
        server_port=port,
        footer_links=[],
        max_file_size=MAX_BYTES,
        ssr_mode=False,
        mcp_server=False,
        theme=theme,
        css=STYLE,
    )
    # Only then does gradio insist that a file was uploaded; else a request could name any on the disk.
    page.has_launched = True

    class Server(uvicorn.Server):
        def handle_exit(self, *arguments):
            # Connections of open pages are cut, each with a traceback in the log.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            super().handle_exit(*arguments)

    # A page that is open holds a connection; Ctrl-C does not wait for it.
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    address = f"[{host}]" if ":" in host else host
    log(f"the page is at http://{address}:{port} (Ctrl-C ends it)")
    if host not in LOOPBACK:
        log("every machine that reaches this one can use it")
    # uvicorn raises the signal again when it is done with its connections.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        Server(config).run(sockets=[listening])
    except KeyboardInterrupt:
        log("closed the page")
    finally:
        signal.signal(signal.SIGTERM, before)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        # create_server says more in strerror than the system does.
        in_use = getattr(error, "errno", None) == errno.EADDRINUSE
        reason = "another program uses it" if in_use else str(error)
        raise UserError(
            f"cannot listen on port {port} of {host} ({reason}); give another --port, or 0 for a "
            "free one"
        ) from error


def _import_gradio() -> None:
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"the demo needs a package that is not there ({error.name}): "
            "pip install 'tf_cyclegan[demo]'"
        ) from error


def main(arguments: list[str] | None = None) -> None:
    """The command: `python -m tf_cyclegan.demo`."""
    options = parse(Options, arguments, "demo")
    if not options.model:
        raise UserError("give a model: --model runs/NAME")
    if options.max_side < 1:
        raise UserError(f"--max-side is {options.max_side}; it must be at least 1")
    for path in options.model:
        saved_model_folder(path)  # tells a wrong path before anything slow
    with (
        _listen(options.host, options.port) as listening,
        tempfile.TemporaryDirectory(prefix="tf_cyclegan_demo_") as uploads,
    ):
        # Read when gradio is imported: no reports to its makers, no history, nothing left behind.
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ["GRADIO_RUN_HISTORY"] = "False"
        os.environ["GRADIO_TEMP_DIR"] = uploads
        _import_gradio()
        import_tensorflow()
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MAX_PIXELS is for that
        paths = progress(options.model, len(options.model), "loading models")
        loaded = [load_model(path) for path in paths]
        models = dict(zip(_model_names(options.model), loaded, strict=True))
        serve(build_page(models, options.max_side), listening)


if __name__ == "__main__":
    run_command(main)
