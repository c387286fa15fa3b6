"""The files of a perceptual study."""

import contextlib
import io
import random
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tf_cyclegan.errors import UserError
from tf_cyclegan.evaluation.perceptual_study import Protocol, Study
from tf_cyclegan.evaluation.run_study import report

from .damage import damaged_json, damaged_lines
from .kind import Files, Kind, write

PROTOCOL = Protocol("/real", (20, 30), practice=1, trials=3, seconds=1.0)
MODELS = {"one": "/one", "other": "/other"}
REAL = [f"{i}.png" for i in range(5)]
FAKE = {"one": REAL, "other": [f"{i}.jpg" for i in range(5)]}


def _open(folder: Path) -> Study:
    return Study(folder, PROTOCOL, MODELS, REAL, FAKE)


@cache
def originals() -> Files:
    """The files after some participants, the last of whom has not finished."""
    with tempfile.TemporaryDirectory() as folder:
        study = _open(Path(folder))
        for participant in range(4):
            session = study.begin()
            for place in range(4 if participant < 3 else 2):
                study.answer(session, place, "left", 1000.5, 700)
        names = ("study.json", "answers.jsonl")
        return {name: (Path(folder) / name).read_bytes() for name in names}


def mutants(count: int, seed: int) -> Iterator[Files]:
    """Yield studies of which one file is damaged, or gone."""
    choices = random.Random(seed)
    whole = originals()
    for i in range(count):
        if choices.random() < 0.01:
            yield {name: content for name, content in whole.items() if choices.random() < 0.5}
        elif i % 2:
            yield whole | {"study.json": damaged_json(whole["study.json"], choices)}
        else:
            yield whole | {"answers.jsonl": damaged_lines(whole["answers.jsonl"], choices)}


def read(files: Files, folder: Path) -> None:
    """Report the results, and go on with the study."""
    write(files, folder)
    refused = None
    said = io.StringIO()
    for use in (report, _go_on):
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                use(folder)
        except UserError as error:
            refused = error
    if refused:
        raise refused


def _go_on(folder: Path) -> None:
    study = _open(folder)
    session = study.begin()
    study.answer(session, 0, "right", 1000, 700)


KIND = Kind("study files: study.json, answers.jsonl", 0.1, mutants, read, (UserError,))
