"""Clients of the demo and of the study: honest, slow and hostile ones, and what became of them."""

import asyncio
import io
import json
import random
import re
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

HOST = "127.0.0.1"
PATIENCE = 120  # seconds that an honest client waits for a reply
SHARES = {"slow": 0.1, "hostile": 0.1}  # of the clients; the others are honest


@dataclass
class Figures:
    """What a number of clients saw.

    Attributes:
        honest, slow, hostile: How many clients there were of each kind.
        requests: Of honest clients, with the reply that was due.
        turned_away: Of honest clients, told to come again.
        wrong: Of honest clients, with another reply or none; sentences.
        answers: That an honest client was told are taken: answers of the study, pictures to translate.
        lost: Of these, those that never came to be.
        attacks: Requests of hostile clients.
        let_in: Of these, those that were not refused; sentences.
        cut: Connections of slow clients that the server closed.
        times: Seconds that each of `requests` took.
    """

    honest: int = 0
    slow: int = 0
    hostile: int = 0
    requests: int = 0
    turned_away: int = 0
    wrong: list[str] = field(default_factory=list)
    answers: int = 0
    lost: int = 0
    attacks: int = 0
    let_in: list[str] = field(default_factory=list)
    cut: int = 0
    times: list[float] = field(default_factory=list)


