"""The server of the demo page."""

import errno
import logging
import os
import signal
import socket
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from ..commands import import_tensorflow
from ..errors import UserError
from ..progress import log, progress
from .demo_page import MAX_BYTES, build_page, load_model, model_names

LOOPBACK = ("127.0.0.1", "localhost", "::1")
STYLE = ".gradio-container {margin: 0 auto !important; width: 100%; max-width: 1280px !important}"


def run_demo(models: Sequence[Path], host: str, port: int, max_side: int) -> None:
    """Load models and serve a page to try them on until Ctrl-C.

    Args:
        models: See `load_model`.
        host: Address to listen on.
        port: 0 is any that is free.
        max_side: Larger pictures are scaled down to so many pixels on their longer side.

    Raises:
        UserError: A model is not there, the port is taken, or gradio is not installed.
    """
    with (
        _listen(host, port) as listening,
        tempfile.TemporaryDirectory(prefix="tf_cyclegan_demo_") as uploads,
    ):
        # Read when gradio is imported: no reports to its makers, no history, nothing left behind.
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ["GRADIO_RUN_HISTORY"] = "False"
        os.environ["GRADIO_TEMP_DIR"] = uploads
        _import_gradio()
        import_tensorflow()
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MAX_PIXELS is for that
        paths = progress(models, len(models), "loading models")
        loaded = [load_model(path) for path in paths]
        named = dict(zip(model_names(models), loaded, strict=True))
        _serve(build_page(named, max_side), listening)


def _serve(page, listening: socket.socket) -> None:
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
