"""Files and folders that appear whole or not at all, also over a kill or a power cut."""

import ctypes
import errno
import functools
import os
import re
import shutil
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import CannotWrite, UserError
from .paths import from_home
from .progress import log

LONGEST_NAME = 200  # bytes of a name that others are made of; 255 are allowed
DAY = 86400  # seconds
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux's renameat2
LOCK = ".lock"
# What a killed process leaves: .NAME.PROCESS-MACHINE.part; earlier versions named no machine.
LEFTOVER = re.compile(r"\.(.+)\.(\d+)(?:-([0-9a-f]{8}))?\.(part|old)")


def check_writable(path: Path, folder: bool = False) -> None:
    """See, before any work is done, that `writing(path)` will find a place for a file or folder.

    Whether something is there that should be kept is for the caller to see.

    Args:
        path: What is to be written, as the user named it.
        folder: Whether it is a folder.

    Raises:
        UserError: It would take the place of something of the other kind, of a folder that cannot
            be replaced, or stand where nothing can be written.
    """
    target = place_of(path)
    if target.exists() and target.is_dir() != folder:
        kind, other = ("folder", "file") if folder else ("file", "folder")
        raise UserError(f"{path} should become a {kind} and is a {other}; choose another place")
    if target.is_dir():
        here = Path.cwd()
        if target == here or target in here.parents:
            raise UserError(
                f"{path} is the folder that this command runs in, or one around it, which cannot be "
                "replaced; name a new one inside it"
            )
        if os.path.ismount(target):
            raise UserError(
                f"{path} is where a disk is mounted, which cannot be replaced; name a new folder "
                "inside it"
            )
    check_around(path)


def check_around(path: Path) -> None:
    """See that a file or folder that is not there yet can be made.

    Args:
        path: What is to be made, as the user named it.

    Raises:
        UserError: What it would be in is no folder, or takes nothing new.
    """
    around = place_of(path).parent
    while not around.exists() and around != around.parent:
        around = around.parent
    if not around.is_dir():
        raise UserError(f"cannot write {path}: {around} is no folder; choose another place")
    if not os.access(around, os.W_OK | os.X_OK):
        raise UserError(
            f"cannot write {path}: {around} takes no new files; choose another place, or change who "
            "may write there"
        )


def place_of(path: Path) -> Path:
    """The absolute path that a path stands for: a link leads to what is written, and stays."""
    return Path(os.path.realpath(from_home(path)))


@contextmanager
def writing(path: Path, new: bool = False) -> Iterator[Path]:
    """Give a path beside `path` to write a file or folder to; it takes its place when all went well.

    It is on the disk before it has the name. What `path` was, a file or a folder, goes in the same
    moment where the system can exchange two names (Linux, but for some network disks). A link stays
    a link: what it points to is replaced.

    Args:
        path: What to write.
        new: What is written is a folder and replaces nothing but an empty one, not even what came
            while it was written.

    Raises:
        CannotWrite: The disk is full, read-only or otherwise refuses.
        UserError: It should be new, and something else has written it in the meantime.
    """
    named, path = path, place_of(path)
    beside, old = beside_of(path), beside_of(path, "old")
    with disk_errors(named):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _clean_once(path.parent)
            remove(beside)
            yield beside
            flush(beside)
            if new:
                _rename_to_new(beside, path, named)
            elif not (path.is_dir() and beside.is_dir()):
                beside.replace(path)
            elif not _exchange(beside, path):
                path.rename(old)
                beside.rename(path)
            flush_names(path.parent)
        finally:
            if old.exists() and not path.exists():
                old.rename(path)
            remove(beside)
            remove(old)


def _rename_to_new(beside: Path, path: Path, named: Path) -> None:
    try:
        beside.rename(path)  # which takes the place of an empty folder at most
    except OSError as error:
        if not path.exists():
            raise
        raise UserError(
            f"something else has written {named} in the meantime, and it stays as it is; choose "
            "another place"
        ) from error


def write_file(path: Path, content: bytes | str) -> None:
    """Write a file whole or not at all."""
    with writing(path) as beside:
        beside.write_bytes(content.encode() if isinstance(content, str) else content)


def append(path: Path, text: str, flushed: bool = False) -> None:
    """Add to the end of a file; where that fails the file is as it was.

    Args:
        path: Of the file.
        text: To add.
        flushed: Return when it is on the disk.

    Raises:
        CannotWrite: The disk is full, read-only or otherwise refuses.
    """
    with disk_errors(path), path.open("ab", buffering=0) as file:
        size, rest = file.seek(0, os.SEEK_END), text.encode()
        try:
            while rest:
                rest = rest[file.write(rest) :]
            if flushed:
                os.fsync(file.fileno())
        except BaseException:
            file.truncate(size)
            raise


