"""The study's web server, for this machine only: one page, opaque images, answers stored at once."""

import io
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer

from PIL import Image

from ..data.decode import UnreadableImage
from ..errors import UserError
from ..local_server import (
    REQUEST_SECONDS,
    body_length,
    is_own_page,
    most_connections,
    parse_json,
)
from ..progress import log
from .perceptual_study import SIDES, OutOfTurn, Session, Study, StudyFull

HOST = "127.0.0.1"
PAGE = Path(__file__).with_name("study.html")
COOKIE = "participant"
LARGEST_BODY = 4096  # bytes; an answer has a hundred
MOST_CONNECTIONS = 1500  # a participant's browser has three or four
MOST_DECODED = 4  # images at once, so that their memory is bounded
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

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
    """A thread for each connection; one that takes too long over a request is cut."""

    request_queue_size = 1024  # of connections that nobody has accepted yet

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._free = threading.Semaphore(most_connections(MOST_CONNECTIONS))
        self.decoding = threading.Semaphore(MOST_DECODED)
        self._deadlines: dict[socket.socket, float] = {}
        self._lock = threading.Lock()
        self._next_look = 0.0

    def server_bind(self):
        TCPServer.server_bind(self)  # HTTPServer's asks the name server for this machine's name
        self.server_name, self.server_port = self.server_address[:2]

    def process_request(self, request, client_address):
        if self._free.acquire(blocking=False):
            try:
                super().process_request(request, client_address)
                return
            except RuntimeError:  # the system starts no more threads
                self._free.release()
        request.setblocking(False)
        with suppress(OSError):
            request.send(BUSY)
        self.shutdown_request(request)

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._deadlines.pop(request, None)
            self._free.release()

    def expect_request(self, connection: socket.socket) -> None:
        """Give a connection so long for its next request, reply included."""
        with self._lock:
            self._deadlines[connection] = time.monotonic() + REQUEST_SECONDS

    def service_actions(self):
        """Cut the connections that are late; called at least every half second."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + 0.5
        with self._lock:
            for connection, deadline in self._deadlines.items():
                if deadline < now:
                    with suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request, client_address):
        """A browser may close its connection at any moment; all else is a bug."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    study: Study
    read_image: ReadImage
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "tf_cyclegan", ""

    def handle_one_request(self):
        self.server.expect_request(self.connection)
        super().handle_one_request()

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
        length = self._body_length()
        body = b"" if length is None else self.rfile.read(length)
        if not self._is_local():
            pass
        elif length is None:
            self.close_connection = True
            self._send_json({"error": "the request has no length, or is too long"}, 413)
        elif len(body) < length:
            self.close_connection = True
        elif self.headers.get("Content-Type") != "application/json":
            self._send_json({"error": "answers are sent as JSON"}, 415)
        elif self.path == "/begin":
            self._begin()
        elif self.path == "/answer":
            self._answer(body)
        else:
            self._send_json({"error": "there is no such page"}, 404)
        if length is None:
            # Closed with something unread, a connection loses the reply.
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_WR)
                self.connection.settimeout(1)
                self.rfile.read(LARGEST_BODY + 1)

    def _body_length(self) -> int | None:
        if "Transfer-Encoding" in self.headers:
            return None
        return body_length(self.headers.get_all("Content-Length", []), LARGEST_BODY)

    def _is_local(self) -> bool:
        """Refuse what another site has this machine's browser ask for."""
        hosts, origins = (self.headers.get_all(name, []) for name in ("Host", "Origin"))
        if is_own_page(hosts, origins, HOST):
            return True
        self.close_connection = True
        self._send_json({"error": "only pages of this server may ask"}, 403)
        return False

    def _session(self) -> Session | None:
        cookie = re.search(rf"(?:^|;)\s*{COOKIE}=([0-9a-f]+)", self.headers.get("Cookie", ""))
        return self.study.session(cookie[1]) if cookie else None

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
            with self.server.decoding:
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

    def _begin(self):
        try:
            session = self.study.begin()
        except StudyFull:
            self._send_json({"error": "the study has as many participants as it takes"}, 503)
        except UserError as error:
            log(f"error: {error}")
            self._send_json({"error": "the session could not be stored"}, 500)
        else:
            self._send_json(self._state(session), session=session)

    def _answer(self, body: bytes):
        session = self._session()
        try:
            answer = parse_json(body)
            place, chosen = answer["place"], answer["chosen"]
            times = [answer[name] for name in ("shown_ms", "answer_ms")]
            if (
                type(place) is not int
                or chosen not in SIDES
                or not all(type(t) in (int, float) and 0 <= t < 1e9 for t in times)
            ):
                raise ValueError
            times = [round(float(t), 1) for t in times]
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
