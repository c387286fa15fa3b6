"""What goes into the demo's folder of uploads, and what can be read from it."""

import io
import os

import pytest

from tf_cyclegan.translation import uploads as uploads_module
from tf_cyclegan.translation.uploads import NotAnUpload, TooMuch, Uploads


@pytest.fixture
def uploads(tmp_path):
    (tmp_path / "uploads").mkdir()
    return Uploads(tmp_path / "uploads")


def test_an_upload_is_read_and_nothing_else(uploads, tmp_path):
    path = uploads.store(io.BytesIO(b"picture"), "../../a b\0.PNG")
    assert path.name == "picture.png" and uploads.folder in path.parents
    assert uploads.read(str(path)) == b"picture" and uploads.holds(str(path))
    assert uploads.store(io.BytesIO(b""), "x.html").name == "picture"

    own = path.parent
    (tmp_path / "secret").write_bytes(b"secret")
    (own / "link").symlink_to(tmp_path / "secret")
    (own / "to_itself").symlink_to(own / "to_itself")
    (own / "inside").symlink_to(path)
    (own.parent / "linked").symlink_to(tmp_path)
    (own / "folder").mkdir()
    names = ["link", "to_itself", "inside", "folder", "missing", "picture.png/", "picture.png\0"]
    names += ["picture.png/x", "./picture.png", "x" * 5000, "../" + own.name + "/picture.png"]
    paths = [f"{own}/{name}" for name in names]
    paths += [
        str(tmp_path / "secret"),
        "/dev/zero",
        "/etc/shadow",
        "",
        ".",
        "\udcff",
        "picture.png",
    ]
    paths += [f"{own.parent}/linked/secret", str(own), str(uploads.folder)]
    if hasattr(os, "mkfifo"):
        os.mkfifo(own / "pipe")
        paths.append(str(own / "pipe"))
    words = set()
    for wrong in paths:
        with pytest.raises(NotAnUpload) as told:
            uploads.read(wrong)
        words.add(str(told.value))
        assert not uploads.holds(wrong), wrong
    assert len(words) == 1


def test_results_are_served_but_not_read(uploads):
    result = uploads.folder / "hash" / "image.png"
    result.parent.mkdir()
    result.write_bytes(b"result")
    assert uploads.holds(str(result))
    with pytest.raises(NotAnUpload):
        uploads.read(str(result))


def test_no_more_is_read_than_an_upload_may_have(uploads, monkeypatch):
    monkeypatch.setattr(uploads_module, "MAX_BYTES", 5)
    path = uploads.store(io.BytesIO(b"x" * 100), "a.png")
    assert uploads.read(str(path)) == b"x" * 6


def test_one_client_uploads_so_much_an_hour(uploads, monkeypatch):
    monkeypatch.setattr(uploads_module, "PER_CLIENT", 1000)
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    for _ in range(100):
        uploads.arriving("a", 10)
        uploads.arrived(10)
    with pytest.raises(TooMuch, match="within an hour"):
        uploads.arriving("a", 10)
    uploads.arriving("b", 10)
    now = 3601.0
    uploads.arriving("a", 1000)
    with pytest.raises(TooMuch):
        uploads.arriving("a", 1)


def test_many_small_parts_are_few_entries(uploads, monkeypatch):
    monkeypatch.setattr(uploads_module, "PER_CLIENT", 5000)
    for _ in range(5000):
        uploads.arriving("a", 1)
    assert len(uploads._of_client["a"]) <= 1001
    with pytest.raises(TooMuch):
        uploads.arriving("a", 1)


def test_uploads_that_arrive_at_once_are_limited(uploads, monkeypatch):
    monkeypatch.setattr(uploads_module, "ARRIVING", 100)
    uploads.arriving("a", 60)
    with pytest.raises(TooMuch, match="at the moment"):
        uploads.arriving("b", 60)
    uploads.arrived(60)
    uploads.arriving("c", 40)


def test_the_oldest_go_where_they_are_too_many(uploads, monkeypatch):
    monkeypatch.setattr(uploads_module, "IN_ALL", 1000)
    paths = []
    for number in range(10):
        paths.append(uploads.store(io.BytesIO(b"x" * 100), "a.png"))
        os.utime(paths[-1], (number, number))
    assert all(path.exists() for path in paths)
    newest = uploads.store(io.BytesIO(b"x" * 100), "a.png")
    assert [path.exists() for path in [*paths, newest]] == [False] * 6 + [True] * 5
