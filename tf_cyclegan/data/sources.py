"""Where images come from: a TFDS name, a folder, a .zip or an embedded set."""

import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath

from PIL import Image

from ..errors import UserError
from ..paths import did_you_mean, from_home, missing
from ..settings import MAX_PIXELS
from .decode import HALVES, UnreadableImage, decode, decode_image
from .embedded import EMBEDDED
from .picture import Picture
from .recognize import HEAD_BYTES
from .records import Records, image_in
from .walk import (
    HIDDEN,
    image_files,
    is_hidden,
    is_image_head,
    looks_like_picture,
    may_be_image,
    no_image,
    readable,
)
from .zips import unpacked

SPLITS = ("trainA", "trainB", "testA", "testB")
# Folders of files that hold a pair each, A on the left and B on the right, as pix2pix publishes
# them: for training, and for testing the first that there is.
SIDE_BY_SIDE = {"train": ("train",), "test": ("test", "val")}
FOLDERS = (*SPLITS, "train", "test", "val")
MAX_FILE_BYTES = 2**28  # no image needs more; a zip bomb would


@dataclass(frozen=True)
class Domain:
    """The images of one domain and split, still encoded.

    Attributes:
        names: One a picture, for messages and file names.
        read: From an index to encoded bytes; may be called from several threads.
        half: Which of `decode.HALVES` of the files the pictures are; None: they are the files.
        left_out: How many files beside them are no pictures, by suffix.
        stamp: From an index to size and time of the file that a picture is in, which change with it.
        path: From an index to the file itself, where that holds one picture.
    """

    names: Sequence[str]
    read: Callable[[int], bytes]
    half: str | None = None
    left_out: Counter[str] = field(default_factory=Counter)
    stamp: Callable[[int], tuple[int, int]] | None = None
    path: Callable[[int], Path] | None = None

    def __len__(self):
        return len(self.names)

    def image(self, index: int, max_pixels: int = MAX_PIXELS) -> Image.Image:
        """Read and decode a picture, upright RGB.

        Raises:
            UnreadableImage: It cannot be read, or has more than `max_pixels`.
        """
        return decode_image(self.read(index), max_pixels, self.half)

    def picture(
        self, index: int, max_pixels: int, keep_colour_space: bool, with_alpha: bool
    ) -> Picture:
        """Read and decode a picture as it is in its file, see `decode.decode`."""
        return decode(self.read(index), max_pixels, self.half, keep_colour_space, with_alpha)

    def pick(self, indices: Sequence[int]) -> "Domain":
        """Some of the pictures, in the order of their `indices`."""
        stamp, path = self.stamp, self.path
        return Domain(
            [self.names[index] for index in indices],
            lambda index: self.read(indices[index]),
            self.half,
            stamp=stamp and (lambda index: stamp(indices[index])),
            path=path and (lambda index: path(indices[index])),
        )


def open_source(dataset: str, data_dir: str | None = None) -> dict[str, Domain]:
    """Find a data set by its name or path.

    Args:
        dataset: The name of an embedded set, a folder, a .zip, or the name of a TFDS data set, which
            is downloaded when it has not been yet.
        data_dir: Where TFDS keeps its data sets.

    Returns:
        The domains by split: trainA and trainB, and testA and testB if there are. Of files with both
        halves of a pair, in train and test (or val), A is the left one and B the right one.

    Raises:
        UserError: There is no such data set, or it lacks a training domain.
    """
    path = from_home(dataset)
    if dataset in EMBEDDED:
        domains = _open_zip(EMBEDDED[dataset].archive)
    elif path.is_dir():
        domains = _open_folder(path)
    elif path.is_file():
        domains = _open_zip(path)
    elif path.suffix.lower() == ".zip" or path.is_absolute() or dataset.startswith((".", "~")):
        raise UserError(missing("folder or .zip", dataset))
    else:
        domains = _open_tfds(dataset, data_dir)

    if not domains.keys() & {"trainA", "trainB"}:
        domains |= _halves(domains)
    for split in ("trainA", "trainB"):
        if split not in domains:
            raise UserError(
                f"{dataset} has no {split}: it takes images of one domain in trainA, of the other in "
                "trainB, and may have testA and testB; or files with both side by side in train, "
                "and in test or val"
            )
        if not len(domains[split]):
            raise UserError(f"{split} of {dataset} {no_image(domains[split].left_out)}")
    return {split: domains[split] for split in SPLITS if len(domains.get(split, ()))}


