"""The study's web server, for this machine only: one page, opaque images, answers stored at once."""

import io
import json
import re
import sys
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer

from PIL import Image

from ..data.decode import UnreadableImage
from ..errors import UserError
from ..progress import log
from .perceptual_study import SIDES, OutOfTurn, Session, Study

HOST = "127.0.0.1"
PAGE = Path(__file__).with_name("study.html")
COOKIE = "participant"
LARGEST_BODY = 4096  # bytes; an answer has a hundred

# From a model's name, or None for the real images, and an image's name to an RGB image.
ReadImage = Callable[[str | None, str], Image.Image]


def open_server(study: Study, read_image: ReadImage, port: int) -> ThreadingHTTPServer:
    """A server for the study, bound to 127.0.0.1; its `server_port` is the port.

    Args:
        study: The study.
        read_image: See `ReadImage`.
        port: 0 is any that is free.

    Raises:
        UserError: The port is in use or not allowed.
    """

    handler = type("Handler", (_Handler,), {"study": study, "read_image": staticmethod(read_image)})
    try:
        return _Server((HOST, port), handler)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"cannot listen on {HOST}:{port} ({reason}); pass another --port, or 0 for any that is "
            "free"
        ) from error


class _Server(ThreadingHTTPServer):
    def server_bind(self):
        TCPServer.server_bind(self)  # HTTPServer's asks the name server for this machine's name
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request, client_address):
        """A browser may close its connection at any moment; all else is a bug."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    study: Study
    read_image: ReadImage
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "tf_cyclegan", ""

    def do_GET(self):
        if not self._is_local():
            return
        image = re.fullmatch(r"/image/(\d{1,6})/(left|right)", self.path)
        if self.path == "/":
            self._send(200, "text/html; charset=utf-8", PAGE.read_bytes())
        elif self.path == "/session":
            self._send_json(self._state())
        elif image:
            self._send_image(int(image[1]), image[2])
        else:
            self._send_json({"error": "there is no such page"}, 404)

    def do_POST(self):
        # Also what is refused is read: closed with something unread, a connection loses the reply.
        length = self.headers.get("Content-Length", "")
        body = self.rfile.read(min(int(length), LARGEST_BODY + 1)) if length.isdecimal() else b""
        if not self._is_local():
            return
        if not length.isdecimal() or len(body) > LARGEST_BODY:
            self.close_connection = True
            self._send_json({"error": "the request has no length, or is too long"}, 413)
        elif self.headers.get("Content-Type") != "application/json":
            self._send_json({"error": "answers are sent as JSON"}, 415)
        elif self.path == "/begin":
            session = self.study.begin()
            self._send_json(self._state(session), session=session)
        elif self.path == "/answer":
            self._answer(body)
        else:
            self._send_json({"error": "there is no such page"}, 404)

    def _is_local(self) -> bool:
        """Refuse what another site has this machine's browser ask for."""
        port = self.server.server_port
        hosts = {f"{HOST}:{port}", f"localhost:{port}"}
        origin = self.headers.get("Origin")
        if self.headers.get("Host") in hosts and (
            origin is None or origin in {f"http://{host}" for host in hosts}
        ):
            return True
        self.close_connection = True
        self._send_json({"error": "only pages of this server may ask"}, 403)
        return False

    def _session(self) -> Session | None:
        try:
            cookie = SimpleCookie(self.headers.get("Cookie", "")).get(COOKIE)
        except CookieError:
            return None
        return self.study.session(cookie.value) if cookie else None

    def _state(self, session: Session | None = None) -> dict:
        """What the page may know: nothing about which image is real, and not the model."""
        session = session or self._session()
        protocol = self.study.protocol
        return {
            "place": session.answered if session else None,
            "practice": protocol.practice,
            "trials": protocol.trials,
            "seconds": protocol.seconds,
            "height": protocol.image_size[0],
            "width": protocol.image_size[1],
        }

    def _send_image(self, place: int, side: str):
        session = self._session()
        # The next pair is asked for, too, while this one is being judged.
        if session is None or not session.answered <= place <= session.answered + 1:
            self._send_json({"error": "it is not this pair's turn"}, 404)
            return
        if place >= len(session.trials):
            self._send_json({"error": "there are no more pairs"}, 404)
            return
        trial = session.trials[place]
        is_real = side == trial.real_side
        try:
            image = (
                self.read_image(None, trial.real)
                if is_real
                else self.read_image(session.model, trial.fake)
            )
        except UnreadableImage as error:
            name = trial.real if is_real else trial.fake
            log(f"{name} can no longer be read ({error})")
            self._send_json({"error": "an image can no longer be read"}, 500)
            return
        # Uncompressed, so that all have the same number of bytes, and nothing but pixels.
        buffer = io.BytesIO()
        image.save(buffer, "BMP")
        self._send(200, "image/bmp", buffer.getvalue())

    def _answer(self, body: bytes):
        session = self._session()
        try:
            answer = json.loads(body)
            place, chosen = answer["place"], answer["chosen"]
            times = [round(float(answer[name]), 1) for name in ("shown_ms", "answer_ms")]
            if (
                type(place) is not int
                or chosen not in SIDES
                or not all(0 <= t < 1e9 for t in times)
            ):
                raise ValueError
        except (ValueError, KeyError, TypeError):
            self._send_json({"error": "this is no answer"}, 400)
            return
        if session is None:
            self._send_json({"error": "this session is not known"}, 403)
            return
        try:
            is_right = self.study.answer(session, place, chosen, *times)
        except OutOfTurn:
            # Sent twice, or from a second tab: the page goes on where the session is.
            self._send_json(self._state(session), 409)
            return
        except UserError as error:
            log(f"error: {error}")
            self._send_json({"error": "the answer could not be stored"}, 500)
            return
        feedback = {"right": is_right} if place < self.study.protocol.practice else {}
        self._send_json(self._state(session) | feedback)
        if session.answered == len(session.trials):
            log(f"participant {session.number + 1} has finished")

    def _send_json(self, content: dict, status: int = 200, session: Session | None = None):
        self._send(status, "application/json", json.dumps(content).encode(), session)

    def _send(self, status: int, kind: str, content: bytes, session: Session | None = None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("Referrer-Policy", "no-referrer")
        if session:
            cookie = f"{COOKIE}={session.participant}; Path=/; HttpOnly; SameSite=Strict"
            self.send_header("Set-Cookie", f"{cookie}; Max-Age={7 * 24 * 3600}")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Requests are not logged."""
