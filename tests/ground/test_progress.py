"""Who waits for more than five seconds hears how far it is."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

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
    assert told[6] == "reading 6/100, images, 1:34 to go\n"
    assert told[99] == "reading 99/100, images, 0:01 to go\n"


def test_short_work_says_nothing(clock, capsys):
    for second in progress.progress(range(5), 5, "reading"):
        clock.seconds = float(second)
    assert capsys.readouterr().err == ""


def test_what_is_left_is_known_from_the_second_step_and_without_the_tracing(clock):
    with progress.ProgressLine(102, "step", done=2) as line:
        assert line.seconds_left is None
        clock.seconds = 40.0
        line.update(3, counts=False)  # traced
        assert line.seconds_left is None
        clock.seconds = 48.0
        line.update(4)
        assert line.seconds_left == 98 * 8
        clock.seconds = 51.0
        assert line.seconds_left == 98 * 8 - 3  # it goes on between two steps
        clock.seconds = 76.0
        line.update(4, counts=False)  # something else was traced
        assert line.seconds_left == 98 * 8


def test_the_speed_is_that_of_the_last_minutes(clock):
    with progress.ProgressLine(10_000, "step") as line:
        for done in range(1, 1001):
            clock.seconds += 0.1 if done <= 500 else 1.0
            line.update(done)
        assert line.seconds_left == pytest.approx(9000)
        for done in range(1001, 1004):  # steps longer than those minutes
            clock.seconds += 1000
            line.update(done)
        assert line.seconds_left == pytest.approx(8997 * 1000)


@pytest.mark.parametrize(
    ("width", "seconds", "shown"),
    [
        (60, 0.1, "step 3/20000, 33:20 to go, epoch 2"),
        (60, 8.0, "step 3/20000, 44:26:16 to go, epoch 2"),
        (80, 8.0, "step 3/20000, 44:26:16 to go, epoch 2, cycle 0.112/0.098"),
        (30, 8.0, "step 3/20000, 44:26:16 to go"),
    ],
)
def test_on_a_terminal_whole_words_and_the_time_left(clock, monkeypatch, width, seconds, shown):
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    monkeypatch.setattr(progress, "console", console)
    line = progress.ProgressLine(20_000, "step")
    for done in (1, 2, 3):
        clock.seconds += seconds
        line.update(done, "epoch 2, cycle 0.112/0.098, identity 0.050/0.061")
    with console.capture() as capture:
        console.print(line._line())
    printed = capture.get().rstrip()
    assert len(printed) <= width
    assert printed.replace(" " * (progress.BAR_WIDTH + 1), "") == shown  # no bar without colours


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
        "measuring x_to_y 0/16, sliced wasserstein",
        "measuring x_to_y 15/16, ms ssim",
        "sliced Wasserstein, pyramid 1/2",
        "sliced Wasserstein, repeat 4/4",
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
