import io
import json
import os
import pickle
import struct
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tf_cyclegan.errors import UserError
from tf_cyclegan.torch_weights.checkpoint import LEGACY_MAGIC, parse_checkpoint, read_checkpoint
from tf_cyclegan.torch_weights.pickle import MAX_STEPS, CheckpointError

GOLDEN = Path(__file__).parents[1] / "golden"
FORMATS = ["tensors.pth", "tensors_old.pth", "tensors.safetensors"]
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}


@pytest.mark.parametrize("name", FORMATS)
def test_reads_every_type_and_stride(name):
    tensors = read_checkpoint(GOLDEN / name)
    expected = np.load(GOLDEN / "tensors.npz")
    assert set(tensors) == set(expected.files)
    for key, tensor in tensors.items():
        assert tensor.shape == expected[key].shape
        np.testing.assert_array_equal(tensor.astype(np.float64), expected[key], err_msg=key)
    types = {key: tensors[key].dtype.name for key in ("parameter", "half", "bfloat16", "long")}
    assert types == {
        "parameter": "float32",
        "half": "float16",
        "bfloat16": "bfloat16",
        "long": "int64",
    }


def zip_file(index: bytes, storages=(), **kwargs) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **kwargs) as archive:
        archive.writestr("archive/data.pkl", index)
        for key, content in enumerate(storages):
            archive.writestr(f"archive/data/{key}", content)
    return file.getvalue()


