"""How much memory there is, and how a user says how much may be taken."""

import contextlib
import math
from pathlib import Path

import psutil

from ..errors import UserError


class NotEnoughMemory(UserError):
    """A picture that needs more memory than is allowed; smaller ones may not."""


def free_bytes() -> int:
    """Memory that this process may still take, of the machine or of the container that it runs in."""
    free = psutil.virtual_memory().available
    for used, most in (
        ("memory.current", "memory.max"),  # cgroup v2
        ("memory/memory.usage_in_bytes", "memory/memory.limit_in_bytes"),  # v1
    ):
        root = Path("/sys/fs/cgroup")
        with contextlib.suppress(OSError, ValueError):  # no container, or one without a limit
            free = min(free, int((root / most).read_text()) - int((root / used).read_text()))
    return max(free, 0)


def parse_memory(text: str) -> int:
    """Bytes from 2GB, 500MB or 1.5 GB.

    Raises:
        UserError: It is no such amount.
    """
    number, unit = text.strip().upper().replace(" ", "")[:-2], text.strip().upper()[-2:]
    factor = {"GB": 1e9, "MB": 1e6}.get(unit)
    try:
        amount = float(number) * factor if factor else 0.0
    except ValueError:
        amount = 0.0
    if not 0 < amount < math.inf:
        raise UserError(f"--memory {text}: it takes an amount such as 2GB or 500MB")
    return int(amount)
