"""Connections of the demo's server that are cut, and those that are not."""

import asyncio
import contextlib
import socket
import threading
import time

import pytest

pytest.importorskip("uvicorn")
import uvicorn

from tf_cyclegan.translation import demo_connections
from tf_cyclegan.translation.demo_connections import BriefConnection

SHORT = 0.5


@pytest.fixture
def port(monkeypatch):
    """Of a server with short times, whose application waits and then sends much."""
    for name in ("REQUEST_SECONDS", "UPLOAD_SECONDS", "READING_SECONDS"):
        monkeypatch.setattr(demo_connections, name, SHORT)

    async def application(scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        await asyncio.sleep(3 * SHORT)  # the server's own time
        size = int(scope["path"][1:])
        headers = [(b"content-length", b"%d" % size)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for _ in range(size // 10_000):
            await send({"type": "http.response.body", "body": bytes(10_000), "more_body": True})
        await send({"type": "http.response.body", "body": bytes(size % 10_000)})

    config = uvicorn.Config(application, http=BriefConnection, lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join()


def received(connection):
    """How many bytes come until the server closes the connection."""
    count = 0
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            count += len(part)
    return count


UNFINISHED = [
    b"GET /5 HTTP/1.1\r\nHost: a\r\nX: ",
    b"POST /5 HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n",
]


@pytest.mark.parametrize("beginning", [b"", b"GET", *UNFINISHED])
def test_silence_is_cut(port, beginning):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(beginning)
        assert received(connection) == 0


@pytest.mark.parametrize("beginning", UNFINISHED)
def test_drops_now_and_then_are_cut(port, beginning):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(beginning)
        end = time.monotonic() + 60
        with contextlib.suppress(ConnectionError):
            for _ in range(98):
                connection.sendall(b"a")
                assert time.monotonic() < end
                time.sleep(SHORT / 5)
            pytest.fail("it was not cut")


def test_the_servers_own_time_is_not_counted(port):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        for _ in range(2):  # the second on a connection that is kept
            connection.sendall(b"POST /5 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n.")
            said = b""
            while not said.endswith(bytes(5)):
                said += (part := connection.recv(65536))
                assert part
        assert received(connection) == 0  # and then silence


def test_a_reply_that_nobody_takes_is_cut(port):
    size = 30_000_000
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % size)
        time.sleep(6 * SHORT)
        assert received(connection) < size