def flush(path: Path) -> None:
    """Return when a file, or a folder with all that is in it, is on the disk."""
    if path.is_dir():
        for entry in path.iterdir():
            if not entry.is_symlink():
                flush(entry)
    flush_names(path)


def clean(folder: Path, all_ours: bool = False) -> None:
    """Put back or remove what killed processes left in a folder.

    Where a kill came between two renames, the old one gets its name back. What a process that still
    runs is writing stays; of processes on other machines, what has not changed for a day is taken
    for left.

    Args:
        folder: Not those in it.
        all_ours: Nobody else writes here, so that names as earlier versions gave them count too.

    Raises:
        CannotWrite: The system does not let it.
    """
    for entry in leftovers(folder):
        match = LEFTOVER.fullmatch(entry.name)
        assert match is not None, entry
        name, process, machine, kind = match.groups()
        if (machine or all_ours) and _is_gone(entry, int(process), machine):
            with disk_errors(entry):
                if kind == "old" and not (folder / name).exists():
                    entry.rename(folder / name)
                else:
                    remove(entry)


def leftovers(folder: Path) -> list[Path]:
    """What is in a folder under the names that `writing` gives to what is not done."""
    if not folder.is_dir():
        return []
    return [entry for entry in folder.iterdir() if LEFTOVER.fullmatch(entry.name)]


@contextmanager
def holding(folder: Path, work: str, way_out: str) -> Iterator[None]:
    """Hold a folder, which is made if need be, so that one process at a time does some work in it.

    The lock goes with the process that has it, however that ends. Where the file system has no locks,
    a line says that nobody watches.

    Args:
        folder: To work in.
        work: What the other one is, for the sentence: "training".
        way_out: What to do instead of waiting for its end: "choose another --run-dir".

    Raises:
        UserError: Another process holds the folder; it is named.
        CannotWrite: The disk is full, read-only or otherwise refuses.
    """
    path = folder / LOCK
    with disk_errors(path):
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        file = _locked(path, work, way_out)
    try:
        with disk_errors(path):
            file.truncate(0)
            file.write(f"{os.getpid()} {socket.gethostname()}\n".encode())
        yield
    finally:
        with file, suppress(OSError):
            path.unlink(missing_ok=True)
            if is_new and not any(folder.iterdir()):
                folder.rmdir()


def _locked(path: Path, work: str, way_out: str):
    """The lock's file, open and locked."""
    while True:
        file = path.open("a+b", buffering=0)
        try:
            _lock(file)
        except BlockingIOError:
            with file:
                file.seek(0)
                words = file.read(300).decode(errors="replace").split()
            who = f"process {words[0]} on {words[1]}" if len(words) == 2 else "another process"
            raise UserError(
                f"another {work} is at work in {path.parent} ({who}): wait until it ends, or {way_out}"
            ) from None
        except OSError as error:
            log(
                f"{path.parent} is on a file system without locks ({error.strerror}): see that no "
                f"other {work} writes to it"
            )
            return file
        # Who held it before may have removed the file after we opened it.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()


def _lock(file) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP)) from None
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system says against writing `path` into a sentence."""
    try:
        yield
    except OSError as error:
        raise CannotWrite(path, error.strerror or str(error)) from error


def beside_of(path: Path, kind: str = "part") -> Path:
    """Where to write what shall be `path`; `clean` removes it where this process was killed."""
    name = path.name
    if len(os.fsencode(name)) > LONGEST_NAME:  # what follows would make it longer than is allowed
        mark = f"~{zlib.crc32(os.fsencode(name)):08x}"
        while len(os.fsencode(name)) > LONGEST_NAME - len(mark):
            name = name[:-1]
        name += mark
    return path.with_name(f".{name}.{os.getpid()}-{_machine()}.{kind}")


def _machine() -> str:
    """A short name of this machine, for names of files."""
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _is_gone(entry: Path, process: int, machine: str | None) -> bool:
    """Whether the process that wrote `entry` has ended."""
    if machine not in (None, _machine()) or os.name == "nt":
        with suppress(FileNotFoundError):
            return time.time() - entry.lstat().st_mtime > DAY
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass
    return False


# Once a process and folder: a folder of 10,000 pictures is not listed for each of them.
_clean_once = functools.cache(clean)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange the names of two files or folders in one step; False where the system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):  # not Linux, or an old one
        return False
    renameat2.argtypes = (*(ctypes.c_int, ctypes.c_char_p) * 2, ctypes.c_uint)
    names = os.fsencode(one), os.fsencode(other)
    if renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):  # a file system that cannot
        return False
    raise OSError(number, os.strerror(number), str(other))


def flush_names(path: Path) -> None:
    """Return when a file itself, or which names a folder has, is on the disk."""
    is_folder = path.is_dir()
    if is_folder and os.name == "nt":  # has no such call for folders
        return
    # Windows flushes only what is open for writing.
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network disks have no such call for folders.
        if not is_folder or error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
