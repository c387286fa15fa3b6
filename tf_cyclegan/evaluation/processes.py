"""Commands of this package, several at a time, each in a process of its own.

A process has nothing of the one before it: no graphs, no memory, no state of Keras. What it ends with
are the bits that the command gives by itself.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import UserError
from ..progress import log

LOOK_SECONDS = 0.1  # between looks at who has ended


class Stopped(Exception):
    """A signal stopped a command, which had cleaned up; the same one goes on."""

    def __init__(self, number: int):
        super().__init__(f"signal {number}")
        self.signal = number


def run_commands(commands: Mapping[str, Sequence[Sequence[str]]], jobs: int) -> None:
    """Run commands of this package, and pass on what they say.

    Args:
        commands: By a name that stands before every line that they write, the commands to run one
            after the other, each its module and its arguments: ["train", "--run-dir", "runs/a"].
        jobs: How many names are at work at a time.

    Raises:
        UserError: A command found one, which is told; those beside it were stopped.
        Stopped: A signal came to one of them.
    """
    waiting = list(commands.items())
    at_work: list[_Commands] = []
    try:
        while waiting or at_work:
            while waiting and len(at_work) < jobs:
                at_work.append(_Commands(*waiting.pop(0)))
            time.sleep(LOOK_SECONDS)
            at_work = [one for one in at_work if one.go_on()]
    except BaseException as error:
        # Ctrl-C, SIGTERM and SIGHUP arrive here as exceptions, and a command's failure does.
        number = signal.SIGINT if isinstance(error, KeyboardInterrupt) else signal.SIGTERM
        if at_work:
            log("stopping what is at work, after a checkpoint; the same command goes on")
        for one in at_work:
            one.stop(number)
        try:
            for one in at_work:
                one.wait()
        except BaseException:  # once more stops at once
            for one in at_work:
                one.stop(signal.SIGKILL)
            raise
        raise


# Where these are set, rich takes every stream for a terminal.
COLOURS = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")


def _environment() -> dict[str, str]:
    """What a command finds: this package, wherever this process has it from; a GPU that is shared."""
    places = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH")]
    # Notebooks ask for colours; what goes through a pipe is lines all the same, and no live bars.
    inherited = {name: value for name, value in os.environ.items() if name not in COLOURS}
    return inherited | {
        "PYTHONPATH": os.pathsep.join(filter(None, places)),
        "PYTHONIOENCODING": "utf-8",
        "TF_FORCE_GPU_ALLOW_GROWTH": os.environ.get("TF_FORCE_GPU_ALLOW_GROWTH", "true"),
    }


class _Commands:
    """Commands that run one after the other."""

    def __init__(self, name: str, commands: Sequence[Sequence[str]]):
        self._name, self._waiting = name, list(commands)
        self._start()

    def _start(self):
        module, *arguments = self._waiting.pop(0)
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"tf_cyclegan.{module}", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(),
            start_new_session=True,  # a terminal's Ctrl-C comes by way of `stop`, once
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            self._lines.append(line.decode(errors="replace").rstrip("\n"))
            if not self._lines[-1].startswith("error: "):
                log(f"{self._name}: {self._lines[-1]}")

    def go_on(self) -> bool:
        """Start the next command where one has ended; False if all have.

        Raises:
            UserError: The one that ended found one.
            Stopped: A signal came to it.
        """
        code = self._process.poll()
        if code is None:
            return True
        self._reader.join()
        if code:
            raise self._failure(code)
        if self._waiting:
            self._start()
            return True
        return False

    def _failure(self, code: int) -> Exception:
        number = -code if code < 0 else code - 128
        if number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", None)):
            return Stopped(number)
        told = [line for line in self._lines if line.startswith("error: ")]
        if code == 2 and told:
            return UserError(f"{self._name}: {told[-1].removeprefix('error: ')}")
        if code < 0:
            return UserError(
                f"{self._name} was killed by signal {-code}, as a system does that runs out of memory; "
                "the same command goes on, and with --jobs 1 it needs the least"
            )
        return RuntimeError(f"{self._name} ended with code {code}: its traceback is above")

    def stop(self, number: int) -> None:
        """Send a signal to what is at work."""
        self._process.send_signal(number)

    def wait(self) -> None:
        """Return when what is at work has ended, and all that it said is told."""
        self._process.wait()
        self._reader.join()
