"""The folder of what people gave the demo page: how much goes in, and what may be read from it."""

import os
import secrets
import stat
import threading
import time
from collections import deque
from pathlib import Path, PurePath
from typing import BinaryIO

from ..data.decode import IMAGE_SUFFIXES

MAX_BYTES = 32 * 2**20  # of an upload; a photo of 50 megapixels has about 20
PER_CLIENT = 512 * 2**20  # bytes that one address may upload in `WINDOW`
IN_ALL = 2**30  # bytes that the folder holds, results included
ARRIVING = 256 * 2**20  # bytes of all uploads that are not there yet, in memory or on disk
WINDOW = 3600  # seconds


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
        self._of_client: dict[str, deque[tuple[float, int]]] = {}
        self._arriving = 0
        self._written = 0

    def arriving(self, client: str, size: int) -> None:
        """Count bytes of an upload that have come; `arrived` takes them back.

        Args:
            client: Its address.
            size: In bytes.

        Raises:
            TooMuch: The address has sent too much within an hour, or too many upload at once.
        """
        now = time.monotonic()
        with self._lock:
            self._arriving += size
            past = self._past(client, now)
            past.append((now, size))
            if self._arriving > ARRIVING:
                raise TooMuch("too much is being uploaded at the moment; try again")
            if sum(size for _, size in past) > PER_CLIENT:
                raise TooMuch(
                    f"more than {PER_CLIENT // 2**20} MB were uploaded from this address within an "
                    "hour; try again later"
                )
            if len(past) > 1000:  # few entries, however small the parts are that came
                past.append((now, sum(past.pop()[1] for _ in range(900))))

    def _past(self, client: str, now: float) -> deque[tuple[float, int]]:
        """When how much came from an address, within the window."""
        if client not in self._of_client and len(self._of_client) % 1000 == 999:
            recent = {c: p for c, p in self._of_client.items() if p[-1][0] >= now - WINDOW}
            self._of_client = recent
        past = self._of_client.setdefault(client, deque())
        while past and past[0][0] < now - WINDOW:
            past.popleft()
        return past

    def arrived(self, size: int) -> None:
        """Take back what `arriving` counted of one upload, stored or not."""
        with self._lock:
            self._arriving -= size

    def store(self, content: BinaryIO, name: str) -> Path:
        """Keep an upload under a name that nobody guesses.

        Args:
            content: Read from its beginning.
            name: As the client calls it; of it the suffix is kept, if it is that of a picture.
        """
        suffix = PurePath(name).suffix.lower()
        folder = self._own / secrets.token_hex(16)
        folder.mkdir()
        path = folder / f"picture{suffix if suffix in IMAGE_SUFFIXES else ''}"
        with path.open("xb") as file:
            while part := content.read(2**20):
                file.write(part)
        self.make_room(path.stat().st_size)
        return path

    def make_room(self, size: int) -> None:
        """Count bytes that were or will be written; the oldest files go where they are too many."""
        with self._lock:
            self._written += size
            if self._written <= IN_ALL:
                return
            # Half of it, or every upload from here on would list the folder.
            files = sorted(_files(self.folder), key=lambda file: file[0])
            kept = sum(size for _, size, _ in files)
            for _, size, path in files:
                if kept <= IN_ALL // 2:
                    break
                Path(path).unlink(missing_ok=True)
                kept -= size
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


def _files(folder: Path):
    """Age, size and path of all files in a folder and those in it."""
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        else:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            yield status.st_mtime, status.st_size, entry.path
