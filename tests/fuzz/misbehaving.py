"""A reader that does all that the runner has to notice."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from tf_cyclegan.errors import UserError

from .kind import Files, Kind

DEEDS = (
    (b"read", b"refuse", b"raise", b"grow", b"read", b"work", b"die", b"refuse"),
    (b"sleep",),
)


def mutants(count: int, seed: int) -> Iterator[Files]:
    """Yield one deed after the other."""
    for deed in DEEDS[seed][:count]:
        yield {"deed": deed}


def read(files: Files, _folder: Path) -> None:
    """Do what is asked for."""
    match files["deed"]:
        case b"refuse":
            raise UserError("no")
        case b"raise":
            raise KeyError("a bug")
        case b"grow":
            b"\1" * 2**28
        case b"work":
            start = time.process_time()
            while time.process_time() - start < 1.7:
                pass
        case b"sleep":
            time.sleep(1000)
        case b"die":
            os._exit(3)


KIND = Kind("nothing", 0.0, mutants, read, (UserError,))
