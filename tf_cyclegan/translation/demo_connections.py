"""Connections to the demo's server that do not stay for nothing, and a server that ends quietly."""

import logging
import signal
from contextlib import contextmanager

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..commands import ending_signals
from ..local_server import REQUEST_SECONDS

UPLOAD_SECONDS = 120  # for the body of a request
READING_SECONDS = 30  # in which a client takes nothing of what waits for it


class BriefConnection(H11Protocol):
    """A connection that is cut when its client dawdles.

    It may be silent only while the server is at work on its request: headers have `REQUEST_SECONDS`
    to come, a body `UPLOAD_SECONDS`, and of a reply something must be taken every `READING_SECONDS`.
    """

    def connection_made(self, transport):
        super().connection_made(transport)
        self._awaited, self._end = None, None
        self._reading = None
        self._watch()

    def data_received(self, data):
        super().data_received(data)
        self._watch()

    def on_response_complete(self):
        super().on_response_complete()
        self._watch()

    def pause_writing(self):
        super().pause_writing()
        self._reading = self.loop.call_later(READING_SECONDS, self.transport.abort)

    def resume_writing(self):
        super().resume_writing()
        if self._reading:
            self._reading.cancel()

    def connection_lost(self, exc):
        super().connection_lost(exc)
        for timer in (self._end, self._reading):
            if timer:
                timer.cancel()

    def _watch(self):
        """Set a new end when something else is awaited from the client than before."""
        awaited = self.conn.their_state
        if awaited is self._awaited:
            return
        if self._end:
            self._end.cancel()
        seconds = {h11.IDLE: REQUEST_SECONDS, h11.SEND_BODY: UPLOAD_SECONDS}.get(awaited)
        self._awaited = awaited
        self._end = self.loop.call_later(seconds, self.transport.abort) if seconds else None


class Server(uvicorn.Server):
    """uvicorn's, which closes what is open after every signal that ends the program."""

    @contextmanager
    def capture_signals(self):
        """Let signals end the server first, and then the program, as they would have."""
        before = {number: signal.signal(number, self.handle_exit) for number in ending_signals()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        for number in self._captured_signals[:1]:
            signal.raise_signal(number)

    def handle_exit(self, sig, frame):
        """Remember the signal and begin to close."""
        # Connections of open pages are cut, each with a traceback in the log.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        super().handle_exit(sig, frame)
