"""Where images come from: a TFDS name, a folder, a .zip or an embedded set."""

import threading
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from PIL import Image

from ..errors import UserError
from ..files import from_home
from ..settings import MAX_PIXELS
from .decode import HALVES, IMAGE_SUFFIXES, UnreadableImage, decode_image
from .embedded import EMBEDDED

SPLITS = ("trainA", "trainB", "testA", "testB")
# Folders of files that hold a pair each, A on the left and B on the right, as pix2pix publishes
# them: for training, and for testing the first that there is.
SIDE_BY_SIDE = {"train": ("train",), "test": ("test", "val")}
FOLDERS = (*SPLITS, "train", "test", "val")
MAX_FILE_BYTES = 2**28  # no image needs more; a zip bomb would

# Of an entry, how much is unpacked at a time. zipfile passes the limit on to deflate alone: of bz2
# and lzma it unpacks all that it reads from the archive, where 40 bytes can become 46 MB.
UNPACKED_BYTES = 2**16
PACKED_BYTES = 64


@dataclass(frozen=True)
class Domain:
    """The images of one domain and split, still encoded.

    Attributes:
        names: One a picture, for messages and file names.
        read: From an index to encoded bytes; may be called from several threads.
        half: Which of `decode.HALVES` of the files the pictures are; None: they are the files.
    """

    names: Sequence[str]
    read: Callable[[int], bytes]
    half: str | None = None

    def __len__(self):
        return len(self.names)

    def image(self, index: int, max_pixels: int = MAX_PIXELS) -> Image.Image:
        """Read and decode a picture, upright RGB.

        Raises:
            UnreadableImage: It cannot be read, or has more than `max_pixels`.
        """
        return decode_image(self.read(index), max_pixels, self.half)

    def pick(self, indices: Sequence[int]) -> "Domain":
        """Some of the pictures, in the order of their `indices`."""
        names = [self.names[index] for index in indices]
        return Domain(names, lambda index: self.read(indices[index]), self.half)


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
        raise UserError(f"there is no folder or .zip {dataset}")
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
            raise UserError(f"{split} of {dataset} holds no image")
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


def _is_image(path: Path | PurePosixPath) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def _open_folder(root: Path) -> dict[str, Domain]:
    domains = {}
    for split in FOLDERS:
        if (root / split).is_dir():
            domains[split] = open_image_folder(root / split)
    return domains


def image_files(folder: Path) -> list[Path]:
    """The paths of the images in a folder and the folders in it, sorted."""
    return sorted(path for path in folder.rglob("*") if _is_image(path))


def open_image_folder(folder: Path) -> Domain:
    """The images in a folder and the folders in it, sorted by path."""
    paths = image_files(folder)

    def read(index: int) -> bytes:
        try:
            return paths[index].read_bytes()
        except OSError as error:
            raise UnreadableImage(error.strerror) from error

    return Domain([str(path) for path in paths], read)


def open_images(path: str | Path) -> Domain:
    """The images in a folder or a .zip, however they are laid out in it, sorted by path.

    Raises:
        UserError: There is no such folder or .zip, or it cannot be used.
    """
    path = from_home(path)
    if path.is_dir():
        return open_image_folder(path)
    if not path.is_file():
        raise UserError(f"there is no folder or .zip {path}")
    archive, entries = _images_in_zip(path)
    return _zip_domain(archive, threading.Lock(), _sorted(entries.values()))


def _open_zip(path: Path) -> dict[str, Domain]:
    archive, entries = _images_in_zip(path)
    members: dict[str, list[zipfile.ZipInfo]] = {}
    for name, entry in entries.items():
        # The authors' archives hold one folder, named as the data set, with the splits inside.
        for depth in (0, 1):
            if len(name.parts) > depth + 1 and name.parts[depth] in FOLDERS:
                members.setdefault(name.parts[depth], []).append(entry)
                break
    lock = threading.Lock()
    return {split: _zip_domain(archive, lock, _sorted(found)) for split, found in members.items()}


def _sorted(entries: Iterable[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    return sorted(entries, key=lambda entry: entry.filename)


def _images_in_zip(path: Path) -> tuple[zipfile.ZipFile, dict[PurePosixPath, zipfile.ZipInfo]]:
    """Open an archive and list its images by their paths."""
    try:
        archive = zipfile.ZipFile(path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    # BadZipFile, and whatever else a damaged directory makes zipfile raise.
    except Exception as error:
        raise UserError(f"{path} is not a .zip file, or only part of one") from error

    entries = {}
    for info in archive.infolist():
        entry = PurePosixPath(info.filename.replace("\\", "/"))
        if entry.is_absolute() or ".." in entry.parts or ":" in "".join(entry.parts[:1]):
            raise UserError(f"{path} has an entry that leads out of it: {info.filename}")
        if not _is_image(entry) or info.is_dir() or entry.parts[0] == "__MACOSX":
            continue
        if info.flag_bits & 1:
            raise UserError(f"{path} is encrypted; unpack it and pass the folder")
        if info.file_size > MAX_FILE_BYTES:
            raise UserError(f"{path} has an entry too large for an image: {info.filename}")
        entries[entry] = info
    return archive, entries


def _zip_domain(
    archive: zipfile.ZipFile, lock: threading.Lock, entries: Sequence[zipfile.ZipInfo]
) -> Domain:
    def read(index: int) -> bytes:
        with lock:
            return _unpacked(archive, entries[index])

    return Domain([f"{archive.filename}/{entry.filename}" for entry in entries], read)


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """The content of an entry, in memory of about the size that the directory gives for it."""
    parts = []
    try:
        with archive.open(entry) as file:
            size = UNPACKED_BYTES
            if entry.compress_type in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
                size = file.MIN_READ_SIZE = PACKED_BYTES
            while part := file.read(size):
                parts.append(part)
    except MemoryError as error:
        raise UnreadableImage("it needs more memory than there is") from error
    # There is no list of what zipfile and the libraries under it raise on damaged archives.
    except Exception as error:
        words = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableImage(f"the archive is damaged there: {words}") from error
    return b"".join(parts)


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

    if "image" not in builder.info.features:
        features = ", ".join(builder.info.features)
        raise UserError(f"the TFDS data set {name} has no feature 'image', only {features}")
    domains = {}
    for split in SPLITS:
        if split in builder.info.splits:
            examples = builder.as_dataset(
                split=split,
                decoders={"image": tfds.decode.SkipDecoding()},
                read_config=tfds.ReadConfig(interleave_cycle_length=1),
            )
            encoded = [example["image"] for example in tfds.as_numpy(examples)]
            names = [f"{name} {split}[{index}]" for index in range(len(encoded))]
            domains[split] = Domain(names, encoded.__getitem__)
    return domains


def _tfds_builder(tfds, name: str, data_dir: str | None):
    dataset = name.split("/")[0].split(":")[0]
    if dataset not in tfds.list_builders(with_community_datasets=False):
        raise UserError(
            f"{name} is neither a folder, nor a .zip, nor the name of a TFDS data set, "
            f"which are {_cycle_gan_names(tfds)} and every other with trainA and trainB"
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
