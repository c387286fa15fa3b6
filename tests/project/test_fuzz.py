import re
from collections import Counter
from importlib import import_module

import numpy as np
import pytest

from tests.fuzz import pictures, runner
from tests.fuzz.__main__ import KINDS, MARKED, PAGE
from tf_cyclegan.data.carried import read_carried
from tf_cyclegan.data.decode import decode_image
from tf_cyclegan.translation.picture_file import Picture, encode_picture
from tf_cyclegan.translation.targets import KINDS as KINDS_OF_FILES

COUNTS = {"pictures": 390, "zips": 390, "checkpoints": 600, "runs": 60, "studies": 120}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", KINDS)
def test_damaged_files_are_read_or_refused(name, tmp_path):
    kind = import_module(f"tests.fuzz.{name}").KIND
    outcomes = Counter(
        runner.outcome_of(kind, files, tmp_path) for files in kind.mutants(COUNTS[name], seed=1)
    )
    assert set(outcomes) == {"read", "refused"}
    assert min(outcomes.values()) > COUNTS[name] / 20


@pytest.mark.filterwarnings("ignore")
def test_damage_beside_the_picture_costs_no_picture():
    names = [name for name in pictures.originals() if name in ("jpeg", "png", "webp")]
    whole = {decode_image(pictures.originals()[name]).tobytes() for name in names}
    for data in pictures.metadata_mutants(300, seed=1):
        decode_image(data)
        carried = read_carried(data)  # whatever is left of it can be written
        picture = Picture(np.zeros([8, 8, 3], np.uint8), carried=carried)
        for suffix in (".jpg", ".tif"):
            encode_picture(picture, KINDS_OF_FILES[suffix])
        # A damaged profile may be one of other colours.
        image = np.asarray(decode_image(data, keep_colour_space=True))
        # It lies, stands or is mirrored, as far as the orientation can be read.
        ways = [np.rot90(image, turns) for turns in range(4)]
        ways += [way[:, ::-1] for way in ways]
        assert any(way.tobytes() in whole for way in ways)


@pytest.mark.parametrize("name", ["pictures", "zips", "checkpoints"])
def test_the_damage_follows_from_the_seed(name):
    mutants = import_module(f"tests.fuzz.{name}").KIND.mutants
    once, again, other = (list(mutants(30, seed)) for seed in (3, 3, 4))
    assert once == again != other


def test_the_runner_notices(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "MOST_SECONDS", 1.5)
    monkeypatch.setattr(runner, "MOST_BYTES", 2**27)
    result = runner.fuzz("tests.fuzz.misbehaving", 8, 0, tmp_path)
    assert result.outcomes == {"read": 2, "refused": 2}
    words = (r"KeyError", r"took 0\.\d+ GiB", r"took 1\.\d s", r"the process died \(3\)")
    for escape, word in zip(result.escapes, words, strict=True):
        assert re.search(word, escape)
    kept = sorted(path.read_bytes() for path in tmp_path.rglob("deed"))
    assert kept == [b"die", b"grow", b"raise", b"work"]


def test_the_runner_does_not_wait_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "PATIENCE", 2)
    result = runner.fuzz("tests.fuzz.misbehaving", 1, 1, tmp_path)
    assert not result.outcomes and "did not end within 2 s" in result.escapes[0]


def test_the_page_has_the_last_results_with_their_date():
    results = MARKED.search(PAGE.read_text())[0]
    for name in KINDS:
        about = re.escape(import_module(f"tests.fuzz.{name}").KIND.about)
        when = r"20\d\d-\d\d-\d\d, seed \d+"
        row = re.search(rf"^\| {about} \| ([\d,]+) \| .* \| {when} \|$", results, re.MULTILINE)
        assert int(row[1].replace(",", "")) >= 10_000