def _halves(domains: dict[str, Domain]) -> dict[str, Domain]:
    """The domains that files with two pictures side by side hold, by split."""
    halves = {}
    for part, folders in SIDE_BY_SIDE.items():
        both = next((domains[folder] for folder in folders if folder in domains), None)
        if both is not None:
            for letter, half in zip("AB", HALVES, strict=True):
                halves[f"{part}{letter}"] = replace(both, half=half)
    return halves


def _open_folder(root: Path) -> dict[str, Domain]:
    folders = [entry for entry in root.iterdir() if entry.is_dir() and not is_hidden(entry.name)]
    if len(folders) == 1 and folders[0].name not in FOLDERS:
        root = folders[0]  # one too many around it, as unpacking makes
    return {split: open_image_folder(root / split) for split in FOLDERS if (root / split).is_dir()}


def open_image_folder(folder: Path) -> Domain:
    """The images in a folder and the folders in it, sorted by path."""
    paths, left_out = image_files(folder)

    def read(index: int) -> bytes:
        try:
            return paths[index].read_bytes()
        except OSError as error:
            raise UnreadableImage(error.strerror) from error

    return Domain(
        [readable(path) for path in paths],
        read,
        left_out=left_out,
        stamp=lambda index: _stamp(paths[index]),
        path=paths.__getitem__,
    )


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def open_images(path: str | Path) -> Domain:
    """The images in a folder or a .zip, however they are laid out in it, sorted by path.

    Raises:
        UserError: There is no such folder or .zip, or it cannot be used.
    """
    path = from_home(path)
    if path.is_dir():
        return open_image_folder(path)
    if not path.is_file():
        raise UserError(missing("folder or .zip", path))
    archive, entries, others = _images_in_zip(path)
    domain = _zip_domain(archive, threading.Lock(), _sorted(entries.values()))
    return replace(domain, left_out=Counter(others.values()))


def _open_zip(path: Path) -> dict[str, Domain]:
    archive, entries, others = _images_in_zip(path)
    members: dict[str, list[zipfile.ZipInfo]] = {}
    for name, entry in entries.items():
        if split := _split_of(name):
            members.setdefault(split, []).append(entry)
    left_out: dict[str, Counter[str]] = {split: Counter() for split in members}
    for name, what in others.items():
        if (split := _split_of(name)) in left_out:
            left_out[split][what] += 1
    lock = threading.Lock()
    return {
        split: replace(_zip_domain(archive, lock, _sorted(found)), left_out=left_out[split])
        for split, found in members.items()
    }


def _split_of(name: PurePosixPath) -> str | None:
    """The folder of a data set that an entry is in, at the top or in one folder around it all."""
    inside = [part for part in name.parts[:-1][:2] if part in FOLDERS]
    return inside[0] if inside else None


