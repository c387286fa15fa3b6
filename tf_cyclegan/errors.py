"""Errors that are the user's to mend, told in one sentence."""

from pathlib import Path


def printable(text: str) -> str:
    """Words of strangers (servers, archives, file names) as a terminal may have them.

    What is no letter, digit, sign or space, such as a line's end or the start of a terminal's
    command, stands as Python's escape for it.
    """
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


class UserError(Exception):
    """Something outside this package is wrong: an option, a path, an image, a full disk.

    The message is one plain sentence that says what is wrong, where, and what would be right. The
    commands print it on stderr and end with exit code 2; every other exception is a bug and keeps
    its traceback.

    Args:
        message: The sentence; all of it is made `printable`, whoever's words it repeats.
    """

    def __init__(self, message: str):
        super().__init__(printable(message))


class CannotWrite(UserError):
    """A disk is full, read-only or otherwise refuses.

    Args:
        path: What was to be written.
        reason: What the system said.
    """

    def __init__(self, path: Path | str, reason: str):
        super().__init__(
            f"cannot write {path}: {reason}; make room or choose another place, and run the "
            "command again"
        )
        self.reason = reason


class NotMeasurable(UserError):
    """A metric has no value for these images: too few, too small; the message says why."""
