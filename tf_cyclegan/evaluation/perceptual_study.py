"""The paper's perceptual study: who sees which pairs in which order, and the answers on disk.

Zhu et al. 2017, https://arxiv.org/abs/1703.10593, section 5.1.1: a participant sees pairs of a real
and a generated image, each for a second, and says which one was real; the first 10 are practice with
feedback, 40 count, all of one model.
"""

import json
import os
import secrets
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..files import disk_errors, write_file

SIDES = ("left", "right")


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


class OutOfTurn(Exception):
    """An answer to another pair than the one that was asked about."""


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
        is_other = not self.folder.is_dir() or (any(self.folder.iterdir()) and not path.is_file())
        if self.folder.exists() and is_other:
            raise UserError(f"{self.folder} exists and is no study; choose another --output")
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
        """Begin a session with a new participant, who judges the model with fewest so far."""
        with self._lock:
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
        with disk_errors(self._path), self._path.open("a") as file:
            file.write(json.dumps(dict(line) | {"time": round(time.time(), 3)}) + "\n")
            file.flush()
            os.fsync(file.fileno())


def read_protocol(folder: Path) -> dict:
    """The settings in a study's folder: those of `Protocol`, and "models".

    Raises:
        UserError: There is no study, or its file is damaged.
    """
    path = folder / "study.json"
    try:
        content = json.loads(path.read_text())
        if set(content) != {*Protocol.__dataclass_fields__, "models"}:
            raise ValueError("it has other entries")
        return content
    except OSError as error:
        raise UserError(f"there is no study in {folder}: cannot read {path}") from error
    except ValueError as error:
        raise UserError(f"{path} is not the study.json of a study: {error}") from error


def read_lines(folder: Path) -> list[dict]:
    """The lines of a study's answers.jsonl, without a last one that was cut off.

    Raises:
        UserError: A line is damaged.
    """
    path = folder / "answers.jsonl"
    text = path.read_text() if path.exists() else ""
    lines = []
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if line.endswith("\n"):
            try:
                lines.append(json.loads(line))
            except ValueError as error:
                raise UserError(f"line {number} of {path} is damaged; mend or remove it") from error
    return lines


def _shuffled(rng, names: Sequence[str], count: int) -> list[str]:
    """So many of the names in random order; none again before all have come."""
    rounds = [rng.permutation(len(names)) for _ in range(-(-count // len(names)))]
    return [names[i] for i in np.concatenate(rounds)[:count]]
