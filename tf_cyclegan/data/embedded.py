"""The data sets that come with the package."""

from pathlib import Path
from typing import NamedTuple


class EmbeddedSet(NamedTuple):
    """A data set in the package.

    Attributes:
        archive: The .zip with its images, its licences and their attribution.
        domains: What the images of X and of Y are, for people to read.
    """

    archive: Path
    domains: tuple[str, str]


_FOLDER = Path(__file__).parent

EMBEDDED = {
    "emoji": EmbeddedSet(_FOLDER / "emoji.zip", ("Noto", "Fluent 3D")),
    "earth": EmbeddedSet(_FOLDER / "earth.zip", ("Map", "Photograph")),
}
