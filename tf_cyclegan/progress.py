"""A live line on a terminal, plain lines elsewhere: how far, how fast, how long still."""

import errno
import math
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, TypeVar, cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .errors import printable

T = TypeVar("T")

QUIET_SECONDS = 5  # what takes no longer says nothing
LOG_SECONDS = 30  # between plain lines


class _Stderr:
    """Standard error, of which no failure ends the work that is told of.

    A terminal is closed, nobody reads a pipe any more, the disk under a log is full.
    """

    # A live line of rich puts a file of its own in place of sys.stderr, which writes to this one.
    @property
    def rich_proxied_file(self):
        return self

    @property
    def _file(self):
        return getattr(sys.stderr, "rich_proxied_file", sys.stderr)

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError as error:
            if error.errno in (
                errno.EIO,
                errno.EPIPE,
            ):  # for ever: else exit would fail on the rest
                with suppress(OSError), Path(os.devnull).open("w") as nowhere:
                    os.dup2(nowhere.fileno(), self._file.fileno())

    def __getattr__(self, name: str):
        return getattr(self._file, name)


console = Console(file=cast(IO[str], _Stderr()))


def log(message: str) -> None:
    """Print a line on stderr, above a live progress line if there is one; `printable`, all of it."""
    console.print(printable(message), markup=False, highlight=False, soft_wrap=True)


class ProgressLine:
    """Shows the progress of `total` pieces of work; use it as a context manager.

    Args:
        total: Pieces of work.
        what: Few words for what is done.
        done: Pieces done before.
    """

    def __init__(self, total: int, what: str, done: int = 0):
        self.total, self.what, self.done, self._first = total, printable(what), done, done
        self._live: Progress | None = None
        self._start, self._last_line = time.monotonic(), -math.inf

    def __enter__(self):
        if console.is_terminal:
            live = self._live = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=10),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[text]}"),
                console=console,
                transient=True,
            )
            self._task = live.add_task(self.what, total=self.total, completed=self.done, text="")
            live.start()
        return self

    def __exit__(self, *_):
        if self._live:
            self._live.stop()

    @property
    def eta_seconds(self) -> float:
        """Seconds until all is done at the speed so far."""
        elapsed = time.monotonic() - self._start
        return elapsed / max(1, self.done - self._first) * (self.total - self.done)

    def update(self, done: int, text: str = "") -> None:
        """Say that `done` pieces are done; `text` follows on the line."""
        self.done = done
        if self._live:
            room = console.width - len(self.what) - 2 * len(str(self.total)) - 26
            self._live.update(self._task, completed=done, text=printable(text)[: max(0, room)])
            return
        now = time.monotonic()
        if now - self._start > QUIET_SECONDS and now - self._last_line > LOG_SECONDS:
            self._last_line = now
            eta = format_seconds(self.eta_seconds)
            log(f"{self.what} {done}/{self.total}{text and ' ' + text}, {eta} to go")


def progress(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Pass `items` through and show how far they are."""
    with ProgressLine(total, what) as line:
        for done, item in enumerate(items, 1):
            yield item
            line.update(done)


def format_seconds(seconds: float) -> str:
    """1:02:03 or 2:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
