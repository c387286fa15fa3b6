"""Which files of a folder or a .zip are pictures, and what is left out."""

import os
from collections import Counter
from pathlib import Path, PurePath

from ..errors import UserError
from .recognize import HEAD_BYTES, IMAGE_SUFFIXES, format_of
from .unreadable import UnreadableImage

# Folders that systems put beside people's files: thumbnails of a Synology, forks of macOS.
NO_DATA = {"@eaDir", "__MACOSX", "$RECYCLE.BIN", "System Volume Information"}
HIDDEN = "hidden"
NO_FILE = "pipes or devices"  # reading one might never end


def is_hidden(part: str) -> bool:
    """Whether what has this name, and all in it, is no data: hidden, trash, thumbnails."""
    return part.startswith(".") or part in NO_DATA


def may_be_image(path: PurePath) -> bool:
    """Whether a file is a picture by its suffix, in any case; without one its content will tell."""
    return path.suffix.lower() in IMAGE_SUFFIXES or not path.suffix


def looks_like_picture(path: PurePath) -> bool:
    """Whether a hidden file would be a picture elsewhere; macOS's resource forks would not."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith("._")


def is_image_head(head: bytes) -> bool:
    """Whether a file without a suffix is a picture, by its first bytes; TGA has nothing to tell it."""
    try:
        return format_of(head) not in (None, "TGA")
    except UnreadableImage:
        return True  # and reading it says why not


def image_files(folder: Path) -> tuple[list[Path], Counter[str]]:
    """Find the pictures in a folder and those in it, linked ones too, each folder once.

    Returns:
        Their paths, sorted, and how many files were left out, by suffix; `HIDDEN` are the pictures in
        places that are no data.

    Raises:
        UserError: A folder cannot be read.
    """
    found: list[Path] = []
    left_out: Counter[str] = Counter()
    seen: set[tuple[int, int]] = set()

    def walk(place: Path, hidden: bool) -> None:
        status = place.stat()
        if (
            status.st_dev,
            status.st_ino,
        ) in seen:  # a link back, or to a folder that is here already
            return
        seen.add((status.st_dev, status.st_ino))
        folders = []
        with os.scandir(place) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                path, is_no_data = place / entry.name, hidden or is_hidden(entry.name)
                if entry.is_dir():
                    folders.append((path, is_no_data))
                elif is_no_data:
                    left_out[HIDDEN] += looks_like_picture(path)
                elif not entry.is_file() and path.exists():
                    left_out[NO_FILE] += 1
                elif may_be_image(path) and (path.suffix or is_image_head(_head(path))):
                    found.append(path)
                else:
                    left_out[path.suffix.lower() or "without a suffix"] += 1
        for path, is_no_data in folders:
            walk(path, is_no_data)

    try:
        walk(folder, hidden=False)
    except OSError as error:
        raise UserError(f"cannot read the folder {error.filename}: {error.strerror}") from error
    return sorted(found), +left_out


def _head(path: Path) -> bytes:
    """The first bytes of a regular file; of a pipe or a device none, which could wait for ever."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""


def readable(path: object) -> str:
    """A path as text that can be printed and written; bytes that are no UTF-8 are taken for Latin-1."""
    return "".join(
        chr(ord(letter) - 0xDC00) if 0xDC80 <= ord(letter) <= 0xDCFF else letter
        for letter in str(path)
    )


def no_image(left_out: Counter[str]) -> str:
    """What to say where there is no picture: which suffixes are read, and what was there."""
    told = f"; it holds {in_words(left_out)}" if left_out else ""
    return f"holds no image ({' '.join(sorted(IMAGE_SUFFIXES))} are read{told})"


def in_words(left_out: Counter[str]) -> str:
    """What was left out, most of it first: "3 .txt, 1 hidden"."""
    return ", ".join(f"{count} {what}" for what, count in left_out.most_common())
