"""What goes into the demo's folder of uploads, and what can be read from it."""

import io
import os

import pytest

from tf_cyclegan.translation import uploads as uploads_module
from tf_cyclegan.translation.uploads import SMALLEST, NotAnUpload, TooMuch, Uploads


@pytest.fixture
def uploads(tmp_path):
    (tmp_path / "uploads").mkdir()
    return Uploads(tmp_path / "uploads")


def store(uploads, content=b"picture", name="a.png", client="a"):
    return uploads.store(client, io.BytesIO(content), name, len(content))


def test_an_upload_is_read_and_nothing_else(uploads, tmp_path):
    path = store(uploads, b"picture", "../../a b\0.PNG")
    assert path.name == "picture.png" and uploads.folder in path.parents
    assert uploads.read(str(path)) == b"picture" and uploads.holds(str(path))
    assert store(uploads, b"", "x.html").name == "picture"

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
    path = store(uploads, b"x" * 100)
    assert uploads.read(str(path)) == b"x" * 6


def test_a_client_keeps_so_much(uploads, monkeypatch):
    monkeypatch.setattr(uploads_module, "PER_CLIENT", 5 * SMALLEST)
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    of_others = store(uploads, client="b")
    paths = []
    for _ in range(5):
        paths.append(store(uploads))
        now += 10
    with pytest.raises(TooMuch, match="within a minute"):
        store(uploads)
    now = 71.0
    paths.append(store(uploads, b"x" * (SMALLEST + 1)))  # takes the place of two
    assert [path.exists() for path in paths] == [False, False, True, True, True, True]
    assert not paths[0].parent.exists()
    now = 3599.0
    store(uploads, client="c")
    assert of_others.exists()
    now = 3621.0
    store(uploads, client="c")
    assert not of_others.exists() and [path.exists() for path in paths[2:4]] == [False, True]


def test_uploads_that_come_at_once_are_limited(uploads, monkeypatch):
    monkeypatch.setattr(uploads_module, "COMING", 100)
    monkeypatch.setattr(uploads_module, "COMING_PER_CLIENT", 70)
    uploads.coming("a", 60)
    with pytest.raises(TooMuch, match="at the moment"):
        uploads.coming("a", 20)
    uploads.came("a", 20)
    with pytest.raises(TooMuch, match="at the moment"):
        uploads.coming("b", 60)
    uploads.came("a", 60)
    uploads.coming("c", 40)


def test_the_oldest_go_where_they_are_too_many(uploads, monkeypatch):
    monkeypatch.setattr(uploads_module, "IN_ALL", 10 * SMALLEST)
    result = uploads.folder / "image.png"
    result.write_bytes(b"x")
    os.utime(result, (0, 0))
    uploads.make_room(SMALLEST)
    paths = []
    for number in range(1, 10):
        paths.append(store(uploads))
        os.utime(paths[-1], (number, number))
    assert all(path.exists() for path in [result, *paths])
    paths.append(store(uploads))
    assert [path.exists() for path in [result, *paths]] == [False] * 6 + [True] * 5
    for _ in range(5):
        store(uploads)
    assert paths[-1].exists()
