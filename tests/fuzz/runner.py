"""Reads damaged files in a process that may die, and counts how it goes."""

import multiprocessing
import os
import re
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from .kind import Files, Kind, write

COLUMNS = """\
| files | mutations | read | refused | anything else | slowest | most memory | when |
|---|---|---|---|---|---|---|---|
"""
MOST_SECONDS = 5.0  # of processor time
MOST_BYTES = 2**30  # beyond what the process has before
PATIENCE = 120.0  # seconds that a process has for one reading, however busy the machine is


@dataclass
class Result:
    """How the readings of a kind went.

    Attributes:
        outcomes: How many were "read" and how many "refused" by the package's own errors.
        escapes: What else happened, with the place of the damaged files.
        slowest: Seconds of processor time.
        largest: Bytes of memory.
    """

    outcomes: Counter = field(default_factory=Counter)
    escapes: list[str] = field(default_factory=list)
    slowest: float = 0.0
    largest: int = 0


def fuzz(kind_module: str, count: int, seed: int, kept: Path) -> Result:
    """Read `count` mutants of a kind.

    Args:
        kind_module: Name of the module whose `KIND` it is.
        count: How many.
        seed: Which.
        kept: Folder for the damaged files of escapes.
    """
    kind: Kind = import_module(kind_module).KIND
    result = Result()
    with _Reader(kind_module) as reader:
        for number, files in enumerate(kind.mutants(count, seed)):
            outcome, seconds, size = reader.read(files)
            result.slowest, result.largest = max(result.slowest, seconds), max(result.largest, size)
            if outcome not in ("read", "refused"):
                pass
            elif seconds > MOST_SECONDS:
                outcome = f"took {seconds:.1f} s"
            elif size > MOST_BYTES:
                outcome = f"took {size / 2**30:.2f} GiB"
            else:
                result.outcomes[outcome] += 1
                continue
            folder = kept / f"{kind_module.rsplit('.', 1)[-1]}_{seed}_{number}"
            write(files, folder)
            result.escapes.append(f"{folder}: {outcome}")
            reader.renew()
    return result


class _Reader:
    """A process that reads, and is replaced when it has died, hung or grown."""

    def __init__(self, kind_module: str):
        self._kind_module = kind_module

    def __enter__(self) -> "_Reader":
        self._start()
        return self

    def __exit__(self, *_) -> None:
        self._end()

    def _start(self):
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(self._kind_module, theirs))
        self._process.start()
        theirs.close()
        self._connection.recv()  # it has imported what it needs

    def _end(self):
        self._connection.close()
        self._process.kill()
        self._process.join()

    def renew(self) -> None:
        """Start anew, so that the next reading has a process of ordinary size."""
        self._end()
        self._start()

    def read(self, files: Files) -> tuple[str, float, int]:
        """The outcome, seconds of processor time, and bytes of memory."""
        try:
            self._connection.send(files)
            if not self._connection.poll(PATIENCE):
                return f"did not end within {PATIENCE:.0f} s", PATIENCE, 0
            return self._connection.recv()
        except (EOFError, OSError):
            self._process.join(10)
            return f"the process died ({self._process.exitcode})", 0.0, 0


def _serve(kind_module: str, connection) -> None:
    """What the process does: read what comes through the connection until that is closed."""
    warnings.simplefilter("ignore")
    kind: Kind = import_module(kind_module).KIND
    with tempfile.TemporaryDirectory() as folder:
        for files in kind.mutants(1, 0):
            outcome_of(kind, files, Path(folder))  # imports what is imported late
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what libraries in C say about damage
        before = _most_memory()
        limit = _address_space() + 8 * MOST_BYTES  # what is asked for and not used is not counted
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        connection.send("ready")
        while True:
            try:
                files = connection.recv()
            except EOFError:
                return
            start = time.process_time()
            outcome = outcome_of(kind, files, Path(folder))
            connection.send((outcome, time.process_time() - start, _most_memory() - before))


def outcome_of(kind: Kind, files: Files, folder: Path) -> str:
    """ "read", "refused", or the exception that is not the package's own, and where it came from."""
    try:
        kind.read(files, folder)
    except kind.refusals as error:
        return "needed too much memory" if "more memory than there is" in str(error) else "refused"
    except Exception as error:
        places = traceback.extract_tb(sys.exc_info()[2])
        ours = [f"{Path(p.filename).name}:{p.lineno}" for p in places]
        return f"{type(error).__name__}: {str(error)[:80]!r} ({' '.join(ours[-4:])})"
    return "read"


def _most_memory() -> int:
    """The most bytes of memory that this process ever had; that of getrusage may be its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)[1]) * 1024


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def row(kind: Kind, result: Result, when: str) -> str:
    """The line of a table in Markdown, whose columns are `COLUMNS`."""
    escaped = len(result.escapes)
    cells = [kind.about, f"{result.outcomes.total() + escaped:,}"]
    cells += [f"{result.outcomes[name]:,}" for name in ("read", "refused")]
    cells += [f"{escaped:,}", f"{result.slowest:.2f} s", f"{result.largest / 1e6:,.0f} MB", when]
    return f"| {' | '.join(cells)} |\n"
