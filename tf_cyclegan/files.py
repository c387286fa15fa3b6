"""Files and folders that appear whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import UserError


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write a file or folder to; it is renamed when all went well.

    Raises:
        UserError: The disk is full, read-only or otherwise refuses.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    with disk_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield beside
            if path.is_dir():
                old = path.with_name(f".{path.name}.{os.getpid()}.old")
                path.rename(old)
                beside.rename(path)
                shutil.rmtree(old)
            else:
                beside.replace(path)
        finally:
            if beside.is_dir():
                shutil.rmtree(beside)
            else:
                beside.unlink(missing_ok=True)


def write_file(path: Path, content: bytes | str) -> None:
    """Write a file whole or not at all."""
    with writing(path) as beside:
        beside.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system says against writing `path` into a sentence."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}; "
            "make room or choose another place, and run the command again"
        ) from error
