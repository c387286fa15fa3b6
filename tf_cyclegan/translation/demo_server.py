"""The server of the demo page."""

import errno
import ipaddress
import os
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..commands import import_tensorflow
from ..errors import UserError
from ..extras import how_to_install
from ..local_server import most_connections
from ..progress import log, progress
from .demo_examples import examples_of
from .demo_page import build_page, load_model, model_names
from .uploads import MAX_BYTES, Uploads

MOST_CONNECTIONS = 2000  # a page that is open has one or two
STYLE = """
.gradio-container {margin: 0 auto !important; width: 100%; max-width: 1280px !important}
#examples div {display: flex; flex-wrap: wrap; gap: 6px}
#examples button {padding: 0; border: 0; background: none; cursor: pointer; line-height: 0}
"""


def run_demo(models: Sequence[Path], host: str, port: int, max_side: int, max_pixels: int) -> None:
    """Load models and serve a page to try them on until Ctrl-C.

    Args:
        models: See `load_model`.
        host: Address to listen on.
        port: 0 is any that is free.
        max_side: Larger pictures are scaled down to so many pixels on their longer side.
        max_pixels: Pictures of more are not decoded.

    Raises:
        UserError: A model is not there, the port is taken, or gradio is not installed.
    """
    with (
        _listen(host, port) as listening,
        tempfile.TemporaryDirectory(prefix="tf_cyclegan_demo_") as folder,
    ):
        uploads = Uploads(Path(folder))
        # Read when gradio is imported: no reports to its makers, no history, nothing left behind.
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ["GRADIO_RUN_HISTORY"] = "False"
        os.environ["GRADIO_TEMP_DIR"] = str(uploads.folder)
        _import_gradio()
        import_tensorflow()
        paths = progress(models, len(models), "loading models")
        loaded = [load_model(path) for path in paths]
        named = dict(zip(model_names(models), loaded, strict=True))
        # Who opens the page to others has not said that they may see the data.
        is_private = ipaddress.ip_address(listening.getsockname()[0]).is_loopback
        examples = examples_of(models) if is_private else ""
        page = build_page(named, max_side, max_pixels, uploads, examples)
        _serve(page, uploads, listening)


def _serve(page, uploads: Uploads, listening: socket.socket) -> None:
    """Serve the page until Ctrl-C, SIGTERM or SIGHUP."""
    import uvicorn

    from .demo_connections import BriefConnection, Server

    host, port = listening.getsockname()[:2]
    config = uvicorn.Config(
        _application(page, uploads, host, port),
        http=BriefConnection,
        ws="none",
        log_level="error",  # warnings are about what clients do
        limit_concurrency=most_connections(MOST_CONNECTIONS),
        proxy_headers=False,  # any client could say that it is another
        server_header=False,
        # A page that is open holds a connection; Ctrl-C does not wait for it.
        timeout_graceful_shutdown=1,
    )
    address = f"[{host}]" if ":" in host else host
    log(f"the page is at http://{address}:{port} (Ctrl-C ends it)")
    if not ipaddress.ip_address(host).is_loopback:
        log("every machine that reaches this one can use it")
    try:
        Server(config).run(sockets=[listening])
    except KeyboardInterrupt:
        log("closed the page")


def _application(page, uploads: Uploads, host: str, port: int):
    """gradio's application behind ours, an ASGI application."""
    import fastapi
    import gradio as gr

    from .demo_requests import OwnPageOnly

    # Themes name fonts of Google's by default, which the browser would fetch.
    theme = gr.themes.Default(
        font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    app = gr.mount_gradio_app(
        fastapi.FastAPI(openapi_url=None, docs_url=None, redoc_url=None),
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
    # Only then does gradio insist that a file was uploaded, should a request get to it that names one.
    page.has_launched = True
    return OwnPageOnly(app, page, uploads, host)


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
            f"the demo needs a package that is not there ({error.name}): {how_to_install('demo')}"
        ) from error
