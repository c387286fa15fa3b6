"""Published weights: the authors' translators, fetched once from where they host them."""

import hashlib
import http.client
import io
import os
import re
import socket
import ssl
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..errors import UserError
from ..files import write_file
from ..progress import ProgressLine, log
from .checkpoint import parse_checkpoint
from .pickle import CheckpointError
from .published import NAMES, SOURCE

MIRROR = "TF_CYCLEGAN_PRETRAINED_URL"
SILENCE_SECONDS = 30
DEADLINE_SECONDS = 30 * 60  # for all of a file; 96 MB at 53 kB a second
MAX_BYTES = 2**28  # the authors' files have 45 MB, the Inception network 96
CHUNK_BYTES = 2**20


def fetch_pretrained(name: str) -> Path:
    """Fetch one of the authors' generators, or find it in the cache.

    The cache is tf_cyclegan/ in $XDG_CACHE_HOME (default: ~/.cache). $TF_CYCLEGAN_PRETRAINED_URL
    names a mirror to ask instead of the authors' server; only there may the address begin with
    http:// or file:// instead of https://, which a line says.

    Args:
        name: One of `NAMES`.

    Returns:
        The path of NAME.pth, whole and with tensors in it.

    Raises:
        UserError: There is no such name, or no source has the file; the sentence says what was tried
            and how to go on by hand.
    """
    if name not in NAMES:
        raise UserError(f"--pretrained {name} is not among the published: {', '.join(NAMES)}")
    return fetch_file(
        name,
        [f"{SOURCE}/{name}.pth"],
        parse_checkpoint,
        f"pass the file: python -m tf_cyclegan.convert {name}.pth --output {name}",
    )


def fetch_file(
    name: str,
    urls: list[str],
    check: Callable[[bytes], object],
    then: str,
    sha256: str | None = None,
) -> Path:
    """Fetch a file of weights from the first source that has it, or find it in the cache.

    Cache and mirror are those of `fetch_pretrained`. What a mirror has is checked as what comes from
    the source itself.

    Args:
        name: What to call it in the sentences.
        urls: Where it is, the same last part in all; a mirror stands in for all of them.
        check: Raises CheckpointError if a content is not what was asked for.
        then: What to do with a file that was downloaded by hand, for the sentence.
        sha256: The sum that its content must have, in the cache too; where it is not known, a line
            shows the sum of what came.

    Raises:
        UserError: No source has it, or the cache holds another file under its name.
    """
    file = urls[0].rsplit("/", 1)[1]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = cache / "tf_cyclegan" / file
    if path.is_file():
        if sha256 and (found := _sum(path.read_bytes())) != sha256:
            raise UserError(
                f"{path} is not {name} as it was published: its SHA-256 is {found} and should be "
                f"{sha256}; remove it, and run the command again"
            )
        return path
    if mirror := os.environ.get(MIRROR):
        urls = [f"{_checked_mirror(mirror)}/{file}"]
    tried = []
    for url in urls:
        try:
            content = _download(url, f"fetching {name}")
            found = _sum(content)
            if sha256 not in (None, found):
                raise CheckpointError(f"has a SHA-256 of {found}, not {sha256}")
            check(content)
        except (OSError, ValueError, http.client.HTTPException, CheckpointError) as error:
            tried.append(f"{url} ({_reason(error)})")
            continue
        write_file(path, content)
        if sha256 is None:
            log(
                f"no sum of {file} is published, so that nobody can say whether it is the authors': "
                f"what came from {url} has the SHA-256 {found}"
            )
        return path
    raise UserError(
        f"cannot fetch {name}: tried {' and '.join(tried)}; download {urls[-1]} in a browser, then "
        f"{then}, or name another place that has it: {MIRROR}=https://..."
    )


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _checked_mirror(mirror: str) -> str:
    """The address without a slash at its end, told of where it is not https."""
    scheme = urllib.parse.urlsplit(mirror).scheme
    if scheme not in ("https", "http", "file"):
        raise UserError(
            f"{MIRROR} is {mirror}; it should begin with https:// (or http://, or file:// for a "
            "folder of this machine)"
        )
    if scheme == "http":
        log(
            f"{mirror}, which {MIRROR} names, is not https: others can change what comes on its way"
        )
    return mirror.rstrip("/")


def _download(url: str, what: str) -> bytes:
    content = bytearray()
    opener = _opener(time.monotonic() + DEADLINE_SECONDS)
    with opener.open(url, timeout=SILENCE_SECONDS) as response:
        length = response.headers.get("Content-Length", "")
        total = int(length) if re.fullmatch(r"[0-9]{1,15}", length) else 0
        with ProgressLine(max(1, -(-total // CHUNK_BYTES)), what) as line:
            while total <= MAX_BYTES and (chunk := response.read1(CHUNK_BYTES)):
                content += chunk
                total = max(total, len(content))
                line.update(len(content) // CHUNK_BYTES, "MiB")
    if total > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES // 2**20} MiB")
    if len(content) < total:
        raise ValueError(f"the connection ended after {len(content)} of {total} bytes")
    return bytes(content)


def _opener(deadline: float) -> urllib.request.OpenerDirector:
    """What opens addresses, and gives up at `deadline` however a server draws out its words."""

    def within_deadline(kind: type[http.client.HTTPConnection]):
        def connect(*args, **kwargs):
            connection = kind(*args, **kwargs)
            connection.response_class = partial(_Response, deadline)
            return connection

        return connect

    class Http(urllib.request.HTTPHandler):
        def http_open(self, request):
            return self.do_open(within_deadline(http.client.HTTPConnection), request)

    class Https(urllib.request.HTTPSHandler):
        def https_open(self, request):
            connect = within_deadline(http.client.HTTPSConnection)
            return self.do_open(connect, request, context=ssl.create_default_context())

    return urllib.request.build_opener(Http, Https, _RedirectsToHttps)


class _RedirectsToHttps(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, request, file, code, message, headers, url):
        if urllib.parse.urlsplit(url).scheme != "https":
            file.close()
            raise ValueError(f"it leads on to {url[:200]}, which is not https")
        return super().redirect_request(request, file, code, message, headers, url)


class _Response(http.client.HTTPResponse):
    """A response that is over at a deadline, its headers included."""

    def __init__(self, deadline: float, sock: socket.socket, *args, **kwargs):
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Stream(self.fp.detach(), sock, deadline))


class _Stream(io.RawIOBase):
    """Each read of `raw` waits as long as a silence may be, and not beyond the deadline."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: float):
        self._raw, self._sock, self._deadline = raw, sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"it was not done after {DEADLINE_SECONDS / 60:g} minutes")
        self._sock.settimeout(min(SILENCE_SECONDS, left))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _reason(error: Exception) -> str:
    if isinstance(error, CheckpointError):
        return f"what came {error}"
    return str(getattr(error, "reason", None) or error)[:200] or type(error).__name__
