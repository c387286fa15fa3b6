"""What the demo's server lets through to gradio: what its own page asks for, and nothing else."""

import json
import re
from contextlib import suppress
from urllib.parse import parse_qsl, urlencode

import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, StreamingResponse

from ..local_server import body_length, is_own_page, parse_json
from .uploads import MAX_BYTES, TooMuch, Uploads

# gradio offers much more: API pages, deep links, proxies, components' own functions, other files.
PAGES = re.compile(r"/(|config|theme\.css|favicon\.ico|manifest\.json|(assets|static|svelte)/.+)")
GRADIO = "/gradio_api"
HEARTBEAT = re.compile(rf"{GRADIO}/heartbeat/([A-Za-z0-9]{{1,64}})")
SESSION = re.compile(r"[A-Za-z0-9]{1,64}")
# The others tell gradio of proxies, or ask for parts of files in ways that it does not expect.
HEADERS = {
    b"accept",
    b"accept-encoding",
    b"content-type",
    b"host",
    b"if-modified-since",
    b"if-none-match",
    b"origin",
    b"user-agent",
}
LARGEST_JSON = 64 * 2**10  # bytes; what the page sends has a thousand
FORM = 64 * 2**10  # bytes that an upload has around the file
MOST_SESSIONS = 4000  # whose unclaimed events are remembered


class Refused(Exception):
    """A request that gets no more than a status and a sentence."""

    def __init__(self, status: int, reason: str):
        super().__init__(reason)
        self.status = status


class OwnPageOnly:
    """An ASGI application in front of gradio's.

    Args:
        app: gradio's.
        page: The gradio.Blocks that it serves, which has one function.
        uploads: Where uploads go.
        address: That the server is bound to, a number.
    """

    def __init__(self, app, page, uploads: Uploads, address: str):
        self._app, self._queue = app, page._queue
        self._function = next(iter(page.fns))
        self._uploads, self._address = uploads, address

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        is_read = False

        async def receive_noting_the_end():
            nonlocal is_read
            message = await receive()
            is_read = not message.get("more_body", False)
            return message

        try:
            await self._answer(scope, receive_noting_the_end, send)
        except Refused as refusal:
            # Closed with something unread, a connection loses the reply.
            lengths = _values(scope["headers"], b"content-length")
            if body_length(lengths, LARGEST_JSON) is not None:
                while not is_read:
                    await receive_noting_the_end()
            headers = {"Connection": "close"}
            response = JSONResponse({"detail": str(refusal)}, refusal.status, headers)
            await response(scope, receive, send)
        except ClientDisconnect:
            pass

    async def _answer(self, scope, receive, send):
        headers = scope["headers"]
        hosts, origins = (_values(headers, name) for name in (b"host", b"origin"))
        if not is_own_page(hosts, origins, self._address):
            raise Refused(403, "only pages of this server may ask")
        method, path = scope["method"], scope["path"]
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), max_num_fields=8))
        kept = {}
        if method == "POST" and path == f"{GRADIO}/upload":
            await self._upload(scope, receive, send)
            return
        if method == "POST" and path == f"{GRADIO}/queue/join":
            body = self._event(await _read_json(headers, receive))
            self._forget_sessions()
            receive = _receiving(json.dumps(body).encode(), receive)
        elif method not in ("GET", "HEAD"):
            raise Refused(404, "there is no such page")
        elif path == f"{GRADIO}/upload_progress":
            # The page waits for it; an upload of this size needs no bar.
            done = iter(['data: {"msg": "done"}\n\n'])
            await StreamingResponse(done, media_type="text/event-stream")(scope, receive, send)
            return
        elif path == f"{GRADIO}/queue/data":
            kept = {"session_hash": query.get("session_hash", "")}
            if kept["session_hash"] not in self._queue.pending_messages_per_session:
                raise Refused(404, "this session is not known")
        elif path.startswith(f"{GRADIO}/file="):
            # Resolving a path asks the disk.
            file = path.removeprefix(f"{GRADIO}/file=")
            if not await anyio.to_thread.run_sync(self._uploads.holds, file):
                raise Refused(403, "this file is not served")
        elif not (
            PAGES.fullmatch(path)
            or HEARTBEAT.fullmatch(path)
            or path in (f"{GRADIO}/info", f"{GRADIO}/startup-events", f"{GRADIO}/theme.css")
        ):
            raise Refused(404, "there is no such page")
        headers = [(name, value) for name, value in headers if name in HEADERS]
        scope = scope | {"headers": headers, "query_string": urlencode(kept).encode()}
        await self._app(scope, receive, send)

    def _event(self, body) -> dict:
        """A change on the page, as gradio takes it: nothing but what the page itself would send.

        Of the upload there is but the path: what else gradio knows to do with files is not meant.
        """
        try:
            upload, name, direction = body["data"]
            path = None if upload is None else upload["path"]
            session, trigger = body["session_hash"], body.get("trigger_id")
            if not (
                isinstance(name, str)
                and isinstance(direction, str)
                and isinstance(path, str | None)
                and (trigger is None or type(trigger) is int)
                and body["fn_index"] == self._function
                and SESSION.fullmatch(session)
            ):
                raise ValueError
        except (KeyError, TypeError, ValueError, AttributeError):
            raise Refused(400, "no page of this server sends this") from None
        return {
            "data": [None if path is None else {"path": path}, name, direction],
            "fn_index": self._function,
            "session_hash": session,
            "trigger_id": trigger,
            "event_data": None,
        }

    def _forget_sessions(self) -> None:
        """gradio keeps for ever which events of a session nobody has fetched."""
        events = self._queue.pending_event_ids_session
        if len(events) > MOST_SESSIONS:
            for session in set(events) - set(self._queue.pending_messages_per_session):
                del events[session]

    async def _upload(self, scope, receive, send):
        _length(scope["headers"], MAX_BYTES + FORM)
        client = scope["client"][0] if scope["client"] else ""
        came = 0

        async def counted():
            nonlocal came
            message = await receive()
            size = len(message.get("body", b""))
            came += size
            self._uploads.coming(client, size)
            return message

        try:
            # Without "app", what is wrong with a form is told as an exception of its parser.
            request = Request(
                {name: value for name, value in scope.items() if name != "app"}, counted
            )
            async with request.form(max_files=1, max_fields=0) as form:
                files = [file for file in form.getlist("files") if not isinstance(file, str)]
                if len(files) != 1:
                    raise Refused(400, "this is no upload of a picture")
                (file,) = files
                if file.size > MAX_BYTES:
                    raise Refused(413, f"a picture has at most {MAX_BYTES // 2**20} MB")
                path = await anyio.to_thread.run_sync(
                    self._uploads.store, client, file.file, file.filename or "", file.size
                )
        except (MultiPartException, HTTPException):
            raise Refused(400, "this is no upload of a picture") from None
        except TooMuch as error:
            raise Refused(429, str(error)) from error
        finally:
            self._uploads.came(client, came)
        await JSONResponse([str(path)])(scope, receive, send)


def _values(headers, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key == name]


def _length(headers, limit: int) -> int:
    length = body_length(_values(headers, b"content-length"), limit)
    if length is None:
        raise Refused(413, "the request has no length, or is too long")
    return length


async def _read_json(headers, receive):
    length = _length(headers, LARGEST_JSON)
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
    with suppress(ValueError):
        if len(body) == length:
            return parse_json(body)
    raise Refused(400, "no page of this server sends this")


def _receiving(body: bytes, receive):
    """What receives `body` and then what `receive` does."""
    given = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive_body():
        for message in given:
            return message
        return await receive()

    return receive_body
