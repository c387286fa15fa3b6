"""The images of a domain, decoded, scaled and made alike."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from os import cpu_count

import numpy as np

from ..errors import UserError
from ..pixels import whole_range
from ..progress import ProgressLine
from ..settings import MAX_PIXELS, RunSettings
from .deep import read_tiff
from .fit import ANY_SIZE, Fit, cut, fitted, place_of_cut
from .picture import Picture, converted
from .remembered import fingerprint, recall, remember
from .sources import Domain
from .survey import COLOUR, Look, Survey, Wanted, look_at
from .tiff import Tiff
from .tiff_directory import MAGIC
from .unreadable import UnreadableImage

LARGE_PICTURE = 2**26  # bytes of a TIFF that is not decoded whole to cut patches from it
# Bytes of such a one that are looked at at a time, and at least a row of tiles.
PART_OF_PICTURE = 2**24
CACHE_BYTES = 2**30  # a domain whose scaled images fit in this is decoded once and kept


class ScaledImages:
    """The images of a domain, decoded, scaled to one size and made of one pixel format.

    Args:
        domain: Where the encoded images are.
        shape: Height and width to scale to.
        method: Interpolation, see `picture.RESAMPLING`.
        skip_unreadable: Leave out images that cannot be read.
        max_pixels: Of an image; what has more cannot be read.
        wanted: What its pixels are to be; what it leaves open is found in the images.
        fit: How images of another shape become so, see `fit.fitted`.
        keep_colour_space: Leave colours as they are, whatever their profile says.

    Raises:
        UserError: Images cannot be read (the first is named) and are not to be skipped, or they differ
            in channels or type.

    Attributes:
        pixels: What its pixels are.
        indices: Places in the domain of the images that are there.
        skipped: Names of those that are left out.
        lost: Name of one that could be read at first and then could not, and why; or None.
        lines: What is to be told of the domain.
    """

    def __init__(
        self,
        domain: Domain,
        shape: tuple[int, int],
        method: str,
        skip_unreadable: bool = False,
        max_pixels: int = MAX_PIXELS,
        wanted: Wanted = COLOUR,
        fit: Fit = "stretch",
        keep_colour_space: bool = False,
    ):
        self._domain, self._wanted, self._max_pixels = domain, wanted, max_pixels
        self._keep_colour_space = keep_colour_space
        self._shape, self._method, self._fit = shape, method, fit
        self._kept: dict[int, np.ndarray] | None = {}
        self._kept_bytes = 0
        self._lock = threading.Lock()
        how = (max_pixels, keep_colour_space, shape if fit == "patches" else None)
        key = fingerprint(domain, wanted, how)
        known = recall(key)
        if known is not None and self._is_large(known[0]):
            (survey, problems), self._kept = known, None
        else:
            survey, problems = self._read_all()
            if self._kept is None:
                remember(key, survey, problems)
        if problems and not skip_unreadable:
            name, reason = next(iter(problems.items()))
            count = f"{len(problems)} images" if len(problems) > 1 else "1 image"
            raise UserError(
                f"{count} cannot be read, the first is {name} ({reason}); "
                "mend or remove it, or pass --skip-unreadable"
            )
        self.skipped = list(problems)
        self.lost: str | None = None
        self.indices = [i for i, name in enumerate(domain.names) if name not in problems]
        if not self.indices:
            raise UserError(f"no image can be read, the first is {self.skipped[0]}")
        self.pixels = survey.pixels(wanted)
        self.lines = survey.lines(self.pixels, wanted)
        if self._kept is not None:
            self._kept = {index: self._made(samples) for index, samples in self._kept.items()}

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image; what is to be cut has at least so many rows."""
        return (*self._shape, self.pixels.channels)

    @property
    def names(self) -> Sequence[str]:
        """Of the images that are there."""
        return [self._domain.names[i] for i in self.indices]

    def keep(self, indices: Sequence[int]) -> None:
        """Leave out all but those of the domain's `indices`, which are in its order."""
        left_out = set(self.indices) - set(indices)
        self.skipped += [
            f"{self._domain.names[i]} (its partner cannot be read)" for i in sorted(left_out)
        ]
        self.indices = list(indices)

    def _is_large(self, survey: Survey) -> bool:
        """Whether the scaled images do not fit into memory, so that they need not be read for that."""
        if self._fit in ANY_SIZE:
            return True
        bytes_ = min(channels * np.dtype(dtype).itemsize for channels, dtype in survey.kinds)
        return len(self._domain) * self._shape[0] * self._shape[1] * bytes_ > CACHE_BYTES

    def _read_all(self) -> tuple[Survey, dict[str, str]]:
        """Decode every image once, to keep it or only to know what it is and that it can be read."""

        def advance(done: int = 1, more: int = 0) -> None:
            with self._lock:
                line.total += more
                line.update(line.done + done)

        def read(index: int) -> Look | str:
            try:
                with self._large_tiff(index) as tiff:
                    if tiff is not None:
                        self._kept = None
                        return self._look_at_parts(tiff, advance)
                picture = self._picture(index)
                look = look_at(picture, self._as_wanted(picture), self._wanted)
                self._keep_scaled(
                    index, fitted(picture.pixels, self._shape, self._method, self._fit)
                )
            except UnreadableImage as error:
                return str(error)
            return look

        names, survey, problems = self._domain.names, Survey(), {}
        with (
            ProgressLine(len(names), "reading images") as line,
            ThreadPoolExecutor(cpu_count()) as threads,
        ):
            for name, found in zip(names, threads.map(read, range(len(names))), strict=True):
                advance()
                if isinstance(found, Look):
                    survey.add(found, name)
                else:
                    problems[name] = found
        return survey, problems

    @contextmanager
    def _large_tiff(self, index: int) -> Iterator[Tiff | None]:
        """The file of a picture that patches are read from by tile; None for any other picture."""
        if self._fit != "patches" or self._domain.path is None or self._domain.half is not None:
            yield None
            return
        try:
            with self._domain.path(index).open("rb") as file:
                tiff = None
                if file.read(4) in MAGIC:
                    file.seek(0)
                    tiff = Tiff(file, None)
                is_large = tiff is not None and tiff.bytes > LARGE_PICTURE
                yield tiff if is_large and tiff.is_read_by_part else None
        except OSError as error:
            raise UnreadableImage(error.strerror) from error

    def _look_at_parts(self, tiff: Tiff, advance: Callable[..., None]) -> Look:
        """What a large picture is, read some rows at a time, each of which is a piece of progress."""
        if tiff.height < self._shape[0] or tiff.width < self._shape[1]:
            height, width = self._shape
            raise UnreadableImage(
                f"it has {tiff.height}x{tiff.width} pixels, fewer than a patch of {height}x{width}"
            )
        stored = tiff.rows * tiff.bytes // tiff.height
        at_once = tiff.rows * max(1, PART_OF_PICTURE // stored)
        tops = range(0, tiff.height, at_once)
        advance(0, more=len(tops))
        looks = []
        for top in tops:
            rows = min(at_once, tiff.height - top)
            part = read_tiff(tiff, self._keep_colour_space, top, 0, rows, tiff.width)
            looks.append(look_at(part, self._as_wanted(part), self._wanted))
            advance()
        return Look(
            looks[0].channels,
            looks[0].dtype,
            tuple(dict.fromkeys(note for look in looks for note in look.notes)),
            min(look.low for look in looks),
            max(look.high for look in looks),
            sum(look.outside for look in looks),
            sum(look.samples for look in looks),
        )

    def _picture(self, index: int) -> Picture:
        with_alpha = self._wanted.channels in (2, 4)
        return self._domain.picture(index, self._max_pixels, self._keep_colour_space, with_alpha)

    def _as_wanted(self, picture: Picture) -> Picture:
        return converted(picture, self._wanted.of(picture), whole_range("uint16"))

    def _keep_scaled(self, index: int, samples: np.ndarray) -> None:
        with self._lock:
            self._kept_bytes += samples.nbytes
            if self._kept_bytes > CACHE_BYTES:
                self._kept = None
            elif self._kept is not None:
                self._kept[index] = samples

    def _made(self, samples: np.ndarray) -> np.ndarray:
        """Scaled samples in the domain's format."""
        return converted(Picture(samples), self.pixels, whole_range("uint16")).samples

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, position: int) -> np.ndarray:
        """The image `[H, W, C]`, of `shape` unless it is to be cut."""
        index = self.indices[position]
        if self._kept is not None:
            return self._kept[index]
        try:
            pixels = self._picture(index).pixels
            return self._made(fitted(pixels, self._shape, self._method, self._fit))
        except UnreadableImage as error:
            self.lost = f"{self._domain.names[index]} ({error})"
            raise

    def cut(
        self, position: int, shape: tuple[int, int], shares: tuple[float, float] = (0.5, 0.5)
    ) -> np.ndarray:
        """A cut of `shape` from an image, see `fit.cut`; without `shares` from its middle."""
        index = self.indices[position]
        try:
            with self._large_tiff(index) if self._kept is None else nullcontext() as tiff:
                if tiff is not None:
                    place = place_of_cut((tiff.height, tiff.width), shape, shares)
                    part = read_tiff(tiff, self._keep_colour_space, *place, *shape)
                    return self._made(part.samples)
        except UnreadableImage as error:
            self.lost = f"{self._domain.names[index]} ({error})"
            raise
        return cut(self[position], shape, shares)


def scaled_images(
    domain: Domain, config: RunSettings, shape: tuple[int, int], wanted: Wanted
) -> ScaledImages:
    """The images of a domain at a size, otherwise as the settings of a run say."""
    return ScaledImages(
        domain,
        shape,
        config.resize_method,
        config.skip_unreadable,
        config.max_pixels,
        wanted,
        config.fit,
        config.keep_colour_space,
    )
