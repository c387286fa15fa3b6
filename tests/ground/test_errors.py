"""No word of a stranger reaches the terminal as a command to it."""

import pytest

from tf_cyclegan.errors import CannotWrite, UserError, printable
from tf_cyclegan.progress import ProgressLine, log

HOSTILE = "a\x1b]0;t\x07b\x9b2J\r\nc\u202ed\x7fe\udce9"
HARMLESS = r"a\x1b]0;t\x07b\x9b2J\r\nc\u202ed\x7fe\udce9"


def test_letters_of_all_languages_stay():
    text = "Übersetzung, 翻訳, перевод, صورة, 😀, œuvre (1).png"
    assert printable(text) == text


def test_what_moves_a_terminal_is_written_out():
    assert printable(HOSTILE) == HARMLESS
    for error in (UserError(f"{HOSTILE} is bad"), CannotWrite("x", HOSTILE)):
        assert HARMLESS in str(error) and str(error).isprintable()


@pytest.mark.parametrize("terminal", [False, True])
def test_lines_and_progress(capsys, monkeypatch, terminal):
    monkeypatch.setattr("tf_cyclegan.progress.console._force_terminal", terminal)
    log(HOSTILE)
    with ProgressLine(2, HOSTILE) as line:
        line.update(1, HOSTILE)
    said = capsys.readouterr().err
    assert HARMLESS in said
    for sign in ("\x1b]", "\x9b", "\u202e", "\x07"):
        assert sign not in said
