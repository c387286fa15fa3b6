"""Pictures from files to files: read, translated and written at the same time."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..data.decode import UnreadableImage, picture_size
from ..data.unreadable import RangeUnknown
from ..files import write_file
from ..pixels import RGB8, PixelFormat
from ..progress import ProgressLine
from .picture_file import Picture, encode_picture, read_picture
from .targets import Job

BATCH_PIXELS = 2**19  # that are translated at once, and no more than 8 pictures
MAX_BATCH = 8
AHEAD = 2  # batches that are read before they are needed, and that wait to be written
THREADS = 2  # for each of reading and writing

Item = TypeVar("Item")
Result = TypeVar("Result")


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
        takes: What the pixels that the model takes are.
        window: What becomes black and white where pictures have more bits than the model.
        outside: Gets how many samples of each picture lie outside what the model takes.
    """

    max_pixels: int
    keep_alpha: bool = True
    quality: int | None = None
    side_by_side: bool = False
    batch_size: int | None = None
    keep_colour_space: bool = False
    takes: PixelFormat = RGB8
    window: tuple[float, float] | None = None
    outside: Counter[Path] = field(default_factory=Counter)


@dataclass(frozen=True)
class Failure:
    """A picture that could not be translated, and why."""

    job: Job
    reason: str


def translate_files(
    translate: Callable[[np.ndarray], np.ndarray], jobs: Sequence[Job], options: Options
) -> list[Failure]:
    """Translate pictures from files to files.

    Pictures of equal size are translated together. While one batch is computed, the next is read and
    the one before is written.

    Args:
        translate: From uint8 images `[N, H, W, 3]` to the same.
        jobs: What to read and to write.
        options: How.

    Returns:
        What could not be translated; all others are written.

    Raises:
        CannotWrite: The disk is full, read-only or otherwise refuses.
    """
    failures: list[Failure] = []

    def read(batch: Sequence[Job]) -> list[Picture | Failure]:
        return [_read(job, options) for job in batch]

    def write(result: tuple[Job, Picture]) -> None:
        job, picture = result
        write_file(job.target, encode_picture(picture, job.kind, options.quality))

    def translated(batches: Sequence[list[Job]], readers: Executor) -> Iterator:
        for batch, pictures in zip(batches, _ahead(read, batches, readers, AHEAD), strict=True):
            whole = []
            for job, picture in zip(batch, pictures, strict=True):
                if isinstance(picture, Failure):
                    failures.append(picture)
                else:
                    whole.append((job, picture))
            for group in _by_shape(whole):
                images = translate(np.stack([picture.pixels for _, picture in group]))
                for (job, original), pixels in zip(group, images, strict=True):
                    result = original.with_pixels(pixels)
                    yield job, original.beside(result) if options.side_by_side else result

    with (
        ThreadPoolExecutor(THREADS) as readers,
        ThreadPoolExecutor(THREADS) as writers,
        ProgressLine(len(jobs), "translating") as line,
    ):
        results = translated(_batches(jobs, options.batch_size), readers)
        for written, _ in enumerate(_ahead(write, results, writers, AHEAD * MAX_BATCH), 1):
            line.update(written + len(failures))
    return failures


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
        )
    except RangeUnknown as error:
        return Failure(job, f"{error}: --range LOW,HIGH says it")
    except UnreadableImage as error:
        return Failure(job, str(error))
    except OSError as error:
        return Failure(job, error.strerror or str(error))
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


def _batches(jobs: Iterable[Job], batch_size: int | None) -> list[list[Job]]:
    """Put pictures together whose files say that they have one size, in the order of the first."""
    groups: dict = {}
    for job in jobs:
        size = picture_size(job.source)
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