def old_file(index: bytes, storages=(), system=SYSTEM, protocol=1001) -> bytes:
    """Storages of float32."""
    head = [pickle.dumps(value, 2) for value in (LEGACY_MAGIC, protocol, system)]
    keys = pickle.dumps([str(i) for i in range(len(storages))], 2)
    tail = [struct.pack("<q", len(storage) // 4) + storage for storage in storages]
    return b"".join([*head, index, keys, *tail])


def number(value: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", value)


def tensor(key="0", count=6, offset=0, size=(2, 3), stride=(3, 1), function=b"_rebuild_tensor"):
    """Pickle instructions for one tensor as Python 2 wrote them: short strings, no memo."""
    identity = b"(U\x07storagectorch\nFloatStorage\nU\x01" + key.encode()
    identity += b"U\x03cpu" + number(count) + b"NtQ"
    numbers = [b"(" + b"".join(map(number, numbers)) + b"t" for numbers in (size, stride)]
    return (
        b"ctorch._utils\n"
        + function
        + b"\n("
        + identity
        + number(offset)
        + b"".join(numbers)
        + b"tR"
    )


def index(*tensors: bytes) -> bytes:
    """An OrderedDict of Python 2: it is called with a list of pairs, then gets its attributes."""
    pairs = b"".join(b"](U\x01" + b"abcdefgh"[i : i + 1] + t + b"e" for i, t in enumerate(tensors))
    attributes = b"}(U\x09_metadata}ub"
    return b"\x80\x02ccollections\nOrderedDict\n](" + pairs + b"e\x85R" + attributes + b"."


SIX = np.arange(6, dtype=np.float32)


def test_reads_the_index_of_python_2():
    data = old_file(index(tensor(), tensor(size=(3, 2), stride=(1, 3))), [SIX.tobytes()])
    tensors = parse_checkpoint(data)
    np.testing.assert_array_equal(tensors["a"], SIX.reshape(2, 3))
    np.testing.assert_array_equal(tensors["b"], SIX.reshape(2, 3).T)


@pytest.mark.parametrize("wrap", [zip_file, old_file])
@pytest.mark.parametrize(
    "arguments",
    [
        {"size": (2, 4), "stride": (4, 1)},
        {"offset": 1},
        {"offset": -1},
        {"offset": 2**62, "size": (1,), "stride": (1,)},
        {"size": (-2, 3)},
        {"stride": (-3, 1)},
        {"stride": (2**62, 1)},
        {"size": (2**40, 2**20), "stride": (0, 0)},
        {"size": (7,), "stride": (0,)},
        {"size": (2, 3), "stride": (1,)},
        {"size": (1,) * 60, "stride": (1,) * 60},
        {"size": (2**60, 0, 2**60), "stride": (1, 1, 1)},
        {"count": 7, "size": (7,), "stride": (1,)},
        {"count": 2**60},
        {"key": "7"},
        {"function": b"_rebuild_parameter"},
    ],
    ids=str,
)
def test_refuses_tensors_beyond_their_storage(arguments, wrap):
    with pytest.raises(CheckpointError):
        parse_checkpoint(wrap(index(tensor(**arguments)), [SIX.tobytes()]))


class RunsACommand:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("wrap", [zip_file, old_file, bytes])
def test_runs_nothing(tmp_path, wrap, protocol):
    marker, path = tmp_path / "marker", tmp_path / "evil.pth"
    evil = pickle.dumps({"model.1.weight": RunsACommand(marker)}, protocol)
    path.write_bytes(wrap(evil))
    with pytest.raises(UserError, match=r"evil\.pth (asks for|has the pickle|is not|is a pickle)"):
        read_checkpoint(path)
    assert not marker.exists()
    pickle.loads(evil)
    assert marker.exists(), "the pickle of this test does nothing, so it proves nothing"


def test_names_what_it_refuses():
    evil = pickle.dumps({"a": RunsACommand("x")}, 2)
    with pytest.raises(CheckpointError, match=r"asks for '(posix|nt)\.system'"):
        parse_checkpoint(zip_file(evil))
    with pytest.raises(CheckpointError, match="instruction DUP"):
        parse_checkpoint(zip_file(b"\x80\x02}2."))


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\x89PNG\r\n\x1a\n" * 9])
def test_refuses_what_is_no_checkpoint(tmp_path, content):
    path = tmp_path / "latest_net_G.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"latest_net_G\.pth is not a"):
        read_checkpoint(path)


def test_refuses_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, words in (
        (tmp_path, "is a folder; give the file"),
        (tmp_path / "missing.pth", "there is no file"),
        (tmp_path / "pipe", "there is no file"),
    ):
        with pytest.raises(CheckpointError, match=words):
            read_checkpoint(path)


@pytest.mark.parametrize("name", FORMATS)
def test_every_truncation_is_noticed(name):
    data = (GOLDEN / name).read_bytes()
    # What follows the last byte of the last tensor of a stream is nothing.
    for length in [*range(0, len(data), 7), len(data) - 1]:
        with pytest.raises(CheckpointError):
            parse_checkpoint(data[:length])


def test_says_what_else_a_file_holds():
    def dictionary(**items):
        content = b"".join(b"U" + bytes([len(k)]) + k.encode() + v for k, v in items.items())
        return b"}(" + content + b"u"

    storages = [SIX.tobytes()]
    two = dictionary(net_a=dictionary(w=tensor()), net_b=dictionary(w=tensor()))
    with pytest.raises(CheckpointError, match="several networks, net_a, net_b"):
        parse_checkpoint(zip_file(two + b".", storages))
    with pytest.raises(CheckpointError, match="no tensors"):
        parse_checkpoint(zip_file(dictionary(epoch=b"K\x03") + b"."))
    with pytest.raises(CheckpointError, match="big-endian"):
        parse_checkpoint(old_file(index(tensor()), storages, system={"little_endian": False}))
    with pytest.raises(CheckpointError, match="format version 1002"):
        parse_checkpoint(old_file(index(tensor()), storages, protocol=1002))


def safetensors_file(header: dict | bytes, content=b"") -> bytes:
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + content


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 24]},
        {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 28]},
        {"dtype": "F32", "shape": [2, 3], "data_offsets": [24, 0]},
        {"dtype": "F32", "shape": [-2, -3], "data_offsets": [0, 24]},
        {"dtype": "F32", "shape": [2.0, 3], "data_offsets": [0, 24]},
        {"dtype": "F31", "shape": [2, 3], "data_offsets": [0, 24]},
        {"dtype": "F32", "shape": [2, 3], "data_offsets": [0]},
        {"dtype": ["F32"], "shape": 6, "data_offsets": [0, 24]},
        {},
        None,
    ],
    ids=str,
)
def test_refuses_safetensors_that_do_not_add_up(entry):
    with pytest.raises(CheckpointError):
        parse_checkpoint(safetensors_file({"a": entry}, SIX.tobytes()))


@pytest.mark.parametrize("length", [0x80, 0x180])
def test_a_safetensors_header_may_begin_as_a_pickle_does(length):
    header = json.dumps({"a": {"dtype": "F32", "shape": [6], "data_offsets": [0, 24]}}).encode()
    data = safetensors_file(header.ljust(length), SIX.tobytes())
    assert data[0] == 0x80
    np.testing.assert_array_equal(parse_checkpoint(data)["a"], SIX)


