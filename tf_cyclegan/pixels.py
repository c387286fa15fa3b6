"""What the samples of a domain are, and how they become [-1, 1] and samples again."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .errors import UserError

TYPES = (
    *("uint8", "int8", "uint16", "int16", "uint32", "int32"),
    *("float16", "float32", "float64"),
)
NAMED_CHANNELS = {"grey": 1, "rgb": 3}


@dataclass(frozen=True)
class PixelFormat:
    """The pixels of a domain: how many channels, of which type, and which values become -1 and 1.

    Attributes:
        channels: Samples of a pixel.
        dtype: NumPy's name of their type, one of `TYPES`.
        low: The value that becomes -1.
        high: The value that becomes 1.
    """

    channels: int = 3
    dtype: str = "uint8"
    low: float = 0.0
    high: float = 255.0

    def __str__(self):
        """The line that says what a domain is: "1 channel, 16 bits, 12 to 4071"."""
        channels = f"{self.channels} channel{'s' if self.channels > 1 else ''}"
        type_ = np.dtype(self.dtype)
        bits = f"{8 * type_.itemsize} bits"
        kind = {"u": bits, "i": f"{bits} signed", "f": f"{bits} floating"}[type_.kind]
        return f"{channels}, {kind}, {self.low:.10g} to {self.high:.10g}"

    @property
    def half(self) -> float:
        """Half of the range."""
        return (self.high - self.low) / 2

    @property
    def computes_in(self) -> str:
        """The type that is exact enough for its samples: float32, or float64 for those of 32 bits."""
        exact = np.can_cast(self.dtype, np.float32)
        return "float32" if exact else "float64"

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the largest value that samples made from [-1, 1] have."""
        low, high = self.low, self.high
        if np.dtype(self.dtype).kind != "f":
            type_ = np.iinfo(self.dtype)
            low, high = max(low, type_.min), min(high, type_.max)
        return low, high

    @property
    def takes_all(self) -> bool:
        """Whether no sample of the type lies outside the range."""
        type_ = np.dtype(self.dtype)
        if type_.kind == "f":
            return False
        return self.low <= np.iinfo(type_).min and self.high >= np.iinfo(type_).max

    def to_unit(self, samples: np.ndarray) -> np.ndarray:
        """Samples to float32 in [-1, 1]; those outside the range become its ends (see `outside`)."""
        samples = np.asarray(samples, self.computes_in)
        unit = ((samples - self._number(self.low)) / self._number(self.half) - 1).astype(np.float32)
        return unit if self.takes_all else np.clip(unit, -1, 1)

    def from_unit(self, images: np.ndarray) -> np.ndarray:
        """Images in [-1, 1] to samples of the type, rounded where it is one of whole numbers."""
        values = np.asarray(images, np.float32).astype(self.computes_in)
        values = (values + 1) * self._number(self.half) + self._number(self.low)
        if np.dtype(self.dtype).kind != "f":
            values = np.round(values)
        return np.clip(values, *self.limits).astype(self.dtype)

    def outside(self, samples: np.ndarray) -> int:
        """How many samples lie outside the range."""
        if self.takes_all:
            return 0
        return int(np.count_nonzero((samples < self.low) | (samples > self.high)))

    def _number(self, value: float) -> np.floating:
        return np.dtype(self.computes_in).type(value)

    def to_json(self) -> dict[str, Any]:
        """What `PixelFormat(**...)` takes."""
        return asdict(self)


RGB8 = PixelFormat()


def whole_range(dtype: str) -> tuple[float, float]:
    """The least and the largest value of a type of whole numbers."""
    info = np.iinfo(dtype)
    return float(info.min), float(info.max)


def parse_channels(name: str, channels: int | str) -> int:
    """A number of channels from rgb, grey or a number; `name` is the option that an error names."""
    if channels in NAMED_CHANNELS:
        return NAMED_CHANNELS[str(channels)]
    try:
        number = int(channels)
    except ValueError:
        number = 0
    if number < 1:
        raise UserError(
            f"--{name} is {channels!r}; it takes rgb, grey or a number of channels from 1 on"
        )
    return number


def parse_type(name: str, dtype: str) -> str:
    """A type of samples; `name` is the option that an error names."""
    if dtype not in TYPES:
        raise UserError(f"--{name} is {dtype!r}; it takes {', '.join(TYPES)}")
    return dtype


def parse_range(name: str, text: str) -> tuple[float, float]:
    """The values that become -1 and 1, from "LOW,HIGH"; `name` is the option that an error names."""
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        low = high = 0.0
    if not (np.isfinite([low, high]).all() and low < high):
        raise UserError(
            f"--{name} is {text!r}; it takes LOW,HIGH, two numbers of which the first is less: "
            f"--{name}=-1000,3000"
        )
    return low, high


def range_text(low: float, high: float) -> str:
    """What `parse_range` reads, of a range."""
    return ",".join(str(int(v)) if float(v).is_integer() else repr(float(v)) for v in (low, high))
