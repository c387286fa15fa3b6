import errno
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tf_cyclegan import files
from tf_cyclegan.errors import CannotWrite, UserError
from tf_cyclegan.files import append, check_writable, clean, holding, write_file, writing

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def gone():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_folder(path, text):
    with writing(path) as beside:
        beside.mkdir()
        (beside / "file").write_text(text)


def run_python(script, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        text=True,
        **options,
    )


@pytest.fixture(params=["in one step", "by two renames"])
def way(request, monkeypatch):
    if request.param == "by two renames":
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    return request.param


def test_a_folder_is_replaced_and_nothing_else_is_left(tmp_path, way):
    write_folder(tmp_path / "x", "old")
    write_folder(tmp_path / "x", "new")
    assert (tmp_path / "x" / "file").read_text() == "new"
    with pytest.raises(ZeroDivisionError), writing(tmp_path / "x") as beside:
        beside.mkdir()
        (beside / "file").write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "x" / "file").read_text() == "new"
    assert names(tmp_path) == ["x"]


def test_at_no_moment_neither_the_old_nor_the_new_is_there(tmp_path):
    """Another process looks on while this one replaces a folder."""
    write_folder(tmp_path / "x", "0")
    watcher = run_python(
        "import pathlib, sys\n"
        "path, end = map(pathlib.Path, sys.argv[1:])\n"
        "print('looking', flush=True)\n"
        "looks = 0\n"
        "while not end.exists():\n"
        "    path.joinpath('file').read_text()\n"
        "    looks += 1\n"
        "print(looks)\n",
        tmp_path / "x",
        tmp_path / "end",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    watcher.stdout.readline()
    for number in range(300):
        write_folder(tmp_path / "x", str(number))
    (tmp_path / "end").touch()
    looks, errors = watcher.communicate(timeout=120)
    if not files._exchange(tmp_path / "x", tmp_path / "x"):
        pytest.skip("this file system cannot exchange two names")
    assert watcher.returncode == 0, errors
    assert int(looks) > 0


def test_where_the_system_cannot_exchange_a_failure_keeps_the_old_one(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    write_folder(tmp_path / "x", "old")
    rename = Path.rename

    def fail_at_the_second(self, target):
        if self.name.endswith(".part"):
            raise OSError(errno.EIO, "input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_at_the_second)
    with pytest.raises(CannotWrite, match=r"cannot write .*/x: input/output error"):
        write_folder(tmp_path / "x", "new")
    assert (tmp_path / "x" / "file").read_text() == "old"
    assert names(tmp_path) == ["x"]


def test_what_killed_processes_left_is_put_back_or_removed(tmp_path, gone):
    machine = files._machine()
    for name in (f".kept.{gone}-{machine}.part", f".lost.{gone}-{machine}.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    (tmp_path / f".kept.{gone}-{machine}.old").write_text("")
    (tmp_path / "kept").mkdir()
    theirs = f".x.{gone}-00000000.part"  # of another machine, where it may still run
    alive = f".x.{os.getppid()}-{machine}.part"
    before = f".x.{gone}.part"  # of an earlier version, or of another program
    for name in (theirs, alive, before, ".y.part"):
        (tmp_path / name).write_text("")
    clean(tmp_path)
    assert names(tmp_path) == sorted(["kept", "lost", theirs, alive, before, ".y.part"])
    assert (tmp_path / "lost" / "file").read_text() == f".lost.{gone}-{machine}.old"
    os.utime(tmp_path / theirs, (time.time() - 2 * files.DAY,) * 2)
    clean(tmp_path, all_ours=True)
    assert names(tmp_path) == sorted(["kept", "lost", alive, ".y.part"])


def test_writing_cleans_up_first(tmp_path, gone):
    (tmp_path / f".x.{gone}-{files._machine()}.part").write_text("")
    write_file(tmp_path / "x", "x")
    assert names(tmp_path) == ["x"]


def test_what_counts_is_on_the_disk(tmp_path, monkeypatch):
    """Every file and folder written is flushed before it has its name, and then the folder it is in."""
    flushed = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(
        os, "fsync", lambda file: (flushed.append(os.fstat(file).st_ino), fsync(file))
    )
    monkeypatch.setattr(
        Path, "replace", lambda self, to: (flushed.append("named"), replace(self, to))[1]
    )
    write_folder(tmp_path / "x", "x")
    inodes = [path.stat().st_ino for path in (tmp_path / "x" / "file", tmp_path / "x", tmp_path)]
    assert flushed == [*inodes[:2], "named", inodes[2]]


def test_what_cannot_be_added_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "log"
    append(path, "one\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
        with pytest.raises(CannotWrite, match=f"cannot write {path}"):
            append(path, "two, which does not fit\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_text() == "one\n"
    append(path, "three\n")
    assert path.read_text() == "one\nthree\n"


HOLD = """
import sys, time, pathlib
from tf_cyclegan.files import holding
with holding(pathlib.Path(sys.argv[1]), "training", "choose another"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_one_process_holds_a_folder_until_it_ends_however_it_ends(tmp_path):
    folder = tmp_path / "run"
    process = run_python(HOLD, folder, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == "held\n"
        with (
            pytest.raises(UserError, match=rf"another training .*process {process.pid} on .*other"),
            holding(folder, "training", "choose another"),
        ):
            pass
    finally:
        process.kill()
        process.communicate()
    with holding(folder, "training", "choose another"):
        assert names(folder) == [".lock"]
        with pytest.raises(UserError, match=str(os.getpid())), holding(folder, "x", "y"):
            pass
        assert names(folder) == [".lock"]
    assert not list(folder.iterdir())


def test_a_folder_made_only_to_be_held_goes_again(tmp_path):
    with holding(tmp_path / "new", "training", "choose another"):
        pass
    assert not (tmp_path / "new").exists()


def test_a_file_system_without_locks_is_told_of(tmp_path, monkeypatch, capsys):
    def no_locks(_file):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(files, "_lock", no_locks)
    with holding(tmp_path, "training", "choose another"):
        pass
    assert "without locks (no locks available): see that no other training" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("name", [".", "..", "inside", "inside/..", "link"])
def test_the_folder_that_a_command_runs_in_is_not_replaced(tmp_path, monkeypatch, name):
    (tmp_path / "here" / "inside").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    path = tmp_path / "link" if name == "link" else Path(name)
    if name == "inside":
        check_writable(path, folder=True)
    else:
        with pytest.raises(UserError, match=f"{path} is the folder that this command runs in"):
            check_writable(path, folder=True)
    check_writable(path / "new", folder=True)


def test_a_place_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("text")
    (tmp_path / "closed").mkdir()
    with pytest.raises(UserError, match="file should become a folder and is a file"):
        check_writable(tmp_path / "file", folder=True)
    with pytest.raises(UserError, match="closed should become a file and is a folder"):
        check_writable(tmp_path / "closed")
    with pytest.raises(UserError, match=f"cannot write .*/new: {tmp_path}/file is no folder"):
        check_writable(tmp_path / "file" / "a" / "new")
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "closed")  # root may always
    with pytest.raises(UserError, match=f"{tmp_path}/closed takes no new files"):
        check_writable(tmp_path / "closed" / "a" / "new")
    monkeypatch.setattr(os.path, "ismount", lambda path: path.name == "closed")
    with pytest.raises(UserError, match="closed is where a disk is mounted"):
        check_writable(tmp_path / "closed", folder=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["closed", "file"]


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path, way, kind):
    place, link = tmp_path / "place" / "old", tmp_path / "link"
    link.symlink_to(place)  # at first to nothing, then to what was written before
    for content in ("one", "two"):
        check_writable(link, folder=kind == "folder")
        if kind == "file":
            write_file(link, content)
        else:
            with writing(link) as beside:
                beside.mkdir()
                (beside / "file").write_text(content)
        written = place if kind == "file" else place / "file"
        assert link.is_symlink() and written.read_text() == content
    assert [path.name for path in place.parent.iterdir()] == ["old"]


def test_what_came_while_a_new_folder_was_written_stays(tmp_path):
    path = tmp_path / "new"
    path.mkdir()  # an empty one may be there
    with writing(path, new=True) as beside:
        beside.mkdir()
        (beside / "file").write_text("first")
    words = f"something else has written {path} in the meantime"
    with pytest.raises(UserError, match=words), writing(path, new=True) as beside:
        beside.mkdir()
        (beside / "file").write_text("second")
    assert (path / "file").read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_never_replaced_by_a_file(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "kept").touch()
    with pytest.raises(UserError, match="cannot write"):
        write_file(tmp_path / "folder", "text")
    assert (tmp_path / "folder" / "kept").exists()


@pytest.mark.parametrize("letter", ["a", "\u00fc", "\u6f22"])
def test_names_as_long_as_are_allowed(letter, tmp_path):
    """Two that differ at their ends alone are written at the same time."""
    stem = letter * (250 // len(letter.encode()))
    first, second = (tmp_path / f"{stem}{end}.b" for end in "12")
    with files.writing(first) as one, files.writing(second) as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert (first.read_text(), second.read_text()) == ("one", "other")
    assert len(list(tmp_path.iterdir())) == 2
    files.beside_of(first).write_text("left by a process that was killed")
    files.beside_of(first).rename(str(files.beside_of(first)).replace(str(os.getpid()), "99999999"))
    files.clean(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
