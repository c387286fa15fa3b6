"""Contenders that take turns: each in its own process, only one of them at work at any moment.

A machine's speed drifts by more than what is to be measured. So all contenders of a comparison are set
up, and then work in turn, round after round; each round gives a ratio, and of these the median counts.
"""

import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tf_cyclegan.errors import UserError
from tf_cyclegan.progress import ProgressLine

ROOT = Path(__file__).parent.parent
WARM_UP = 1  # the first traces, compiles and allocates


class Contender:
    """A process that does pieces of work when asked to.

    Args:
        module: Where the function is, see `benchmarks.worker`.
        function: Its name.
        *arguments: For the function; whatever JSON can hold.
        python: The interpreter.

    Attributes:
        setup_seconds: How long the function took, imports included.
        libraries_bytes: The most memory that the process held when it had imported its libraries.
        peak_bytes: The most memory that the process has held so far.
        cpu_seconds: Of all cores together, for the last piece of work.
        result: What the last piece of work gave.
    """

    def __init__(self, module: str, function: str, *arguments, python: str = sys.executable):
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115, closed in close()
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.worker", module, function, json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            cwd=ROOT,
            env=child_environment(),
        )
        self.result = None
        self.setup_seconds = self._receive()

    def work(self, count: int = 1) -> float:
        """Do `count` pieces of work.

        Returns:
            Seconds for one of them.
        """
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{count}\n")
            self._process.stdin.flush()
        seconds = self._receive() / count
        self.cpu_seconds /= count
        return seconds

    def _receive(self) -> float:
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._stderr.seek(0)
            said = self._stderr.read().decode(errors="replace").strip().splitlines()
            raise RuntimeError(
                f"{' '.join(self._process.args[3:])} ended with code {self._process.returncode}:\n"
                + "\n".join(said[-20:])
            )
        answer = json.loads(line)
        self.cpu_seconds = answer["cpu_seconds"]
        self.libraries_bytes, self.peak_bytes = answer["libraries_bytes"], answer["peak_bytes"]
        self.result = answer["result"]
        return answer["seconds"]

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._stderr.close()


def child_environment() -> dict[str, str]:
    """The environment for contenders: they find this package and keep TensorFlow's notes back."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "TF_CPP_MIN_LOG_LEVEL": "3"}


class BestOf(Contender):
    """A contender whose fastest try counts: what the machine can do, not what it mostly does."""

    tries = 5

    def work(self, count: int = 1) -> float:
        """Do `count` pieces of work, in several tries.

        Returns:
            Seconds for one of them in the fastest try.
        """
        return min(super(BestOf, self).work(-(-count // self.tries)) for _ in range(self.tries))


@contextlib.contextmanager
def closing(contenders: Mapping[str, Contender]) -> Iterator[Mapping[str, Contender]]:
    """End all processes of `contenders`, which may grow within the block."""
    try:
        yield contenders
    finally:
        for contender in contenders.values():
            contender.close()


def take_turns(
    makers: Mapping[str, Callable[[], Contender]],
    rounds: int,
    seconds: float,
    what: str,
    after_turn: Callable[[str, Contender], None] = lambda name, contender: None,
) -> dict[str, list[float]]:
    """Set the contenders up, one after the other, and let them work in turn.

    Args:
        makers: Start a contender, by name.
        rounds: How often each has its turn.
        seconds: A turn is as many pieces of work as fill this time, and at least one.
        what: A few words for the progress line.
        after_turn: Called with a contender that has just worked, for what else it can tell.

    Returns:
        For each contender seconds for a piece of work, one number a round.
    """
    total = len(makers) * (rounds + 1)
    done = 0
    times = {name: [] for name in makers}
    counts = {}
    with closing({}) as contenders, ProgressLine(total, what) as line:
        line.update(0)
        for name, maker in makers.items():
            contenders[name] = maker()
            for _ in range(WARM_UP):
                contenders[name].work()
            counts[name] = max(1, math.ceil(seconds / contenders[name].work()))
            done += 1
            line.update(done, name)
        names = list(makers)
        for turn in range(rounds):
            # Who comes after whom changes, so that none always follows the one that heats the most.
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                times[name].append(contenders[name].work(counts[name]))
                after_turn(name, contenders[name])
                done += 1
                line.update(done, name)
    return times


@dataclass(frozen=True)
class Ratio:
    """How many times one thing is another: the median over the rounds, and between what it lay."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, numerators: Sequence[float], denominators: Sequence[float]) -> "Ratio":
        """The ratio round by round."""
        ratios = [a / b for a, b in zip(numerators, denominators, strict=True)]
        return cls(median(ratios), min(ratios), max(ratios))

    @property
    def spread(self) -> float:
        """Highest less lowest, as a share of the median."""
        return (self.high - self.low) / self.median

    def __str__(self):
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"

    @property
    def percent(self) -> str:
        """The ratio as a share."""
        return f"{self.median:.0%} ({self.low:.0%} to {self.high:.0%})"


@dataclass(frozen=True)
class Torch:
    """An interpreter that has PyTorch."""

    python: str
    version: str


def find_torch(python: str | None) -> Torch | None:
    """Find PyTorch, or None where there is none.

    Args:
        python: The interpreter that the user named; without a name it is this one.

    Raises:
        UserError: The named one has no torch.
    """
    command = "import torch; print(torch.__version__)"
    try:
        found = subprocess.run(
            [python or sys.executable, "-c", command], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise UserError(f"--torch {python} cannot be run: {error.strerror}") from error
    if not found.returncode:
        return Torch(python or sys.executable, found.stdout.strip())
    if python:
        raise UserError(f"--torch {python} cannot import torch; name an interpreter that can")
    return None