class Client:
    """An honest client, one connection a request.

    Args:
        port: Of the server on 127.0.0.1.
        figures: To count in.
        end: When to stop, in `time.monotonic()`.
    """

    def __init__(self, port: int, figures: Figures, end: float):
        self.port, self.figures, self.end = port, figures, end

    def is_time_left(self) -> bool:
        """Whether to begin something more: until the time is up, and one answer of all has come."""
        return time.monotonic() < self.end or not (self.figures.answers or self.figures.wrong)

    async def ask(self, path: str, body: bytes | None = None, **headers: str):
        """The status, the headers' text and the body of a reply; asked again where turned away."""
        method = "GET" if body is None else "POST"
        lines = [f"{method} {path} HTTP/1.0", f"Host: {HOST}:{self.port}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        content = "\r\n".join([*lines, "", ""]).encode() + (body or b"")
        while True:
            start = time.monotonic()
            reply = b""
            with suppress(OSError, TimeoutError):
                reply = await asyncio.wait_for(exchange(self.port, content), PATIENCE)
            found = re.match(rb"HTTP/1\.\d (\d+) ", reply)
            status = int(found[1]) if found else 0
            head, _, rest = reply.partition(b"\r\n\r\n")
            if status not in (429, 503):
                break
            self.figures.turned_away += 1
            await asyncio.sleep(random.uniform(0.5, 1.5))
        if status == 200:
            self.figures.requests += 1
            self.figures.times.append(time.monotonic() - start)
        else:
            self.figures.wrong.append(f"{method} {path[:60]}: {status} {rest[:100]!r}")
        return status, head.decode("latin-1"), rest


async def exchange(port: int, content: bytes) -> bytes:
    """Send bytes and return all that comes until the server closes."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(content)
        await writer.drain()
        return await reader.read()
    finally:
        writer.close()


class Participant(Client):
    """Takes part in a study, again and again; `said` gets what was confirmed, (participant, place)."""

    said: set[tuple[str, int]]

    async def live(self) -> None:
        """Begin sessions and answer until the time is up."""
        while self.is_time_left():
            _, head, body = await self.ask("/begin", b"{}", Content_Type="application/json")
            cookie = re.search(r"participant=([0-9a-f]+)", head)
            if cookie is None:
                continue
            state = json.loads(body)
            for place in range(state["practice"] + state["trials"]):
                if not self.is_time_left():
                    return
                if await self._judge(cookie[0], place):
                    self.said.add((cookie[1], place))
                    self.figures.answers += 1

    async def _judge(self, cookie: str, place: int) -> bool:
        for side in ("left", "right"):
            await self.ask(f"/image/{place}/{side}", Cookie=cookie)
        await asyncio.sleep(random.uniform(0, 0.2))
        answer = {"place": place, "chosen": random.choice(("left", "right"))}
        answer |= {"shown_ms": 1000, "answer_ms": 300}
        status, *_ = await self.ask(
            "/answer", json.dumps(answer).encode(), Content_Type="application/json", Cookie=cookie
        )
        return status == 200


class Visitor(Client):
    """Has pictures translated by the demo, each of a size of its own."""

    async def live(self) -> None:
        """Upload pictures and wait for their translations until the time is up."""
        await self.ask("/")
        number = 0
        while self.is_time_left():
            number += 1
            size = random.randint(32, 96), random.randint(32, 96)
            path = await self._upload(size)
            if path is not None:
                await self._translate(path, f"{id(self):x}{number}", size)

    async def _upload(self, size: tuple[int, int]) -> str | None:
        pixels = np.random.default_rng().integers(0, 256, [*size[::-1], 3], np.uint8)
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, "PNG")
        part = b'Content-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
        body = b"--x\r\n" + part + content.getvalue() + b"\r\n--x--\r\n"
        kind = "multipart/form-data; boundary=x"
        status, _, reply = await self.ask("/gradio_api/upload", body, Content_Type=kind)
        return json.loads(reply)[0] if status == 200 else None

    async def _translate(self, path: str, session: str, size: tuple[int, int]) -> None:
        event = {"data": [{"path": path}, "run", "x_to_y"], "fn_index": 0, "session_hash": session}
        body = json.dumps(event).encode()
        status, *_ = await self.ask("/gradio_api/queue/join", body, Content_Type="application/json")
        if status != 200:
            return
        self.figures.answers += 1
        _, _, stream = await self.ask(f"/gradio_api/queue/data?session_hash={session}")
        files = re.findall(r'"path": ?"([^"]+\.png)"', stream.decode())
        is_told = f"{size[0]}x{size[1]} pixels" in stream.decode()
        if not is_told or len(files) < 2:
            self.figures.lost += 1
            self.figures.wrong.append(f"no translation: {stream[-300:]!r}")
            return
        _, _, picture = await self.ask(f"/gradio_api/file={files[1]}")
        with suppress(OSError):
            if Image.open(io.BytesIO(picture)).size == size:
                return
        self.figures.lost += 1


def attacks(port: int, post: str, get: str) -> list[bytes]:
    """Requests that no page sends.

    Args:
        port: Of the server.
        post: A path that takes JSON.
        get: A path that every page asks for.
    """
    own = f"Host: {HOST}:{port}\r\nContent-Type: application/json\r\n"

    def posted(body: bytes, length: str | None = None, headers: str = own) -> bytes:
        length = str(len(body)) if length is None else length
        return f"POST {post} HTTP/1.1\r\n{headers}Content-Length: {length}\r\n\r\n".encode() + body

    return [
        posted(b"{}", "9" * 5000),
        posted(b"{}", "-1"),
        posted(b"{}", "1" + "0" * 14),
        posted(b"[" * 4000),
        posted(b'{"a":' * 1000 + b"1" * 2000),
        posted(b'{"data":[{"path":"/etc/shadow"},1,2],"place":1e999,"chosen":[]}'),
        posted(b'{"place":0,"chosen":"left","shown_ms":1%s,"answer_ms":0}' % (b"0" * 401)),
        posted(b"\xff" * 1000),
        posted(b"{}", headers=own.replace(HOST, "evil.example")),
        posted(b"{}", headers=own + "Origin: http://evil.example\r\n"),
        posted(b"{}", headers=own + "Transfer-Encoding: chunked\r\n"),
        posted(bytes(100_000)),
        f"GET {get} HTTP/1.1\r\nHost: evil.example\r\n\r\n".encode(),
        f"GET {get} HTTP/1.1\r\n{own}Host: evil.example\r\n\r\n".encode(),
        f"GET /gradio_api/file=/etc/passwd HTTP/1.1\r\n{own}\r\n".encode(),
        f"GET /image/../../etc/passwd HTTP/1.1\r\n{own}\r\n".encode(),
        f"GET /openapi.json HTTP/1.1\r\n{own}\r\n".encode(),
        f"GET {get} HTTP/1.1\r\n".encode() + b"a: b\r\n" * 20_000 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500) + b"\r\n\r\n",
        b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\n\r\n",
        bytes(100) + b"\r\n\r\n",
    ]


async def attack(port: int, requests: list[bytes], figures: Figures, end: float) -> None:
    """Send requests of `attacks` until the time is up, and go away in bad manners."""
    while time.monotonic() < end:
        content = random.choice(requests)
        figures.attacks += 1
        with suppress(OSError, TimeoutError):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                if random.random() < 0.3:  # gone in the middle of a sentence
                    writer.write(content[: random.randrange(len(content))])
                    await writer.drain()
                    writer.transport.abort()
                    continue
                writer.write(content)
                reply = await asyncio.wait_for(reader.read(1000), 5)
                status = re.match(rb"HTTP/1\.\d (\d+) ", reply)
                if status and int(status[1]) < 400:
                    figures.let_in.append(f"{content[:100]!r}: {reply[:100]!r}")
            finally:
                writer.transport.abort()
        await asyncio.sleep(random.uniform(0, 0.2))


async def dawdle(port: int, large: str, figures: Figures, end: float) -> None:
    """Hold connections with silence, with a byte now and then, and by taking no reply.

    Args:
        port: Of the server.
        large: The path of a large reply.
        figures: To count in.
        end: When to stop.
    """
    own = f"Host: {HOST}:{port}\r\n".encode()
    beginnings = [
        b"",
        b"GET / HTTP/1.1\r\n" + own + b"X: ",
        b"POST /answer HTTP/1.1\r\n" + own + b"Content-Length: 1000\r\n\r\n",
        f"GET {large} HTTP/1.1\r\n".encode() + own + b"\r\n",
    ]
    while time.monotonic() < end:
        kind = random.randrange(len(beginnings))
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(HOST, port, limit=1)
            try:
                writer.write(beginnings[kind])
                while time.monotonic() < end:
                    await asyncio.sleep(0.5)
                    if kind in (1, 2):
                        writer.write(b"a")
                        await writer.drain()
                    if kind == 0 and reader.at_eof():
                        raise ConnectionResetError
            except ConnectionError:
                figures.cut += 1
            finally:
                writer.transport.abort()


async def crowd(
    port: int,
    count: int,
    seconds: float,
    honest: Callable[[int, Figures, float], Awaitable[None]],
    *,
    post: str,
    get: str,
    large: str,
) -> Figures:
    """Let `count` clients of all kinds meet a server for so long; returns what they saw.

    Args:
        port: Of the server.
        count: Of clients.
        seconds: After which none begins anything more.
        honest: From the port, the figures and the end to the life of an honest client.
        post, get: See `attacks`.
        large: See `dawdle`.
    """
    figures = Figures()
    end = time.monotonic() + seconds
    figures.slow, figures.hostile = (round(count * share) for share in SHARES.values())
    figures.honest = count - figures.slow - figures.hostile
    requests = attacks(port, post, get)
    await asyncio.gather(
        *(honest(port, figures, end) for _ in range(figures.honest)),
        *(dawdle(port, large, figures, end) for _ in range(figures.slow)),
        *(attack(port, requests, figures, end) for _ in range(figures.hostile)),
    )
    return figures


def crowd_at_study(port: int, count: int, seconds: float, answers) -> Figures:
    """Let a crowd meet a study; of its answers none is lost that stands in answers.jsonl once.

    Args:
        port: Of the server.
        count: Of clients.
        seconds: See `crowd`.
        answers: A function that reads the lines of answers.jsonl.
    """
    said: set[tuple[str, int]] = set()

    async def honest(*arguments):
        participant = Participant(*arguments)
        participant.said = said
        await participant.live()

    routes = {"post": "/answer", "get": "/session", "large": "/"}
    figures = _run(crowd(port, count, seconds, honest, **routes))
    stored = [(line["participant"], line["place"]) for line in answers() if "place" in line]
    figures.lost = len(said - set(stored)) + len(stored) - len(set(stored))
    return figures


def crowd_at_demo(port: int, count: int, seconds: float) -> Figures:
    """Let a crowd meet a demo that shows a model of the name "run"."""

    async def honest(*arguments):
        await Visitor(*arguments).live()

    routes = {"post": "/gradio_api/queue/join", "get": "/config", "large": "/"}
    return _run(crowd(port, count, seconds, honest, **routes))


def _run(coroutine) -> Figures:
    """Run a coroutine in a thread of its own: a test's browser may have a loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()
