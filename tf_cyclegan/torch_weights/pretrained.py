"""Published weights: the authors' translators, fetched once from where they host them."""

import http.client
import os
import urllib.request
from collections.abc import Callable
from pathlib import Path

from ..errors import UserError
from ..files import write_file
from ..progress import ProgressLine
from .checkpoint import parse_checkpoint
from .pickle import CheckpointError

NAMES = (
    "apple2orange",
    "orange2apple",
    "summer2winter_yosemite",
    "winter2summer_yosemite",
    "horse2zebra",
    "zebra2horse",
    "monet2photo",
    "style_monet",
    "style_cezanne",
    "style_ukiyoe",
    "style_vangogh",
    "sat2map",
    "map2sat",
    "cityscapes_photo2label",
    "cityscapes_label2photo",
    "facades_photo2label",
    "facades_label2photo",
    "iphone2dslr_flower",
)
# The authors' scripts use plain HTTP. What comes is data: it is checked, and nothing of it is run.
_HOST = "efrosgans.eecs.berkeley.edu/cyclegan/pretrained_models"
SOURCES = (f"https://{_HOST}", f"http://{_HOST}")
TIMEOUT_SECONDS = 30
MAX_BYTES = 2**30  # the authors' files have 45 MB
CHUNK_BYTES = 2**20


def fetch_pretrained(name: str) -> Path:
    """Fetch one of the authors' generators, or find it in the cache.

    The cache is tf_cyclegan/ in $XDG_CACHE_HOME (default: ~/.cache). $TF_CYCLEGAN_PRETRAINED_URL
    names a mirror to ask instead of the authors' server.

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
        [f"{source}/{name}.pth" for source in SOURCES],
        parse_checkpoint,
        f"pass the file: python -m tf_cyclegan.convert {name}.pth --output {name}",
    )


def fetch_file(name: str, urls: list[str], check: Callable[[bytes], object], then: str) -> Path:
    """Fetch a file of weights from the first source that has it, or find it in the cache.

    Cache and mirror are those of `fetch_pretrained`.

    Args:
        name: What to call it in the sentences.
        urls: Where it is, the same last part in all; a mirror stands in for all of them.
        check: Raises CheckpointError if a content is not what was asked for.
        then: What to do with a file that was downloaded by hand, for the sentence.

    Raises:
        UserError: No source has it.
    """
    file = urls[0].rsplit("/", 1)[1]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = cache / "tf_cyclegan" / file
    if path.is_file():
        return path
    if mirror := os.environ.get("TF_CYCLEGAN_PRETRAINED_URL"):
        urls = [f"{mirror.rstrip('/')}/{file}"]
    tried = []
    for url in urls:
        try:
            content = _download(url, f"fetching {name}")
            check(content)
        except (OSError, ValueError, http.client.HTTPException, CheckpointError) as error:
            tried.append(f"{url} ({_reason(error)})")
            continue
        write_file(path, content)
        return path
    raise UserError(
        f"cannot fetch {name}: tried {' and '.join(tried)}; download {urls[-1]} in a browser, then "
        f"{then}"
    )


def _download(url: str, what: str) -> bytes:
    content = bytearray()
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:
        total = int(response.headers.get("Content-Length") or 0)
        with ProgressLine(max(1, -(-total // CHUNK_BYTES)), what) as line:
            while chunk := response.read(CHUNK_BYTES):
                content += chunk
                if len(content) > MAX_BYTES:
                    raise ValueError(f"more than {MAX_BYTES // 2**20} MiB")
                line.update(len(content) // CHUNK_BYTES, "MiB")
    if total and len(content) != total:
        raise ValueError(f"the connection ended after {len(content)} of {total} bytes")
    return bytes(content)


def _reason(error: Exception) -> str:
    if isinstance(error, CheckpointError):
        return f"what came {error}"
    return str(getattr(error, "reason", None) or error) or type(error).__name__
