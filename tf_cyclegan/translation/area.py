"""A picture of which parts are read as they are needed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Read = Callable[[int, int, int, int], np.ndarray]


@dataclass(frozen=True)
class Area:
    """A picture of which parts can be read.

    Attributes:
        height, width: Of the picture.
        read: From top, left, height and width of a part that lies inside to its float32 images
            `[height, width, C]` in [-1, 1].
    """

    height: int
    width: int
    read: Read
