"""Which file each picture's translation becomes, decided before anything is translated."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..data.encode import SAMPLE_SUFFIXES, can_hold, usual_suffix
from ..data.recognize import HEAD_BYTES, IMAGE_SUFFIXES, format_of
from ..errors import UserError
from ..files import check_writable, place_of
from ..pixels import RGB8, PixelFormat


@dataclass(frozen=True)
class Kind:
    """A kind of file that pictures are written as.

    Attributes:
        format: Pillow's name of it.
        has_quality: It loses detail, more or less of it as `--quality` says.
        has_alpha: It can hold transparency.
        max_side: The longest side that it can have, in pixels.
    """

    format: str
    has_quality: bool = False
    has_alpha: bool = True
    max_side: int = 2**31 - 1


_JPEG = Kind("JPEG", has_quality=True, has_alpha=False, max_side=65535)
_TIFF = Kind("TIFF")
_PNM = Kind("PPM", has_alpha=False)
KINDS = {
    ".png": Kind("PNG"),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".jpe": _JPEG,
    ".jfif": _JPEG,
    ".webp": Kind("WEBP", has_quality=True, max_side=16383),
    ".avif": Kind("AVIF", has_quality=True, max_side=65535),
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".bmp": Kind("BMP", has_alpha=False),
    ".ppm": _PNM,
    ".pnm": _PNM,
    ".jp2": Kind("JPEG2000"),
    ".tga": Kind("TGA", max_side=65535),
}
# What samples of other than 8-bit colour are written as.
SAMPLE_KINDS = {suffix: Kind(suffix) for suffix in SAMPLE_SUFFIXES}
# What has no suffix of its own in KINDS: a GIF would keep 256 colours of the translation.
_OF_FORMAT = {"JPEG": ".jpg", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp", "AVIF": ".avif"}


@dataclass(frozen=True)
class Job:
    """A picture to read and the file to write, and what is in that."""

    source: Path
    target: Path
    gives: PixelFormat = RGB8

    @property
    def kind(self) -> Kind:
        """What is written."""
        suffix = self.target.suffix.lower()
        return KINDS[suffix] if self.gives == RGB8 else SAMPLE_KINDS[suffix]


def suffix_of(text: str, gives: PixelFormat = RGB8) -> str:
    """The suffix that `--suffix` says, with or without its dot.

    Raises:
        UserError: No such pictures are written, or not of such pixels.
    """
    suffix = "." + text.lower().lstrip(".")
    if not _holds(suffix, gives):
        known = " ".join(kind for kind in KINDS | SAMPLE_KINDS if _holds(kind, gives))
        which = "" if gives == RGB8 else f" of {gives}"
        raise UserError(f"--suffix {text}: pictures{which} are written as {known}")
    return suffix


def _holds(suffix: str, gives: PixelFormat) -> bool:
    return suffix in KINDS if gives == RGB8 else can_hold(suffix, gives)


def plan(
    sources: Sequence[Path],
    root: Path | None,
    output: Path,
    suffix: str | None = None,
    overwrite: bool = False,
    gives: PixelFormat = RGB8,
) -> list[Job]:
    """Give each picture a file of its own.

    A picture keeps its name and, without `suffix`, its kind. Where two would become one file, as a.gif
    and a.png would, those whose suffix changes keep the old one within their name: a.gif.png.

    Args:
        sources: Pictures to read.
        root: The folder that they are in, whose folders `output` gets too; None for one picture, for
            which `output` may name a file.
        output: Folder or file to write.
        suffix: Of all that is written, one of `KINDS`.
        overwrite: Replace what is there, but for what is read.
        gives: What the pixels of the translations are.

    Raises:
        UserError: A file that is read or kept would be overwritten, or cannot be written.
    """
    is_file = root is None and _holds(output.suffix.lower(), gives) and not output.is_dir()
    if is_file:
        if suffix not in (None, output.suffix.lower()):
            raise UserError(f"--suffix {suffix} does not go with --output {output}; leave one out")
        jobs = [Job(sources[0], output, gives)]
    else:
        jobs = _in_folder(sources, root, output, suffix, gives)
    read = {_identity(source): source for source in sources if source.exists()}
    for job in jobs:
        if job.target.exists():
            if (source := read.get(_identity(job.target))) is not None:
                raise UserError(
                    f"--output {output} would replace the picture {source}; choose another"
                )
            if not overwrite:
                raise UserError(
                    f"{job.target} exists; choose another --output, or pass --overwrite"
                )
        check_writable(job.target)
    return jobs


def _in_folder(
    sources: Sequence[Path],
    root: Path | None,
    output: Path,
    suffix: str | None,
    gives: PixelFormat,
) -> list[Job]:
    places = [output / (source.relative_to(root) if root else source.name) for source in sources]
    suffixes = [suffix or _own_suffix(source, gives) for source in sources]
    targets = [
        _without_suffix(place).with_name(_without_suffix(place).name + new)
        if place.suffix.lower() != new
        else place
        for place, new in zip(places, suffixes, strict=True)
    ]
    count = Counter(map(place_of, targets))
    targets = [
        place.with_name(place.name + new)
        if count[place_of(target)] > 1 and target != place
        else target
        for place, new, target in zip(places, suffixes, targets, strict=True)
    ]
    jobs: dict[Path, Job] = {}
    for source, target in zip(sources, targets, strict=True):
        other = jobs.setdefault(place_of(target), Job(source, target, gives))
        if other.source != source:
            raise UserError(
                f"{other.source} and {source} would both become {target}; rename one of them"
            )
    return list(jobs.values())


def _own_suffix(source: Path, gives: PixelFormat) -> str:
    """The suffix of the kind of file that a picture is: by its name, or else by its content."""
    suffix = source.suffix.lower()
    if gives != RGB8:
        return suffix if can_hold(suffix, gives) else usual_suffix(gives)
    if suffix in KINDS:
        return suffix
    if suffix in IMAGE_SUFFIXES:
        return ".png"
    try:
        with source.open("rb") as file:
            return _OF_FORMAT.get(format_of(file.read(HEAD_BYTES)) or "", ".png")
    except OSError:
        return ".png"  # reading it will tell


def _without_suffix(place: Path) -> Path:
    """A place without the suffix of a picture; what else has a dot in its name is kept whole."""
    known = IMAGE_SUFFIXES | set(KINDS)
    return place.with_suffix("") if place.suffix.lower() in known else place


def _identity(path: Path) -> tuple[int, int]:
    """The same for two names of one file."""
    status = path.stat()
    return status.st_dev, status.st_ino
