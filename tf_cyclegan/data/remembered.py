"""What was found in the files of a domain, remembered until they change.

Reading every picture of a large set takes hours, and what is found is a few lines. They are kept
beside the cache of published weights, tf_cyclegan/checked in $XDG_CACHE_HOME (default: ~/.cache), under
a sum of the names, sizes and times of all files and of how they were read.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ..errors import CannotWrite
from ..files import write_file
from .sources import Domain
from .survey import Survey, Wanted

FORMAT = 2  # of what is written here, and of how files are read


def fingerprint(domain: Domain, wanted: Wanted, how: Sequence[object]) -> str | None:
    """A sum of a domain's files, by name, size and time, and of how they are read.

    Args:
        domain: Of pictures.
        wanted: What they are to be.
        how: All else that what is found depends on.

    Returns:
        None where the files of a domain do not say when they were changed.
    """
    if domain.stamp is None:
        return None
    try:
        stamps = [domain.stamp(index) for index in range(len(domain))]
    except OSError:
        return None  # reading will tell
    content = [FORMAT, list(domain.names), stamps, domain.half, repr(wanted), repr(how)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def recall(key: str | None) -> tuple[Survey, dict[str, str]] | None:
    """What was found, and why pictures cannot be read, by their names; None if nothing is known."""
    if key is None:
        return None
    try:
        content = json.loads(_path(key).read_bytes())
        return Survey.from_json(content["survey"]), dict(content["problems"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def remember(key: str | None, survey: Survey, problems: dict[str, str]) -> None:
    """Keep what was found; where the disk refuses, the pictures are read again next time."""
    if key is None:
        return
    content = json.dumps({"survey": survey.to_json(), "problems": problems})
    with suppress(OSError, CannotWrite):
        _path(key).parent.mkdir(parents=True, exist_ok=True)
        write_file(_path(key), content)


def _path(key: str) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "tf_cyclegan" / "checked" / f"{key}.json"
