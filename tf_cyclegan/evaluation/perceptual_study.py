"""The paper's perceptual study: who sees which pairs in which order, and the answers on disk.

Zhu et al. 2017, https://arxiv.org/abs/1703.10593, section 5.1.1: a participant sees pairs of a real
and a generated image, each for a second, and says which one was real; the first 10 are practice with
feedback, 40 count, all of one model.
"""

import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..files import LOCK, append, leftovers, write_file
from ..local_server import parse_json

SIDES = ("left", "right")
MOST_PARTICIPANTS = 10_000  # far above any study; a program that begins sessions ends there


@dataclass(frozen=True)
class Protocol:
    """What all participants have in common.

    Attributes:
        real: Folder of the real images.
        image_size: Height and width that images are shown in.
        practice: Pairs with feedback, which do not count.
        trials: Pairs that count.
        seconds: For which a pair is shown.
    """

    real: str
    image_size: tuple[int, int]
    practice: int
    trials: int
    seconds: float


@dataclass(frozen=True)
class Trial:
    """A pair: the names of its images, and on which side the real one is."""

    real: str
    fake: str
    real_side: str


@dataclass
class Session:
    """A participant's pairs, all of one model, and how many have been answered."""

    participant: str
    number: int
    model: str
    trials: Sequence[Trial]
    answered: int = field(default=0)


# What is read from a study's files: the entries and their kinds.
PROTOCOL_ENTRIES = {
    "real": str,
    "image_size": list,
    "practice": int,
    "trials": int,
    "seconds": (int, float),
    "models": dict,
}
LINE_ENTRIES = {
    "begin": {"participant": str, "number": int, "model": str, "trials": list},
    "answer": {"participant": str, "model": str, "practice": bool, "fooled": bool},
}


class OutOfTurn(Exception):
    """An answer to another pair than the one that was asked about."""


class StudyFull(Exception):
    """There are as many participants as a study takes."""


class Study:
    """All sessions, in a folder that another process can go on with.

    Args:
        folder: Gets study.json, the protocol, and answers.jsonl, a line for every session begun and
            every answer given.
        protocol: The settings.
        models: Folders of generated images, by the model's name.
        real: The names of the real images.
        fake: The names of the generated images, by model.
        seed: Of the pairs, their order and sides.

    Raises:
        UserError: The folder holds something else, or a study with another protocol.
    """

    def __init__(
        self,
        folder: Path,
        protocol: Protocol,
        models: Mapping[str, str],
        real: Sequence[str],
        fake: Mapping[str, Sequence[str]],
        seed: int = 0,
    ):
        self.folder, self.protocol, self._seed = folder, protocol, seed
        self._real, self._fake = real, fake
        self._path = folder / "answers.jsonl"
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._begun = Counter(dict.fromkeys(fake, 0))
        self._number = 0  # of sessions, those of models that are no longer asked about too
        self._write_protocol(dict(models))
        lines = read_lines(folder)
        # Without a last one that was cut off, to which the next would be glued.
        write_file(self._path, "".join(json.dumps(line) + "\n" for line in lines))
        for line in lines:
            self._take_up(line)

    def _write_protocol(self, models: dict[str, str]):
        path = self.folder / "study.json"
        refuse_other_folder(self.folder)
        now = json.loads(json.dumps(asdict(self.protocol))) | {"models": models}
        if path.is_file():
            before = read_protocol(self.folder)
            differing = [
                f"{name.replace('_', '-')} (was {before[name]}, now {now[name]})"
                for name in asdict(self.protocol)
                if before[name] != now[name]
            ]
            differing += [
                f"the folder of {name} (was {before['models'][name]}, now {models[name]})"
                for name in models
                if before["models"].get(name, models[name]) != models[name]
            ]
            if differing:
                raise UserError(
                    f"{self.folder} holds answers to another study: {', '.join(differing)}; "
                    "choose another --output"
                )
            now["models"] = before["models"] | models
        write_file(path, json.dumps(now, indent=2) + "\n")

    def _take_up(self, line: Mapping):
        """Go on with a session that another process began, if its images are still there."""
        self._number += line["event"] == "begin"
        if line["model"] not in self._fake:
            return
        if line["event"] == "begin":
            self._begun[line["model"]] += 1
            trials = [Trial(*trial) for trial in line["trials"]]
            if {t.real for t in trials} <= set(self._real) and {t.fake for t in trials} <= set(
                self._fake[line["model"]]
            ):
                self._sessions[line["participant"]] = Session(
                    line["participant"], line["number"], line["model"], trials
                )
        elif line["participant"] in self._sessions:
            self._sessions[line["participant"]].answered += 1

    def session(self, participant: str | None) -> Session | None:
        """The session of a participant."""
        return self._sessions.get(participant or "")

    def begin(self) -> Session:
        """Begin a session with a new participant, who judges the model with fewest so far.

        Raises:
            StudyFull: There are `MOST_PARTICIPANTS`.
            UserError: The disk is full.
        """
        with self._lock:
            if self._number >= MOST_PARTICIPANTS:
                raise StudyFull
            model = min(self._begun, key=lambda name: self._begun[name])
            number = self._number
            session = Session(secrets.token_hex(16), number, model, self._draw(number, model))
            self._append(
                {
                    "event": "begin",
                    "participant": session.participant,
                    "number": number,
                    "model": model,
                    "trials": [[t.real, t.fake, t.real_side] for t in session.trials],
                }
            )
            self._number += 1
            self._begun[model] += 1
            self._sessions[session.participant] = session
        return session

    def _draw(self, number: int, model: str) -> list[Trial]:
        count = self.protocol.practice + self.protocol.trials
        rng = np.random.default_rng([self._seed, number])
        real, fake = (_shuffled(rng, names, count) for names in (self._real, self._fake[model]))
        sides = rng.integers(0, 2, count)
        return [
            Trial(r, f, SIDES[side]) for r, f, side in zip(real, fake, sides.tolist(), strict=True)
        ]

    def answer(
        self, session: Session, place: int, chosen: str, shown_ms: float, answer_ms: float
    ) -> bool:
        """Store what a participant said; when this returns it is on disk.

        Args:
            session: The participant's.
            place: Of the pair, from 0 on.
            chosen: "left" or "right", the side that was taken for the real one.
            shown_ms: How long the pair was on the screen.
            answer_ms: From when it disappeared to the answer.

        Returns:
            Whether it is right.

        Raises:
            OutOfTurn: Another pair is the next.
            UserError: The disk is full.
        """
        with self._lock:
            if place != session.answered or place >= len(session.trials):
                raise OutOfTurn
            trial = session.trials[place]
            self._append(
                {
                    "event": "answer",
                    "participant": session.participant,
                    "model": session.model,
                    "place": place,
                    "practice": place < self.protocol.practice,
                    **asdict(trial),
                    "chosen": chosen,
                    "fooled": chosen != trial.real_side,
                    "shown_ms": shown_ms,
                    "answer_ms": answer_ms,
                }
            )
            session.answered += 1
        return chosen == trial.real_side

    def _append(self, line: Mapping):
        content = json.dumps(dict(line) | {"time": round(time.time(), 3)})
        append(self._path, content + "\n", flushed=True)


