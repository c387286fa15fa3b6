"""A data set from two piles of images, each a folder or a .zip laid out anyhow."""

from pathlib import Path, PurePath

import numpy as np

from ..errors import UserError
from ..files import check_writable, from_home, writing
from ..progress import progress
from .decode import UnreadableImage
from .sources import open_images


def assemble_dataset(
    images_a: str | Path,
    images_b: str | Path,
    folder: str | Path,
    test_share: float = 0.1,
    seed: int = 0,
) -> Path:
    """Copy two piles of images into a folder to train on: trainA, trainB, testA and testB.

    Args:
        images_a: A folder or a .zip of images of the first domain, at any depth in it.
        images_b: Of the second.
        folder: A new one. Images keep their names; where two of a domain have the same, all but the
            first get a number.
        test_share: Share of each pile that is held out for testing, from 0 to below 1; at least one
            image where it is not 0.
        seed: Which images are held out.

    Returns:
        `folder`, as a path.

    Raises:
        UserError: A pile is not there, cannot be read or has too few images, or the folder exists.
    """
    folder = from_home(folder)
    if not 0 <= test_share < 1:
        raise UserError(f"test_share is {test_share}; it is a share, from 0 to below 1")
    if folder.exists():
        raise UserError(f"{folder} exists already; choose another folder for the data set")
    check_writable(folder, folder=True)
    with writing(folder, new=True) as beside:
        for letter, source in (("A", images_a), ("B", images_b)):
            domain = open_images(source)
            held_out = max(1, round(test_share * len(domain))) if test_share else 0
            if len(domain) <= held_out:
                raise UserError(
                    f"{source} holds too few images: {len(domain)}, of which {held_out} would be "
                    "held out for testing"
                )
            order = np.random.default_rng([seed, ord(letter)]).permutation(len(domain))
            tested = set(order[:held_out].tolist())
            for split in ("train", "test") if tested else ("train",):
                (beside / f"{split}{letter}").mkdir(parents=True)
            for index in progress(range(len(domain)), len(domain), f"copying {source}"):
                try:
                    content = domain.read(index)
                except UnreadableImage as error:
                    raise UserError(f"{domain.names[index]} cannot be read ({error})") from error
                split = "test" if index in tested else "train"
                _free(beside / f"{split}{letter}" / PurePath(domain.names[index]).name).write_bytes(
                    content
                )
    return folder


def _free(path: Path) -> Path:
    """The path, or the first with a number that no file has yet."""
    number, numbered = 1, path
    while numbered.exists():
        number += 1
        numbered = path.with_name(f"{path.stem}_{number}{path.suffix}")
    return numbered
