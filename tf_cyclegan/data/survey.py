"""What a domain's pictures are: read once, counted, and made one pixel format."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import UserError
from ..pixels import RGB8, PixelFormat, whole_range
from .picture import Picture


@dataclass(frozen=True)
class Wanted:
    """What settings say of a domain's pixels; what is None is as the files are.

    Attributes:
        domain: "x" or "y", as in the names of options.
        channels, dtype: See `PixelFormat`.
        limits: Its low and high.
    """

    domain: str = "x"
    channels: int | None = None
    dtype: str | None = None
    limits: tuple[float, float] | None = None

    @classmethod
    def exactly(cls, pixels: PixelFormat, domain: str = "x") -> "Wanted":
        """All of a format."""
        return cls(domain, pixels.channels, pixels.dtype, (pixels.low, pixels.high))

    def of(self, picture: Picture) -> PixelFormat:
        """The format that one picture is to have, its range left open."""
        dtype = self.dtype or picture.dtype
        return PixelFormat(self.channels or picture.channels, dtype, *(self.limits or (0.0, 1.0)))


COLOUR = Wanted.exactly(RGB8)


@dataclass
class Survey:
    """What was found in the pictures of a domain.

    Attributes:
        kinds: The first picture of each number of channels and type: its name.
        notes: How many pictures each thing was done to that their owner should know.
        low, high: The least and the largest sample.
        outside, samples: How many samples lie outside the range that was asked for, of how many.
    """

    kinds: dict[tuple[int, str], str] = field(default_factory=dict)
    notes: Counter[str] = field(default_factory=Counter)
    low: float = np.inf
    high: float = -np.inf
    outside: int = 0
    samples: int = 0

    def add(self, look: "Look", name: str) -> None:
        """Count one picture in."""
        self.kinds.setdefault((look.channels, look.dtype), name)
        self.notes.update(look.notes)
        self.low, self.high = min(self.low, look.low), max(self.high, look.high)
        self.outside += look.outside
        self.samples += look.samples

    def pixels(self, wanted: Wanted) -> PixelFormat:
        """The format of the domain.

        Raises:
            UserError: Its pictures differ, and no setting says what to make of them.
        """
        channels: dict[int, str] = {}
        types: dict[str, str] = {}
        for (number, dtype), name in self.kinds.items():
            channels.setdefault(number, name)
            types.setdefault(dtype, name)
        if len(types) > 1 and wanted.dtype is None:
            raise UserError(
                _differ(types, "samples of {}")
                + f"; pass --type-{wanted.domain} to make them alike, or give each type its own set"
            )
        dtype = wanted.dtype or next(iter(types))
        is_usual = set(types) == {"uint8"} and set(channels) <= {1, 3}  # grey among colour
        if len(channels) > 1 and wanted.channels is None and not is_usual:
            raise UserError(
                _differ(channels, "{} channels")
                + f"; pass --channels-{wanted.domain} to make them alike"
            )
        if wanted.limits is not None:
            low, high = wanted.limits
        elif np.dtype(dtype).itemsize == 1:
            low, high = whole_range(dtype)
        else:
            low, high = self.low, self.high
            if not low < high:
                raise UserError(
                    f"all samples of {wanted.domain.upper()} are {low:g}; pass "
                    f"--range-{wanted.domain}=LOW,HIGH, the values that become -1 and 1"
                )
        return PixelFormat(wanted.channels or max(channels), dtype, float(low), float(high))

    def lines(self, pixels: PixelFormat, wanted: Wanted) -> list[str]:
        """What to tell of the domain: what it is, and what was done to its pictures."""
        name = wanted.domain.upper()
        is_measured = wanted.limits is None and np.dtype(pixels.dtype).itemsize > 1
        how = " (as measured)" if is_measured else ""
        lines = [f"{name}: {pixels}{how}"]
        if self.outside:
            lines.append(
                f"{name}: {self.outside:,} of {self.samples:,} samples lie outside "
                f"{pixels.low:.10g} to {pixels.high:.10g} and are taken as its ends"
            )
        lines += [
            f"{name}: {count:,} {'pictures' if count > 1 else 'picture'}: {note}"
            for note, count in self.notes.items()
        ]
        return lines

    def to_json(self) -> dict[str, Any]:
        """What `from_json` takes."""
        kinds = [[*kind, name] for kind, name in self.kinds.items()]
        numbers = {name: getattr(self, name) for name in ("low", "high", "outside", "samples")}
        return {"kinds": kinds, "notes": dict(self.notes)} | numbers

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Survey":
        """A survey as `to_json` wrote it."""
        kinds = {
            (int(channels), str(dtype)): str(name) for channels, dtype, name in values["kinds"]
        }
        numbers = {name: values[name] for name in ("low", "high", "outside", "samples")}
        return cls(kinds, Counter(values["notes"]), **numbers)


@dataclass(frozen=True)
class Look:
    """What one picture of a domain is; see `Survey`."""

    channels: int
    dtype: str
    notes: Sequence[str] = ()
    low: float = np.inf
    high: float = -np.inf
    outside: int = 0
    samples: int = 0


def look_at(original: Picture, made: Picture, wanted: Wanted) -> Look:
    """Measure one picture.

    Args:
        original: As it is in its file.
        made: As it will be used.
        wanted: What the settings say.
    """
    low, high, outside, count = np.inf, -np.inf, 0, 0
    pixels = wanted.of(made)
    if wanted.limits is not None:
        outside, count = pixels.outside(made.samples), made.samples.size
    elif np.dtype(made.dtype).itemsize > 1:
        low, high = float(made.samples.min()), float(made.samples.max())
    notes = (*original.notes, *made.notes[len(original.notes) :])
    return Look(original.channels, original.dtype, notes, low, high, outside, count)


def _differ(found: Mapping[Any, str], what: str) -> str:
    (one, first), (other, second), *_ = found.items()
    return (
        f"pictures of one domain differ: {first} has {what.format(one)}, {second} "
        f"{what.format(other)}"
    )