def refuse_other_folder(folder: Path) -> None:
    """See that a folder holds a study or nothing.

    Raises:
        UserError: It holds something else, or is a file.
    """
    if not folder.exists():
        return
    if folder.is_dir():
        unfinished = {folder / LOCK, *leftovers(folder)}
        if (folder / "study.json").is_file() or not set(folder.iterdir()) - unfinished:
            return
    raise UserError(f"{folder} exists and is no study; choose another --output")


def read_protocol(folder: Path) -> dict:
    """The settings in a study's folder: those of `Protocol`, and "models".

    Raises:
        UserError: There is no study, or its file is damaged.
    """
    path = folder / "study.json"
    try:
        content = parse_json(path.read_bytes())
        _check_entries(content, PROTOCOL_ENTRIES)
        if set(content) != set(PROTOCOL_ENTRIES):
            raise ValueError("it has other entries")
        if [type(side) for side in content["image_size"]] != [int, int]:
            raise ValueError("image_size is not a height and a width")
        if not all(isinstance(value, str) for value in content["models"].values()):
            raise ValueError("models are not names and folders")
        return content
    except OSError as error:
        raise UserError(f"there is no study in {folder}: cannot read {path}") from error
    except ValueError as error:
        raise UserError(
            f"{path} is not the study.json of a study ({error}); choose another --output"
        ) from error


def read_lines(folder: Path) -> list[dict]:
    """The lines of a study's answers.jsonl, without a last one that was cut off.

    Raises:
        UserError: A line is damaged.
    """
    path = folder / "answers.jsonl"
    content = path.read_bytes() if path.exists() else b""
    lines = []
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        try:
            lines.append(_checked_line(line))
        except ValueError as error:
            raise UserError(
                f"line {number} of {path} is damaged ({error}); mend or remove it"
            ) from error
    return lines


def _checked_line(content: bytes) -> dict:
    line = parse_json(content)
    _check_entries(line, {"event": str})
    if line["event"] not in LINE_ENTRIES:
        raise ValueError('its event is neither "begin" nor "answer"')
    _check_entries(line, LINE_ENTRIES[line["event"]])
    for trial in line.get("trials", []):
        if not isinstance(trial, list) or [type(entry) for entry in trial] != [str, str, str]:
            raise ValueError("its trials are not two images and a side each")
    return line


def _check_entries(content, types: Mapping[str, type | tuple]) -> None:
    if not isinstance(content, dict):
        raise ValueError("it is no JSON object")
    for name, kind in types.items():
        # To Python a truth value is a number.
        value = content.get(name)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ValueError(f"{name} is missing or of another kind")


def _shuffled(rng, names: Sequence[str], count: int) -> list[str]:
    """So many of the names in random order; none again before all have come."""
    rounds = [rng.permutation(len(names)) for _ in range(-(-count // len(names)))]
    return [names[i] for i in np.concatenate(rounds)[:count]]
