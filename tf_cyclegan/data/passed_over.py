"""The files among the images of a run that are no images to this package, counted."""

import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePath, PurePosixPath

from ..files import from_home
from ..settings import RunSettings
from .embedded import EMBEDDED
from .sources import FOLDERS, Domain

# What to do with some of them; other suffixes are named alone.
FILMS = "films: ffmpeg takes pictures out of them"
RAW = "raw photographs: export them as JPEG or TIFF"
WAYS_OUT = {".mp4": FILMS, ".mov": FILMS, ".avi": FILMS, ".mkv": FILMS} | dict.fromkeys(
    (".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".rw2"), RAW
)


def passed_over(settings: RunSettings, domains: Mapping[str, Domain]) -> str:
    """What lies among the images of a run's data and is none, in a sentence; "" if there is nothing.

    Args:
        settings: Of the run.
        domains: What `open_data` found, by split.

    Returns:
        Such as "passed over 5 .nef (raw photographs: export them as JPEG or TIFF) and 1 .txt".
        Hidden files are not counted, nor are those beside trainA, trainB, testA and testB.
    """
    read = {name for domain in domains.values() for name in domain.names}
    counts: Counter[str] = Counter()
    for pile in (from_home(pile) for pile in settings.data_places if pile not in EMBEDDED):
        for inside in _files(pile):
            if settings.dataset is not None and not set(inside.parts[:-1]) & set(FOLDERS):
                continue
            hidden = any(part.startswith((".", "__MACOSX")) for part in inside.parts)
            if not hidden and not {str(pile / inside), f"{pile}/{inside}"} & read:
                counts[inside.suffix.lower() or "without a suffix"] += 1
    told = [
        f"{count} {suffix}" + (f" ({WAYS_OUT[suffix]})" if suffix in WAYS_OUT else "")
        for suffix, count in counts.most_common()
    ]
    if not told:
        return ""
    return "passed over " + " and ".join(filter(None, [", ".join(told[:-1]), told[-1]]))


def _files(pile: Path) -> list[PurePath]:
    """The paths of the files of a folder or .zip in it; none of anything else, such as TFDS."""
    if pile.is_dir():
        return [path.relative_to(pile) for path in pile.rglob("*") if path.is_file()]
    if not pile.is_file():
        return []
    with zipfile.ZipFile(pile) as archive:
        return [PurePosixPath(entry.filename) for entry in archive.infolist() if not entry.is_dir()]
