"""The paths that users name."""

import os
from pathlib import Path

from .errors import UserError


def from_home(path: str | os.PathLike) -> Path:
    """The path that a user names, as text or as a path, where ~ is their home.

    Raises:
        UserError: It is the home of a user who has none.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(f"{path}: {error}; write the path in full") from error