def _sorted(entries: Iterable[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    return sorted(entries, key=lambda entry: entry.filename)


def _images_in_zip(
    path: Path,
) -> tuple[zipfile.ZipFile, dict[PurePosixPath, zipfile.ZipInfo], dict[PurePosixPath, str]]:
    """Open an archive and list its images by their paths, and what else it holds, in a word each."""
    try:
        archive = zipfile.ZipFile(path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    # BadZipFile, and whatever else a damaged directory makes zipfile raise.
    except Exception as error:
        raise UserError(
            f"{path} is not a .zip file, or only part of one; give a whole one, or a folder"
        ) from error

    entries, others = {}, {}
    for info in archive.infolist():
        entry = PurePosixPath(info.filename.replace("\\", "/"))
        if entry.is_absolute() or ".." in entry.parts or ":" in "".join(entry.parts[:1]):
            raise UserError(f"{path} has an entry that leads out of it: {info.filename}")
        if not entry.name or info.is_dir():
            continue
        if any(map(is_hidden, entry.parts)):
            if looks_like_picture(entry):
                others[entry] = HIDDEN
            continue
        if not may_be_image(entry):
            others[entry] = entry.suffix.lower()
            continue
        if info.flag_bits & 1:
            raise UserError(f"{path} is encrypted; unpack it and pass the folder")
        if not entry.suffix and not is_image_head(_head(archive, info)):
            others[entry] = "without a suffix"
            continue
        if info.file_size > MAX_FILE_BYTES:
            raise UserError(f"{path} has an entry too large for an image: {info.filename}")
        entries[entry] = info
    return archive, entries, others


def _head(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(info) as file:
            return file.read(HEAD_BYTES)
    except Exception:  # a damaged archive makes zipfile raise many things
        return b""


def _zip_domain(
    archive: zipfile.ZipFile,
    lock: threading.Lock,
    entries: Sequence[zipfile.ZipInfo],
) -> Domain:
    def read(index: int) -> bytes:
        with lock:
            return unpacked(archive, entries[index])

    names = [readable(f"{archive.filename}/{entry.filename}") for entry in entries]
    return Domain(names, read, stamp=lambda _: _stamp(Path(archive.filename)))


def _open_tfds(name: str, data_dir: str | None) -> dict[str, Domain]:
    import tensorflow_datasets as tfds

    builder = _tfds_builder(tfds, name, data_dir)
    try:
        builder.download_and_prepare()
    # Whatever stops a download (network, proxy, checksum, disk), there is one way to go on.
    except Exception as error:
        raise UserError(
            f"TFDS could not prepare {name} in {builder.data_dir} ({_first_line(error)}); "
            "fetch the archive by other means and pass its path: --dataset PATH.zip"
        ) from error

    if builder.info.file_format.value != "tfrecord":
        raise UserError(
            f"the TFDS data set {name} was prepared as {builder.info.file_format.value}; prepare it as "
            "tfrecord, which TFDS does by itself"
        )
    if "image" not in builder.info.features:
        features = ", ".join(builder.info.features)
        raise UserError(f"the TFDS data set {name} has no feature 'image', only {features}")
    domains = {}
    for split in SPLITS:
        if split in builder.info.splits:
            records = Records([Path(path) for path in builder.info.splits[split].filepaths])
            names = [f"{name} {split}[{index}]" for index in range(len(records))]
            domains[split] = Domain(names, partial(_image_of, records), stamp=records.stamp)
    return domains


def _image_of(records: Records, index: int) -> bytes:
    return image_in(records[index])


def _tfds_builder(tfds, name: str, data_dir: str | None):
    dataset = name.split("/")[0].split(":")[0]
    if dataset not in tfds.list_builders(with_community_datasets=False):
        raise UserError(
            f"{name} is neither a folder, nor a .zip, nor the name of a TFDS data set, "
            f"which are {_cycle_gan_names(tfds)} and every other with trainA and trainB"
            f"{did_you_mean(name)}"
        )
    try:
        return tfds.builder(name, data_dir=data_dir)
    # A name that TFDS cannot parse, a configuration or a version that does not exist.
    except (ValueError, KeyError, AssertionError) as error:
        configs = [f"{dataset}/{config}" for config in tfds.builder_cls(dataset).builder_configs]
        raise UserError(f"TFDS has no {name}; there are {', '.join(configs) or dataset}") from error


def _cycle_gan_names(tfds) -> str:
    configs = tfds.builder_cls("cycle_gan").builder_configs
    return ", ".join(f"cycle_gan/{config}" for config in configs)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
