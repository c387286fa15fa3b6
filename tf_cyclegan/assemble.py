"""A data set from two piles of images: `python -m tf_cyclegan.assemble --x photos --y paintings`."""

from dataclasses import dataclass
from pathlib import Path

from .commands import parse, run_command
from .progress import log
from .settings import TEST_SHARE


@dataclass(frozen=True)
class Options:
    """Copy two folders or .zip files of images into one data set, with trainA, trainB, testA, testB."""

    x: Path
    """folder or .zip of images of one domain, at any depth; they become trainA and testA"""
    y: Path
    """of images of the other; they become trainB and testB"""
    output: Path
    """a new folder, or a new .zip"""
    test_share: float = TEST_SHARE
    """about this share of the images is held out for tests, by their names; 0 is none"""
    seed: int = 0
    """another one holds out others; 0 those that train --x --y holds out"""


def main(arguments: list[str] | None = None) -> None:
    """The command: `python -m tf_cyclegan.assemble`."""
    options = parse(Options, arguments, "assemble")
    from .data.assemble import assemble_dataset

    x, y, output = options.x, options.y, options.output
    log(f"wrote {assemble_dataset(x, y, output, options.test_share, options.seed)}")


if __name__ == "__main__":
    run_command(main)
