"""What is said of a path that is not there."""

import pytest

from tf_cyclegan.paths import missing


@pytest.fixture
def home(tmp_path, monkeypatch):
    (tmp_path / "my" / "Photos").mkdir(parents=True)
    (tmp_path / "my" / "Gemälde").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "question"),
    [
        ("my/Fotos", "; did you mean my/Photos?"),
        ("my/photos", "; did you mean my/Photos?"),
        ("my/Gemalde", "; did you mean my/Gemälde?"),
        ("mmy/Photos", "; did you mean my/Photos?"),
        ("myy/horses", "; did you mean my?"),
        ("my/zebras", ""),
        ("elsewhere/at/all", ""),
    ],
)
def test_what_is_written_most_like_it_is_named(home, path, question):
    assert missing("folder", path) == f"there is no folder {path} in {home}{question}"


def test_where_a_path_begins_is_said_of_those_that_do_not_say_it(home):
    there = home / "my"
    question = f"; did you mean {there / 'Photos'}?"
    assert missing("file", there / "Photo") == f"there is no file {there / 'Photo'}{question}"
