"""Pictures from files to files: read, translated and written at the same time."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from ..data.carried import NOTHING
from ..data.decode import UnreadableImage, picture_size
from ..data.unreadable import RangeUnknown
from ..files import write_file
from ..pixels import RGB8, PixelFormat
from ..progress import ProgressLine
from .area import Area
from .memory import NotEnoughMemory
from .picture_file import Picture, encode_picture, read_picture, scaled_size
from .targets import Job
from .tiff_strips import TiffRows, write_rows

BATCH_PIXELS = 2**19  # that are translated at once, and no more than 8 pictures
MAX_BATCH = 8
AHEAD = 2  # batches that are read before they are needed, and that wait to be written
THREADS = 2  # for each of reading and writing

Item = TypeVar("Item")
Result = TypeVar("Result")
Size = tuple[int, int]
Advance = Callable[[int, int], None]


@dataclass(frozen=True)
class Options:
    """How pictures are read and written.

    Attributes:
        max_pixels: Those with more are not decoded.
        keep_alpha: Transparency is kept where the written file can hold it.
        quality: From 1 to 100, of files that lose detail; None for the default.
        side_by_side: The original is written to the left of its translation.
        batch_size: Pictures of one size translated at once; None for as many as suit their size.
        keep_colour_space: Colours are left as they are, instead of converted to sRGB.
        keep_exif: What files say beside their pictures is kept.
        max_side: Pictures with a longer side are scaled down first; None for none.
        takes: What the pixels that the model takes are.
        window: What becomes black and white where pictures have more bits than the model.
        outside: Gets how many samples of each picture lie outside what the model takes.
        notes: Gets how many pictures each thing was done to that their owner should know.
    """

    max_pixels: int
    keep_alpha: bool = True
    quality: int | None = None
    side_by_side: bool = False
    batch_size: int | None = None
    keep_colour_space: bool = False
    max_side: int | None = None
    keep_exif: bool = True
    takes: PixelFormat = RGB8
    window: tuple[float, float] | None = None
    outside: Counter[Path] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Failure:
    """A picture that could not be translated, and why."""

    job: Job
    reason: str


class Translator(Protocol):
    """What `translate_files` needs of a `PictureTranslator`."""

    def __call__(self, pictures: np.ndarray, advance: Advance, /) -> np.ndarray:
        """Translate images `[N, H, W, C]`; `advance` is called after pieces of a large one."""

    def is_large(self, height: int, width: int, /) -> bool:
        """Whether a picture is translated in tiles."""

    def rows(self, area: Area, advance: Advance, /) -> Iterator[np.ndarray]:
        """Translate a large picture, some rows `[n, W, C]` at a time."""


def translate_files(translate: Translator, jobs: Sequence[Job], options: Options) -> list[Failure]:
    """Translate pictures from files to files.

    Pictures of equal size are translated together. While one batch is computed, the next is read and
    the one before is written. Large pictures come last, one after the other.

    Args:
        translate: Translates images.
        jobs: What to read and to write.
        options: How.

    Returns:
        What could not be translated; all others are written.

    Raises:
        CannotWrite: The disk is full, read-only or otherwise refuses.
    """
    sizes = {job: _size(job, options) for job in jobs}
    large = [job for job, size in sizes.items() if size and translate.is_large(*size)]
    small = {job: size for job, size in sizes.items() if job not in large}
    failures = _translate_batches(translate, small, options) if small else []
    for job in large:
        if (failure := _translate_large(translate, job, options)) is not None:
            failures.append(failure)
    return failures


def _translate_large(translate: Translator, job: Job, options: Options) -> Failure | None:
    """One picture, with a progress line of its own; nothing else is in memory."""
    with ExitStack() as stack:
        lines: list[ProgressLine] = []

        def advance(done: int, total: int) -> None:
            if not lines:
                line = ProgressLine(total, f"translating {job.source.name} in tiles")
                lines.append(stack.enter_context(line))
            lines[0].update(done)

        try:
            if (tiff := _open_tiff(job, options, stack)) is not None:
                return _translate_strips(translate, tiff, job, options, advance)
            picture = _read(job, options)
            if isinstance(picture, Failure):
                return picture
            (pixels,) = translate(picture.pixels[None], advance)
        except NotEnoughMemory as error:
            return Failure(job, str(error))
        _write(job, picture, pixels, options)
    return None


def _open_tiff(job: Job, options: Options, stack: ExitStack) -> TiffRows | None:
    """A TIFF that becomes a TIFF without being in memory as a whole; None where that cannot be."""
    is_tiff = job.target.suffix.lower() in (".tif", ".tiff")
    if not is_tiff or options.max_side is not None:
        return None
    try:
        file = stack.enter_context(job.source.open("rb"))
        return TiffRows(file, options.takes, options.max_pixels, options.keep_colour_space)
    except (UnreadableImage, OSError):
        return None  # reading it as a whole tells more


def _translate_strips(
    translate: Translator, tiff: TiffRows, job: Job, options: Options, advance: Advance
) -> Failure | None:
    has_alpha = tiff.has_alpha and options.keep_alpha and job.gives == RGB8
    profile = tiff.profile if job.gives == RGB8 else None
    carried = tiff.carried() if options.keep_exif else NOTHING
    carried = carried.elsewhere() if options.side_by_side else carried

    def rows() -> Iterator[np.ndarray]:
        top = 0
        for translated in translate.rows(tiff.area, advance):
            original = tiff.on_white(top, len(translated))
            if outside := options.takes.outside(original):
                options.outside[job.source] += outside
            parts = [original, translated] if options.side_by_side else [translated]
            if has_alpha:
                alpha = tiff.alpha(top, len(translated))
                parts = [np.concatenate([part, alpha], axis=2) for part in parts]
            yield np.concatenate(parts, axis=1)
            top += len(translated)

    width = tiff.width * (1 + options.side_by_side)
    try:
        said = {"carried": carried, "profile": profile}
        write_rows(job.target, rows(), (tiff.height, width), job.gives, has_alpha, **said)
    except UnreadableImage as error:
        return Failure(job, str(error))
    options.notes.update(tiff.notes)
    return None


def _translate_batches(
    translate: Translator, sizes: Mapping[Job, Size | None], options: Options
) -> list[Failure]:
    failures: list[Failure] = []

    def read(batch: Sequence[Job]) -> list[Picture | Failure]:
        return [_read(job, options) for job in batch]

    def write(result: tuple[Job, Picture, np.ndarray]) -> None:
        _write(*result, options)

    def translated(batches: Sequence[list[Job]], readers: Executor) -> Iterator:
        for batch, pictures in zip(batches, _ahead(read, batches, readers, AHEAD), strict=True):
            whole = []
            for job, picture in zip(batch, pictures, strict=True):
                if isinstance(picture, Failure):
                    failures.append(picture)
                else:
                    whole.append((job, picture))
            for group in _by_shape(whole):
                images = np.stack([picture.pixels for _, picture in group])
                results = translate(images, lambda done, total: None)
                for (job, original), pixels in zip(group, results, strict=True):
                    yield job, original, pixels

    with (
        ThreadPoolExecutor(THREADS) as readers,
        ThreadPoolExecutor(THREADS) as writers,
        ProgressLine(len(sizes), "translating") as line,
    ):
        results = translated(_batches(sizes, options.batch_size), readers)
        for written, _ in enumerate(_ahead(write, results, writers, AHEAD * MAX_BATCH), 1):
            line.update(written + len(failures))
    return failures


def _size(job: Job, options: Options) -> Size | None:
    """Height and width that a picture will be translated in, as its file says."""
    size = picture_size(job.source)
    return None if size is None else scaled_size(size, options.max_side)


def _write(job: Job, original: Picture, pixels: np.ndarray, options: Options) -> None:
    result = original.with_pixels(pixels)
    if options.side_by_side:
        result = original.beside(result)
    write_file(job.target, encode_picture(result, job.kind, options.quality))


def _read(job: Job, options: Options) -> Picture | Failure:
    try:
        encoded = job.source.read_bytes()
        keep_alpha = options.keep_alpha and job.kind.has_alpha
        picture = read_picture(
            encoded,
            options.max_pixels,
            keep_alpha,
            options.keep_colour_space,
            options.takes,
            options.window,
            options.max_side,
            options.keep_exif,
        )
    except RangeUnknown as error:
        return Failure(job, f"{error}: --range LOW,HIGH says it")
    except UnreadableImage as error:
        return Failure(job, str(error))
    except OSError as error:
        return Failure(job, error.strerror or str(error))
    options.notes.update(picture.notes)
    if outside := options.takes.outside(picture.pixels):
        options.outside[job.source] = outside
    height, width, _ = picture.pixels.shape
    if (longest := max(height, (1 + options.side_by_side) * width)) > job.kind.max_side:
        return Failure(
            job,
            f"{longest} pixels a side are too many for {job.target.suffix}, which has at most "
            f"{job.kind.max_side}; choose another --suffix",
        )
    return picture


def _batches(sizes: Mapping[Job, Size | None], batch_size: int | None) -> list[list[Job]]:
    """Put pictures together whose files say that they have one size, in the order of the first."""
    groups: dict = {}
    for job, size in sizes.items():
        if size is None:
            count = 1
        else:
            count = batch_size or max(1, min(MAX_BATCH, BATCH_PIXELS // (size[0] * size[1])))
        waiting = groups.setdefault(size, [[]])
        if len(waiting[-1]) == count:
            waiting.append([])
        waiting[-1].append(job)
    return [batch for batches in groups.values() for batch in batches if batch]


def _by_shape(pictures: Sequence[tuple[Job, Picture]]) -> list[list[tuple[Job, Picture]]]:
    """Put together what may be translated at once: some lie on their side, and are turned."""
    groups: dict[tuple, list[tuple[Job, Picture]]] = {}
    for job, picture in pictures:
        groups.setdefault(picture.pixels.shape, []).append((job, picture))
    return list(groups.values())


def _ahead(
    function: Callable[[Item], Result], items: Iterable[Item], executor: Executor, count: int
) -> Iterator[Result]:
    """The results of a function in the order of its items, computed up to `count` items ahead."""
    waiting: deque = deque()
    try:
        for item in items:
            waiting.append(executor.submit(function, item))
            if len(waiting) > count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