def old_pickles(place: int, value: bytes) -> bytes:
    """A stream with another value in one of its five pickles."""
    pickles = [pickle.dumps(one, 2) for one in (LEGACY_MAGIC, 1001, SYSTEM, {}, [])]
    return b"".join([*pickles[:place], value, *pickles[place + 1 :]])


def bombs():
    """Small files that would grow in memory, or never end, in a reader that believes them."""
    shared = [tensor(count=2**16, size=(2**16,), stride=(1,)) for _ in range(8)]
    nested = b"}" + b")" + b"\x85" * 150_000 + b"Ns."  # a key so deep that hashing it overflows
    doubling = b"](" + b"q\x00]h\x00a" * 50_000 + b"."
    twice = b"\x80\x02]q\x00" + b"](h\x00h\x00eq\x00" * 40 + b"."
    deep = b"\x80\x02" + b"(" * 50_000 + b"t" * 50_000 + b"."
    ordered = b"ccollections\nOrderedDict\nq\x01" + b"](" + b"K\x01" * 60_000 + b"eq\x02"
    many_pairs = ordered + b"](" + b"h\x02" * 60_000 + b"e\x85q\x03h\x01h\x03R."
    again = ordered + b"](" + b"](K\x01K\x01e" * 20_000 + b"e\x85q\x03" + b"h\x01h\x03R" * 15_000
    # A tuple of 60,000 items is no longer to write than to read; calls of four bytes go through it.
    filler, call = b"N" * 60_000 + b"tq\x02", b"h\x01h\x02R" * 30_000
    function = b"ctorch._utils\n_rebuild_tensor\nq\x01"
    storage = b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x06N"
    numbers = b"K\x00K\x06\x85K\x01\x85"
    long_size = b"K\x00(" + b"K\x01" * 60_000 + b"tK\x01\x85"
    long_arguments = function + b"(" + storage + b"tQ" + numbers + filler + call
    long_shape = function + b"(" + storage + b"tQ" + long_size + b"tq\x02" + call
    long_identity = storage + filler + b"h\x02Q" * 45_000
    colliding = [b"\x8a\x0f" + (i * (2**61 - 1)).to_bytes(15, "little") for i in range(60_000)]
    for name, value in (("lists in a list twice", twice), ("deep tuples", deep)):
        for place in range(5):
            yield f"{name}, pickle {place} of a stream", old_pickles(place, value)
        yield f"{name} in a zip", zip_file(value)
    yield "a list of pairs that are one long list", zip_file(many_pairs)
    yield "one list of pairs again and again", zip_file(again + b".")
    yield "long arguments again and again", zip_file(long_arguments + b".")
    yield "a long shape again and again", zip_file(long_shape + b".")
    yield "a long identity again and again", zip_file(long_identity + b".")
    yield "numbers of one hash as keys", zip_file(b"}(" + b"N".join(colliding) + b"Nu.")
    yield "compressed", zip_file(b"\0" * 2**24, compression=zipfile.ZIP_DEFLATED)
    yield "shared storage", zip_file(index(*shared), [bytes(2**18)])
    yield "deep key", zip_file(nested)
    yield "lists of lists", zip_file(doubling)
    yield "dictionaries", zip_file(b"}" * 2**20)
    yield "long text", zip_file(b"X\xff\xff\xff\xff" + b"a" * 100)
    yield "huge storage", old_file(index(tensor(count=2**62)), [])
    yield "huge header", struct.pack("<Q", 2**40) + b"{" + b" " * 100
    yield "deep header", safetensors_file(b'{"a":' * 100_000)
    yield (
        "many dimensions",
        safetensors_file({"a": {"dtype": "F32", "shape": [9] * 200_000, "data_offsets": [0, 0]}}),
    )
    yield "members", b"PK\x03\x04" + b"PK\x01\x02" * 20_000


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in bombs()])
def test_bombs_take_neither_memory_nor_time(data):
    start = time.process_time()
    tracemalloc.start()
    with pytest.raises(CheckpointError):
        parse_checkpoint(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # 64 bytes are a dictionary, the largest that one instruction of one byte makes.
    assert peak < 4 * len(data) + 100 * MAX_STEPS
    assert time.process_time() - start < 10
