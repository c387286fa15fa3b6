"""A live line on a terminal, plain lines elsewhere: how far, how fast, how long still."""

import errno
import math
import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, TypeVar, cast

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .errors import printable

T = TypeVar("T")

QUIET_SECONDS = 5  # what takes no longer says nothing
LOG_SECONDS = 30  # between plain lines
NOTEBOOK_SECONDS = 1  # between updates of the line in a notebook
RECENT_SECONDS = 300  # that the remaining time is estimated from
BAR_WIDTH = 10


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

    A terminal has one line that moves, a notebook one that is replaced, and a file or pipe gets a line
    every half minute. What is left is told from the second piece on, at the speed of the last minutes.

    Args:
        total: Pieces of work.
        what: Few words for what is done.
        done: Pieces done before.
    """

    def __init__(self, total: int, what: str, done: int = 0):
        self.total, self.what, self.done, self._text = total, printable(what), done, ""
        self._live: Live | None = None
        self._shown_in_notebook = None
        self._start, self._last_line = time.monotonic(), -math.inf
        self._times = deque([(self._start, done)])  # when how many pieces were done, of late

    def __enter__(self):
        if console.is_terminal:
            self._live = Live(
                get_renderable=self._line, console=console, transient=True, refresh_per_second=4
            )
            self._live.start()
        return self

    def __exit__(self, *_):
        if self._live:
            self._live.stop()
        elif self._shown_in_notebook is not None:
            self._tell()  # the line stays there, and so it says how far the work came

    @property
    def seconds_left(self) -> float | None:
        """Seconds until all is done at the speed of the last minutes; None where none is known."""
        (since, first), (last, done) = self._times[0], self._times[-1]
        if done == first:
            return None
        seconds = (last - since) / (done - first) * (self.total - done)
        return max(0.0, seconds - (time.monotonic() - last))

    def update(self, done: int, text: str = "", counts: bool = True) -> None:
        """Say how far the work is.

        Args:
            done: Pieces done.
            text: What follows on the line, parts with ", " between them: those that do not fit are
                left out.
            counts: Whether the time since the last update says anything of the speed, as that in
                which a step was traced does not.
        """
        now, (last, before) = time.monotonic(), self._times[-1]
        if not counts:
            self._times = deque((t + now - last, d + done - before) for t, d in self._times)
        else:
            self._times.append((now, done))
        while len(self._times) > 2 and now - self._times[1][0] > RECENT_SECONDS:
            self._times.popleft()
        self.done, self._text = done, printable(text)
        if self._live or now - self._start <= QUIET_SECONDS:
            return
        if now - self._last_line > (NOTEBOOK_SECONDS if console.is_jupyter else LOG_SECONDS):
            self._last_line = now
            self._tell()

    def _tell(self):
        line = ", ".join(filter(None, [f"{self.what} {self.done}/{self.total}", self._text]))
        if self.done < self.total and (seconds := self.seconds_left) is not None:
            line += f", {format_seconds(seconds)} to go"
        if not console.is_jupyter:
            log(line)
        elif self._shown_in_notebook is None:
            from IPython.display import display

            self._shown_in_notebook = display({"text/plain": line}, raw=True, display_id=True)
        else:
            self._shown_in_notebook.update({"text/plain": line}, raw=True)

    def _line(self) -> RenderableType:
        """The line on a terminal, of what fits in its width; the bar is the first to go."""
        seconds = self.seconds_left
        head = f"{self.done}/{self.total}"
        if seconds is not None:
            head += f", {format_seconds(seconds)} to go"
        room = console.width - len(self.what) - 1
        with_bar = room > len(head) + BAR_WIDTH + 1
        room -= (BAR_WIDTH + 1) * with_bar
        for part in self._text.split(", ") if self._text else ():
            if len(head) + len(part) + 2 >= room:
                break
            head += f", {part}"
        grid = Table.grid(padding=(0, 1))
        bar = ProgressBar(self.total, self.done, width=BAR_WIDTH)
        grid.add_row(self.what, *([bar] if with_bar else []), Text(head, no_wrap=True))
        return grid


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
