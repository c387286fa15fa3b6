"""A data set from two piles of images, each a folder or a .zip laid out anyhow."""

import zipfile
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from ..errors import UserError
from ..files import check_writable, from_home, writing
from ..progress import log, progress
from ..settings import TEST_SHARE
from .decode import UnreadableImage
from .passed_over import passed_over
from .piles import divided
from .sources import Domain

Write = Callable[[str, bytes], None]


def assemble_dataset(
    images_a: str | Path,
    images_b: str | Path,
    folder: str | Path,
    test_share: float = TEST_SHARE,
    seed: int = 0,
) -> Path:
    """Copy two piles of images into a data set to train on: trainA, trainB, testA and testB.

    Args:
        images_a: A folder or a .zip of images of the first domain, at any depth in it.
        images_b: Of the second.
        folder: A new folder or .zip. Images keep their names; where two of a split have the same, all
            but the first get a number.
        test_share: About which share of each pile is held out for testing, from 0 to below 1; at
            least one image where it is not 0. Which ones follows from their names.
        seed: Another one holds out others; 0 those that `train --x --y` does.

    Returns:
        `folder`, as a path.

    Raises:
        UserError: A pile is not there, cannot be read or has too few images, or `folder` exists.
    """
    output = from_home(folder)
    if not 0 <= test_share < 1:
        raise UserError(f"--test-share is {test_share}; it is a share, from 0 to below 1")
    if output.exists():
        raise UserError(f"{output} exists already; choose another place for the data set")
    as_zip = output.suffix.lower() == ".zip"
    check_writable(output, folder=not as_zip)
    with writing(output, new=not as_zip) as beside, _writer(beside, as_zip) as write:
        for letter, pile in (("A", images_a), ("B", images_b)):
            train, test = divided(pile, test_share, seed)
            if others := passed_over({letter: train}):
                log(f"{pile}: {others}")
            for split, domain in (("train", train), ("test", test)):
                _copy(domain, f"{split}{letter}", write, f"copying {pile}")
    return output


@contextmanager
def _writer(path: Path, as_zip: bool) -> Iterator[Write]:
    """What writes a file of a name to a new folder or .zip."""
    if as_zip:
        with zipfile.ZipFile(path, "w") as archive:  # not deflated: pictures do not become smaller
            yield archive.writestr
        return

    def write(name: str, content: bytes):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)

    yield write


def _copy(domain: Domain, split: str, write: Write, what: str):
    taken: set[str] = set()
    for index, name in progress(enumerate(domain.names), len(domain), what):
        try:
            content = domain.read(index)
        except UnreadableImage as error:
            raise UserError(f"{name} cannot be read ({error})") from error
        taken.add(free := _free(PurePath(name), taken))
        write(f"{split}/{free}", content)


def _free(path: PurePath, taken: Container[str]) -> str:
    """The file's name, or the first with a number that is not taken yet."""
    number, name = 1, path.name
    while name in taken:
        number += 1
        name = f"{path.stem}_{number}{path.suffix}"
    return name
