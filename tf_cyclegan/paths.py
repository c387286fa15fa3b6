"""The paths that users name."""

import difflib
import os
from contextlib import suppress
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


def missing(what: str, path: str | os.PathLike) -> str:
    """What to say where nothing has the path that a user named.

    Args:
        what: That it should be, such as "folder".
        path: As the user named it.

    Returns:
        Such as "there is no folder my/fotos in /home/ann; did you mean my/photos?"
    """
    place = "" if from_home(path).is_absolute() else f" in {Path.cwd()}"
    return f"there is no {what} {path}{place}{did_you_mean(path)}"


def did_you_mean(path: str | os.PathLike) -> str:
    """The path that is there and is written most like one that is not, as a question; "" for none."""
    wanted = from_home(path)
    there = wanted.parent
    while not there.is_dir() and there != there.parent:
        there = there.parent
    first, *inside = wanted.relative_to(there).parts
    names: dict[str, str] = {}
    with suppress(OSError):
        names = {name.casefold(): name for name in sorted(entry.name for entry in there.iterdir())}
    near = difflib.get_close_matches(first.casefold(), names, 1)
    if not near:
        return ""
    found = there / names[near[0]]
    whole = found.joinpath(*inside)
    return f"; did you mean {whole if whole.exists() else found}?"
