"""What the pixels are that a model takes and gives. TensorFlow is not needed to know it."""

import json
from pathlib import Path

from ..errors import UserError
from ..pixels import RGB8, PixelFormat
from ..settings import RunSettings

PIXELS_FILE = "assets.extra/pixels.json"  # in a SavedModel; TensorFlow leaves that folder alone


def pixels_of(config: RunSettings, direction: str) -> tuple[PixelFormat, PixelFormat]:
    """What the pixels are that a run's translator takes, and those that it gives."""
    x, y = config.pixels
    return (x, y) if direction == "x_to_y" else (y, x)


def read_pixels(saved_model: Path) -> tuple[PixelFormat, PixelFormat]:
    """What the pixels are that a SavedModel takes, and those that it gives: 8-bit colour if it is old.

    Raises:
        UserError: The file that says it is damaged.
    """
    path = saved_model / PIXELS_FILE
    if not path.exists():
        return RGB8, RGB8
    try:
        content = json.loads(path.read_text())
        return PixelFormat(**content["takes"]), PixelFormat(**content["gives"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(f"{path} is damaged: export the run again") from error


def write_pixels(saved_model: Path, takes: PixelFormat, gives: PixelFormat) -> None:
    """Say in a SavedModel what `read_pixels` reads."""
    path = saved_model / PIXELS_FILE
    path.parent.mkdir(exist_ok=True)
    content = {"takes": takes.to_json(), "gives": gives.to_json()}
    path.write_text(json.dumps(content, indent=2) + "\n")
