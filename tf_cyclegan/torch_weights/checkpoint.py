"""Reads the tensors of a PyTorch checkpoint without PyTorch, and without running its pickle."""

import io
import json
import math
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from ..paths import from_home, missing
from .pickle import MAX_DIMENSIONS, CheckpointError, Storage, Tensor, read_pickle

# A network of a thousand layers stays far below these; they keep small files from growing in memory.
MAX_ZIP_MEMBERS = 10_000
MAX_HEADER_BYTES = 2**20
MAX_SHARING = 4  # tensors may share storages, up to this many times the size of the file

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001

_SAFETENSORS = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}

# All that zipfile raises on damaged archives.
_ZIP_ERRORS = (
    *(zipfile.BadZipFile, struct.error, EOFError),
    *(RuntimeError, ValueError, OSError, OverflowError),
)


def read_checkpoint(path: str | Path) -> dict[str, np.ndarray]:
    """Read the tensors of a state dict.

    Args:
        path: A file of `torch.save` (the zip format since PyTorch 1.6 or the stream before it), or a
            .safetensors file. The state dict may be nested in other dictionaries.

    Returns:
        Read-only arrays by name, in the file's order, shapes and types (bfloat16 by ml_dtypes).

    Raises:
        CheckpointError: The file cannot be read or holds anything but tensors and plain values.
    """
    path = from_home(path)
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; give the file of the checkpoint in it")
    if not path.is_file():
        raise CheckpointError(missing("file", path))
    try:
        return parse_checkpoint(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    except CheckpointError as error:
        raise CheckpointError(f"{path} {error}") from error


def parse_checkpoint(data: bytes) -> dict[str, np.ndarray]:
    """`read_checkpoint` for a file's content; the errors go on after the file's name."""
    if data[:4] == b"PK\x03\x04":
        tensors = _read_zip(data)
    elif data[8:9] == b"{":  # first, for the length of its header may begin as a pickle does
        tensors = _read_safetensors(data)
    elif data[:1] == b"\x80":
        tensors = _read_legacy(data)
    else:
        raise CheckpointError(
            "is not a checkpoint: it is neither a file of torch.save nor a .safetensors file"
        )
    if sum(tensor.nbytes for tensor in tensors.values()) > MAX_SHARING * len(data):
        raise CheckpointError("declares more data than it holds: its tensors overlap too often")
    return tensors


# The three containers.


def _read_zip(data: bytes) -> dict[str, np.ndarray]:
    """NAME/data.pkl is the pickle, NAME/data/KEY are the storages, nothing is compressed."""
    if data.count(b"PK\x01\x02") > MAX_ZIP_MEMBERS:
        raise CheckpointError(f"is a ZIP archive of more than {MAX_ZIP_MEMBERS} members")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            for member in members:
                if member.compress_type != zipfile.ZIP_STORED:
                    raise CheckpointError("has compressed members, which PyTorch does not write")
            if sum(member.file_size for member in members) > len(data):
                raise CheckpointError("declares more data than it holds: it is damaged")
            content = {member.filename: archive.read(member) for member in members}
    except _ZIP_ERRORS as error:
        raise CheckpointError(f"is a ZIP archive that is damaged or cut off ({error})") from error
    pickles = [name for name in content if name.split("/")[1:] == ["data.pkl"]]
    if len(pickles) != 1:
        raise CheckpointError("is a ZIP archive, but not one of torch.save: it has no data.pkl")
    folder = pickles[0].removesuffix("data.pkl")
    if content.get(f"{folder}byteorder", b"little") != b"little":
        raise CheckpointError("was written on a big-endian machine, which is not supported")
    root, _ = read_pickle(content[pickles[0]])

    def storage_bytes(storage: Storage) -> bytes:
        try:
            return content[f"{folder}data/{storage.key}"]
        except KeyError:
            raise CheckpointError(
                f"is damaged: it lacks the storage {storage.key[:40]!r}"
            ) from None

    return _state_dict(root, storage_bytes)


def _read_legacy(data: bytes) -> dict[str, np.ndarray]:
    """Five pickles (magic number, protocol, system, index, storage keys), then the storages."""
    values, position = [], 0
    for _ in range(5):
        try:
            value, position = read_pickle(data, position)
        except CheckpointError as error:
            if not values:
                raise CheckpointError(f"is not a file of torch.save ({error})") from error
            raise
        if not values and (type(value) is not int or value != LEGACY_MAGIC):
            raise CheckpointError("is a pickle, but not one of torch.save")
        values.append(value)
    _, protocol, system, root, keys = values
    if type(protocol) is not int:  # and may be a list that holds itself, which has no end as text
        raise CheckpointError("is damaged: its format version is no number")
    if protocol != LEGACY_PROTOCOL:
        raise CheckpointError(f"has the unknown format version {str(protocol)[:40]}")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise CheckpointError("was written on a big-endian machine, which is not supported")
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise CheckpointError("is damaged: its list of storages is none")

    # Each storage is its number of elements and then those; the type stands with the tensors.
    item_sizes = {storage.key: storage.dtype.itemsize for storage in _storages(root)}
    storages = {}
    for key in keys:
        if key not in item_sizes:
            raise CheckpointError(f"is damaged: no tensor explains its storage {key[:40]!r}")
        count = int.from_bytes(data[position : position + 8], "little")
        start = position + 8
        position = start + count * item_sizes[key]
        if position > len(data):
            raise CheckpointError("is cut off: it ends within its tensors")
        storages[key] = memoryview(data)[start:position]

    def storage_bytes(storage: Storage) -> memoryview:
        if storage.key not in storages:
            raise CheckpointError(f"is damaged: it lacks the storage {storage.key[:40]!r}")
        return storages[storage.key]

    return _state_dict(root, storage_bytes)


def _read_safetensors(data: bytes) -> dict[str, np.ndarray]:
    """A length, a JSON header of types, shapes and offsets, then the data."""
    length = int.from_bytes(data[:8], "little")
    if length > len(data) - 8 or length > MAX_HEADER_BYTES:
        raise CheckpointError("is not a .safetensors file, or it is cut off within its header")
    try:
        header = json.loads(data[8 : 8 + length].decode())
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"is not a .safetensors file: its header is no JSON ({error})"
        ) from error
    tensors = {}
    content = memoryview(data)[8 + length :]
    for name, entry in header.items() if isinstance(header, dict) else ():
        if name == "__metadata__":
            continue
        try:
            dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
            dtype = np.dtype(_SAFETENSORS[dtype])
            usable = len(shape) <= MAX_DIMENSIONS and 0 <= begin <= end
            usable = usable and all(type(number) is int for number in (*shape, begin, end))
        except (KeyError, TypeError, ValueError):
            usable = False
        if not usable:
            raise CheckpointError(f"has no usable type, shape and place for {name[:80]!r}")
        if end > len(content):
            raise CheckpointError(f"is cut off: it ends before {name[:80]!r} does")
        strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
        storage = Storage(dtype, name, (end - begin) // dtype.itemsize)
        tensor = Tensor(storage, 0, tuple(shape), tuple(strides))
        tensors[name] = tensor.array(name, content[begin:end])
    if not tensors:
        raise CheckpointError("holds no tensors")
    return tensors


def _storages(root: Any) -> list[Storage]:
    """The storages of all tensors below `root`, walked without recursion, each object once."""
    found, seen, rest = [], set(), [root]
    while rest:
        value = rest.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Tensor):
            found.append(value.storage)
        elif isinstance(value, dict):
            rest.extend(value.values())
        elif isinstance(value, (list, tuple)):
            rest.extend(value)
    return found


def _state_dict(
    root: Any, storage_bytes: Callable[[Storage], bytes | memoryview]
) -> dict[str, np.ndarray]:
    """Find the dictionary of tensors, at the top or up to three dictionaries deep."""
    level = {"": root}
    for _ in range(4):
        level = {name: value for name, value in level.items() if isinstance(value, dict)}
        found = {name: value for name, value in level.items() if _tensors_of(value)}
        if len(found) > 1:
            raise CheckpointError(
                f"holds several networks, {', '.join(sorted(found))[:200]}: save one of them alone"
            )
        for value in found.values():
            return {
                name: tensor.array(name, storage_bytes(tensor.storage))
                for name, tensor in _tensors_of(value).items()
            }
        distinct = {}  # a dictionary that stands in many places is looked at once
        for value in level.values():
            distinct |= {id(child): (str(name), child) for name, child in value.items()}
        level = {f"{name[:40]}": child for name, child in distinct.values()}
    raise CheckpointError("holds no tensors by name: it is not a state dict")


def _tensors_of(value: dict) -> dict[str, Tensor]:
    return {
        name: item
        for name, item in value.items()
        if isinstance(name, str) and isinstance(item, Tensor)
    }
