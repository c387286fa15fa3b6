"""500 clients for a minute at each server; writes docs/servers.md: `python -m tests.load`."""

import argparse
import contextlib
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.conftest import TINY_SETTINGS, write_images
from tf_cyclegan.evaluation.perceptual_study import read_lines
from tf_cyclegan.files import write_file
from tf_cyclegan.local_server import most_connections

from .clients import Figures, crowd_at_demo, crowd_at_study

PAGE = Path(__file__).parents[2] / "docs" / "servers.md"
BEGIN, END = "<!-- load: written by python -m tests.load -->", "<!-- end of load -->"
ROWS = {
    "clients: honest, slow, hostile": lambda f: f"{f.honest}, {f.slow}, {f.hostile}",
    "requests of honest clients": lambda f: f"{f.requests:,}",
    "... median, 99 % of them within": lambda f: " s, ".join(
        f"{q:.2f}" for q in np.quantile(f.times, [0.5, 0.99])
    ) + " s",
    "... told to come again": lambda f: f"{f.turned_away:,}",
    "... with a wrong reply or none": lambda f: f"{len(f.wrong):,}",
    "answers taken": lambda f: f"{f.answers:,}",
    "answers lost": lambda f: f"{f.lost:,}",
    "hostile requests": lambda f: f"{f.attacks:,}",
    "... not refused": lambda f: f"{len(f.let_in):,}",
    "slow connections cut": lambda f: f"{f.cut:,}",
}  # fmt: skip


class Server:
    """One of the package's servers as a process, and what becomes of it."""

    def __init__(self, process: subprocess.Popen, port: int, errors: Path):
        self.process, self.port, self._errors = process, port, errors
        self.memory_before = self.memory()
        self.most_memory = 0
        self._watch = threading.Thread(target=self._measure, daemon=True)
        self._watch.start()

    def _measure(self) -> None:
        while self.process.poll() is None:
            with contextlib.suppress(OSError, TypeError):
                self.most_memory = max(self.most_memory, self.memory())
            time.sleep(0.2)

    def memory(self) -> int:
        """Resident, in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) // 1024

    def tracebacks(self) -> int:
        """How many it has printed."""
        return self._errors.read_text().count("Traceback")


@contextlib.contextmanager
def serving(command: list, folder: Path) -> Iterator[Server]:
    """Run a command that says its address on stderr."""
    errors = folder / "stderr"
    with errors.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", *map(str, command)],
            stderr=file,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"TMPDIR": str(folder)},
        )
        try:
            end = time.monotonic() + 300
            while not (found := re.search(r"http://127\.0\.0\.1:(\d+)", errors.read_text())):
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"{command[0]} does not begin: {errors.read_text()}")
                time.sleep(0.1)
            yield Server(process, int(found[1]), errors)
        finally:
            process.terminate()
            process.wait()


def load_study(folder: Path, clients: int, seconds: float) -> tuple[Server, Figures]:
    """A crowd at the study."""
    for name in ("photos", "model"):
        write_images(folder / name, 60, size=(128, 128))
    command = ["tf_cyclegan.study", "--real", folder / "photos", "--fake", folder / "model"]
    command += ["--output", folder / "study", "--port", 0]
    with serving(command, folder) as server:
        lines = lambda: read_lines(folder / "study")  # noqa: E731
        return server, crowd_at_study(server.port, clients, seconds, lines)


@contextlib.contextmanager
def serving_demo(folder: Path) -> Iterator[Server]:
    """The demo with a small model."""
    for name in ("trainA", "trainB"):
        write_images(folder / "data" / name, 2, size=(32, 32))
    settings = TINY_SETTINGS | {"steps": 1, "run_dir": folder / "run", "dataset": folder / "data"}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    train = [sys.executable, "-m", "tf_cyclegan.train", *options]
    subprocess.run(train, check=True, stderr=subprocess.DEVNULL)
    with serving(["tf_cyclegan.demo", "--model", folder / "run", "--port", 0], folder) as server:
        yield server


def load_demo(folder: Path, clients: int, seconds: float) -> tuple[Server, Figures]:
    """A crowd at the demo."""
    with serving_demo(folder) as server:
        return server, crowd_at_demo(server.port, clients, seconds)


def crowd_after_crowd(folder: Path, clients: int, seconds: float, crowds: int) -> None:
    """Print the demo's memory after every one of several crowds."""
    pictures = 0
    with serving_demo(folder) as server:
        print(f"before: {server.memory()} MB")
        for number in range(1, crowds + 1):
            pictures += crowd_at_demo(server.port, clients, seconds).answers
            print(f"crowd {number}, {pictures} pictures: {server.memory()} MB", flush=True)


def main() -> None:
    """Print the figures; with `--write` put them into docs/servers.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--crowds", type=int, help="the demo's memory after each of so many crowds")
    options = parser.parse_args()
    most_connections(2 * options.clients)
    if options.crowds:
        with tempfile.TemporaryDirectory() as folder:
            crowd_after_crowd(Path(folder), options.clients, options.seconds, options.crowds)
        return
    columns = []
    for load in (load_study, load_demo):
        with tempfile.TemporaryDirectory() as folder:
            server, figures = load(Path(folder), options.clients, options.seconds)
            column = [of(figures) for of in ROWS.values()]
            column += [f"{server.memory_before} MB, {server.most_memory} MB"]
            column += [str(server.tracebacks())]
        columns.append(column)
        for words in (figures.wrong + figures.let_in)[:10]:
            print(words, file=sys.stderr)
    names = [*ROWS, "memory before, at most", "tracebacks"]
    lines = ["| | study | demo |", "|---|---|---|"]
    lines += [f"| {name} | {a} | {b} |" for name, a, b in zip(names, *columns, strict=True)]
    lines += [
        "",
        f"{options.clients} clients for {options.seconds:g} s, {time.strftime('%Y-%m-%d')}, "
        f"{os.cpu_count()} cores for server and clients together, "
        f"Python {platform.python_version()}: `make load`.",
    ]
    print("\n".join(lines))
    if options.write:
        page = PAGE.read_text()
        before, after = page[: page.index(BEGIN)], page[page.index(END) :]
        write_file(PAGE, f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{after}")


if __name__ == "__main__":
    main()
