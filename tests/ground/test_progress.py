"""Who waits for more than five seconds hears how far it is."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tf_cyclegan import progress
from tf_cyclegan.evaluation.distribution import sliced_wasserstein
from tf_cyclegan.evaluation.features import feature_metrics
from tf_cyclegan.evaluation.judge import judge
from tf_cyclegan.evaluation.page import evaluation_page
from tf_cyclegan.evaluation.translations import Translations


@pytest.fixture
def clock(monkeypatch):
    """A clock that only `clock.seconds = ...` moves; without a terminal."""

    class Clock:
        seconds = 0.0

    monkeypatch.setattr(progress.time, "monotonic", lambda: Clock.seconds)
    return Clock


def test_plain_lines_after_five_seconds_then_every_thirty(clock, capsys):
    told = {}
    with progress.ProgressLine(100, "reading") as line:
        for done in range(1, 101):
            clock.seconds = float(done)
            line.update(done, "images")
            text = capsys.readouterr().err
            if text:
                told[done] = text
    assert list(told) == [6, 37, 68, 99]
    assert told[6] == "reading 6/100 images, 1:34 to go\n"
    assert told[99] == "reading 99/100 images, 0:01 to go\n"


def test_short_work_says_nothing(clock, capsys):
    for second in progress.progress(range(5), 5, "reading"):
        clock.seconds = float(second)
    assert capsys.readouterr().err == ""


def test_every_long_part_of_an_evaluation_tells_how_far_it_is(monkeypatch, capsys):
    """On a machine so slow that whatever is told is due."""
    monkeypatch.setattr(progress, "QUIET_SECONDS", -1)
    monkeypatch.setattr(progress, "LOG_SECONDS", -1)
    images = np.random.default_rng(0).integers(0, 256, [9, 176, 176, 3], np.uint8)
    translations = Translations(list("abcdefghi"), images, images // 2, images, np.arange(9))
    metrics = {"sliced_wasserstein": sliced_wasserstein}
    metrics |= feature_metrics(lambda batch: batch.mean(axis=(1, 2)))
    result = judge(translations, metrics, what="measuring x_to_y")
    evaluation_page({"model": "m"}, {"x_to_y": result}, {"x_to_y": translations})
    told = capsys.readouterr().err
    for words in (
        "measuring x_to_y 0/16 sliced wasserstein",
        "measuring x_to_y 15/16 ms ssim",
        "sliced Wasserstein, pyramid 1/2",
        "sliced Wasserstein, level 4/4",
        "features, batch 1/1",
        "FID, root of a covariance 2/2",
        "KID, subset 100/100",
        "precision and recall, block 1/1",
        "comparing pairs, batch 1/1",
        "page, x_to_y 9/9",
    ):
        assert words in told, words


TALK = """
import pathlib, sys, time
from tf_cyclegan.progress import ProgressLine, log
log("ready")
sys.stdin.readline()
with ProgressLine(100, "step") as line:
    for done in range(10):
        line.update(done, "text")
        log("a line")
        time.sleep(0.05)
pathlib.Path(sys.argv[1]).write_text("done")
"""


@pytest.mark.parametrize("what", ["terminal", "pipe", "file on a full disk"])
def test_nobody_to_talk_to_ends_no_work(tmp_path, what):
    """The terminal is closed, or who reads the pipe has ended, or the log cannot grow."""
    if what == "terminal":
        ours, theirs = os.openpty()
    elif what == "pipe":
        ours, theirs = os.pipe()
    else:
        if not Path("/dev/full").exists():
            pytest.skip("this system has no /dev/full")
        ours, theirs = None, os.open("/dev/full", os.O_WRONLY)
    process = subprocess.Popen(
        [sys.executable, "-c", TALK, str(tmp_path / "done")],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2]), "TERM": "xterm"},
        stdin=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    if ours is not None:
        assert b"ready" in os.read(ours, 1000)
        os.close(ours)
    process.communicate(b"go on\n", timeout=300)
    assert (tmp_path / "done").read_text() == "done"
    if what != "file on a full disk":
        assert process.returncode == 0
