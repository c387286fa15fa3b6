"""What all comparisons share: options, the machine's name, Markdown tables and JSON."""

import argparse
import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tf_cyclegan.files import write_file

from .cases import CASES, case
from .turns import Torch, find_torch


def parser(
    description: str, rounds: int, seconds: float | None = None, torch: bool = True
) -> argparse.ArgumentParser:
    """The options that comparisons share.

    Args:
        description: What --help says.
        rounds: How many there are when the user does not say.
        seconds: The least length of a turn, likewise; None where turns have no length.
        torch: Whether PyTorch is among the contenders.
    """
    options = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "--rounds", type=_positive, default=rounds, help=f"turns of each contender ({rounds})"
    )
    if seconds is not None:
        options.add_argument(
            "--seconds", type=float, default=seconds, help=f"least length of a turn ({seconds:g})"
        )
    if torch:
        options.add_argument(
            "--torch",
            metavar="PYTHON",
            help="interpreter that has torch (default: this one, if it has)",
        )
    options.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    return options


def add_cases(options: argparse.ArgumentParser, cases: Iterable[str] = CASES) -> None:
    """Let the user choose which of the `cases` to compare."""
    cases = list(cases)
    options.add_argument(
        "--cases",
        nargs="+",
        default=cases,
        metavar="CASE",
        help=f"of {', '.join(cases)} (default: all)",
    )


def _positive(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return int(text)


@dataclass(frozen=True)
class Setting:
    """The options as a comparison uses them."""

    options: argparse.Namespace
    torch: Torch | None

    @classmethod
    def of(cls, options: argparse.Namespace) -> "Setting":
        """Check the options and find PyTorch.

        Raises:
            UserError: There is no such case, or no torch where the user said that there is.
        """
        for name in getattr(options, "cases", []):
            case(name)
        setting = cls(options, find_torch(options.torch) if "torch" in options else None)
        print(setting.machine, end="\n\n", flush=True)
        return setting

    @property
    def machine(self) -> str:
        """What it was measured on, as a sentence."""
        versions = f"TensorFlow {version('tensorflow')}, Keras {version('keras')}"
        if self.torch:
            versions += f", PyTorch {self.torch.version}"
        elif "torch" in self.options:
            versions += ", no PyTorch (see --torch)"
        return f"{_processor()}, {_cores()} cores; {versions}."

    def save(self, results: Sequence[dict]) -> None:
        """Write the results as JSON where the user wants them."""
        if self.options.json:
            write_file(self.options.json, json.dumps(list(results), indent=2) + "\n")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(": ", 1)[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _cores() -> int:
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count()


def print_row(*cells) -> None:
    """Print a line of a Markdown table."""
    print("|", " | ".join(str(cell) for cell in cells), "|", flush=True)


def print_header(*headings: str) -> None:
    """Print the first two lines of a Markdown table."""
    print_row(*headings)
    print("|" + "---|" * len(headings), flush=True)


def number(value: float | None, digits: int = 3) -> str:
    """A number in so many significant digits; a dash for what was not measured."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    whole = len(str(int(abs(value))))
    return f"{value:.{max(0, digits - whole)}f}" if abs(value) >= 1 else f"{value:.{digits}g}"
