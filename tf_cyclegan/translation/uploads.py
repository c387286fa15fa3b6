"""The folder of what people gave the demo page: how much goes in, and what may be read from it."""

import os
import secrets
import shutil
import stat
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePath
from typing import BinaryIO

from ..data.recognize import IMAGE_SUFFIXES

MAX_BYTES = 32 * 2**20  # of an upload; a photo of 50 megapixels has about 20
SMALLEST = 64 * 2**10  # bytes that an upload counts for at least, for its file and its folder
PER_CLIENT = 256 * 2**20  # bytes of one address that are kept
IN_ALL = 2**30  # bytes that the folder holds, results included
COMING = 256 * 2**20  # bytes of all uploads that are not there yet, in memory or on disk
COMING_PER_CLIENT = COMING // 2
IN_USE = 60  # seconds in which an upload is not deleted for another one of its client
KEPT = 3600  # seconds after which it goes


class NotAnUpload(Exception):
    """It is nothing that was uploaded; the same words whatever is there."""

    def __init__(self):
        super().__init__("the picture is not there any more; choose it again")


class TooMuch(Exception):
    """An upload that is refused. The message says why."""


class Uploads:
    """What was uploaded, in a folder of its own inside `folder`, where results of the page lie too.

    Args:
        folder: Exists, and nobody else writes there.
    """

    def __init__(self, folder: Path):
        self.folder = folder.resolve()
        self._own = self.folder / "uploaded"
        self._own.mkdir()
        self._lock = threading.Lock()
        self._kept: dict[Path, tuple[float, str, int]] = {}  # oldest first: when, whose, bytes
        self._of_client: Counter[str] = Counter()
        self._coming: Counter[str] = Counter()
        self._written = 0

    def coming(self, client: str, size: int) -> None:
        """Count bytes of an upload that have come; `came` takes them back.

        Args:
            client: Its address.
            size: In bytes.

        Raises:
            TooMuch: Too much is being uploaded at once, by this address or by all.
        """
        with self._lock:
            self._coming[client] += size
            if self._coming[client] > COMING_PER_CLIENT or self._coming.total() > COMING:
                raise TooMuch("too much is being uploaded at the moment; try again")

    def came(self, client: str, size: int) -> None:
        """Take back what `coming` counted of one upload, stored or not."""
        with self._lock:
            self._coming[client] -= size
            self._coming += Counter()  # without those that are done

    def store(self, client: str, content: BinaryIO, name: str, size: int) -> Path:
        """Keep an upload under a name that nobody guesses.

        Where its client has too many, the oldest of them go.

        Args:
            client: Its address.
            content: Read from its beginning.
            name: As the client calls it; of it the suffix is kept, if it is that of a picture.
            size: In bytes.

        Raises:
            TooMuch: The address has uploaded too much within a minute.
        """
        suffix = PurePath(name).suffix.lower()
        folder = self._own / secrets.token_hex(16)
        path = folder / f"picture{suffix if suffix in IMAGE_SUFFIXES else ''}"
        with self._lock:
            self._reserve(client, max(size, SMALLEST))
            self._kept[path] = time.monotonic(), client, max(size, SMALLEST)
        folder.mkdir()
        with path.open("xb") as file:
            while part := content.read(2**20):
                file.write(part)
        self.make_room(max(size, SMALLEST))
        return path

    def _reserve(self, client: str, size: int) -> None:
        """Delete what is too old, and of this client as much as `size` needs."""
        now = time.monotonic()
        for path, (then, owner, _) in list(self._kept.items()):
            is_full = self._of_client[client] + size > PER_CLIENT
            if then + IN_USE > now or (then + KEPT > now and not is_full):
                break
            if then + KEPT <= now or owner == client:
                self._delete(path)
        if self._of_client[client] + size > PER_CLIENT:
            raise TooMuch(
                f"more than {PER_CLIENT // 2**20} MB were uploaded from this address within a "
                "minute; wait for one and try again"
            )
        self._of_client[client] += size

    def _delete(self, path: Path) -> None:
        _, owner, size = self._kept.pop(path)
        self._of_client[owner] -= size
        if not self._of_client[owner]:
            del self._of_client[owner]
        self._written -= size
        shutil.rmtree(path.parent, ignore_errors=True)

    def make_room(self, size: int) -> None:
        """Count bytes that were or will be written; the oldest files go where they are too many."""
        with self._lock:
            self._written += size
            if self._written <= IN_ALL:
                return
            # Down to half, or every upload from here on would list the folder.
            files = sorted(_files(self.folder))
            kept = sum(max(size, SMALLEST) for _, size, _ in files)
            for _, size, path in files:
                if kept <= IN_ALL // 2:
                    break
                if path in self._kept:
                    self._delete(path)
                else:
                    path.unlink(missing_ok=True)
                kept -= max(size, SMALLEST)
            self._written = kept

    def read(self, path: str) -> bytes:
        """What was uploaded, one byte more than `MAX_BYTES` at most.

        Args:
            path: As `store` returned it; a client may send anything.

        Raises:
            NotAnUpload: It is none, or is gone.
        """
        try:
            if Path(path).parent.parent != self._own:
                raise NotAnUpload
            return read_regular(path, MAX_BYTES + 1)
        except (OSError, ValueError):
            raise NotAnUpload from None

    def holds(self, path: str) -> bool:
        """Whether a regular file of this folder, upload or result, has exactly this path."""
        try:
            is_inside = self.folder in Path(path).parents
            return is_inside and str(Path(path).resolve(strict=True)) == path and _is_regular(path)
        except (OSError, ValueError, RuntimeError):
            return False


def read_regular(path: str, limit: int) -> bytes:
    """The first `limit` bytes of a regular file, named by its resolved path.

    A pipe, a device or a link is not even opened for reading: that could wait for ever, or never end.

    Raises:
        OSError: It is something else, or not there.
        ValueError: It is no path.
    """
    try:
        if str(Path(path).resolve(strict=True)) != path:
            raise OSError(f"{path} goes by way of a link")
    except RuntimeError as error:  # links in a circle, before Python 3.13
        raise OSError(str(error)) from error
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0)
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path} is no regular file")
        return file.read(limit)


def _is_regular(path: str) -> bool:
    return stat.S_ISREG(os.lstat(path).st_mode)


def _files(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """Age, size and path of all files in a folder and those in it."""
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            status = path.lstat()
            if not stat.S_ISDIR(status.st_mode):
                yield status.st_mtime, status.st_size, path
