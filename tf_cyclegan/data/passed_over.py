"""The files among the images of a run that are no images to this package, counted."""

from collections import Counter
from collections.abc import Mapping

from .sources import Domain

# What to do with some of them; other suffixes are named alone.
FILMS = "films: ffmpeg takes pictures out of them"
RAW = "raw photographs: export them as JPEG or TIFF"
WAYS_OUT = {".mp4": FILMS, ".mov": FILMS, ".avi": FILMS, ".mkv": FILMS} | dict.fromkeys(
    (".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".rw2"), RAW
)


def passed_over(domains: Mapping[str, Domain]) -> str:
    """What lies among the images of a run's data and is none, in a sentence; "" if there is nothing.

    Args:
        domains: What `open_data` found, by split.

    Returns:
        Such as "passed over 5 .nef (raw photographs: export them as JPEG or TIFF) and 1 .txt".
        Hidden files that are no images are not counted, nor are those beside trainA, trainB, testA
        and testB.
    """
    counts = sum((domain.left_out for domain in domains.values()), Counter[str]())
    told = [
        f"{count} {suffix}" + (f" ({WAYS_OUT[suffix]})" if suffix in WAYS_OUT else "")
        for suffix, count in counts.most_common()
    ]
    if not told:
        return ""
    return "passed over " + " and ".join(filter(None, [", ".join(told[:-1]), told[-1]]))
