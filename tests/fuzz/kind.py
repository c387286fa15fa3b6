"""What a kind of file is to the fuzzer."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

Files = dict[str, bytes]


@dataclass(frozen=True)
class Kind:
    """A kind of files that the package reads.

    Attributes:
        about: What they are, for the table.
        share: Of all mutations, how many are of this kind.
        mutants: From a count and a seed to so many damaged sets of files, by name; the same ones for
            the same seed.
        read: Reads everything in such files, which it may write to the empty folder that it gets.
        refusals: What it may raise: the package's own errors.
    """

    about: str
    share: float
    mutants: Callable[[int, int], Iterator[Files]]
    read: Callable[[Files, Path], None]
    refusals: tuple[type[Exception], ...]


def write(files: Files, folder: Path) -> None:
    """Write files to a folder, in which nothing else is left."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
