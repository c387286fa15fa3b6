"""Feed mutated checkpoints to the reader.

    python tests/torch_weights/fuzz_torch_checkpoint.py 100000 [SEED]

It may give arrays or raise its own error; it may not raise anything else, take long, or take more
than a few times the file's size of memory.
"""

import io
import random
import struct
import sys
import time
import tracemalloc
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tf_cyclegan.torch_weights.checkpoint import parse_checkpoint
from tf_cyclegan.torch_weights.pickle import CheckpointError

GOLDEN = Path(__file__).parents[1] / "golden"
FILES = ("tensors.pth", "tensors_old.pth", "tensors.safetensors")
NUMBERS = (0, 1, 2**7, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1)
PICKLE_CODES = b"(.}])N\x88\x89KMJ\x8aGXUTt\x85\x86\x87aesuqrhjcRbQ02l\x80\x93\x94\x81io"


def mutants(count: int, seed: int) -> Iterator[bytes]:
    """Yield `count` damaged files, the same ones for the same seed."""
    choices = random.Random(seed)
    originals = [(GOLDEN / name).read_bytes() for name in FILES]
    with zipfile.ZipFile(GOLDEN / FILES[0]) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for i in range(count):
        data = originals[i % len(originals)]
        if i % len(originals) == 0 and choices.random() < 0.7:
            # Damage within the archive, which its checksums do not tell.
            name = choices.choice([name for name in members if name.endswith((".pkl", "/0", "/5"))])
            data = _zipped(members | {name: _damaged(members[name], originals, choices)})
        else:
            data = _damaged(data, originals, choices)
        yield data


def _damaged(data: bytes, originals: list[bytes], choices: random.Random) -> bytes:
    content = bytearray(data)
    for _ in range(choices.choice((1, 1, 1, 2, 4, 16))):
        # Most of what can go wrong stands in the first bytes; the rest is numbers.
        place = choices.randrange(min(len(content), choices.choice((16, 400, 2**20, 2**20))) + 1)
        length = choices.choice((1, 2, 4, 8, 64))
        kind = choices.randrange(9)
        if kind == 0 and place < len(content):
            content[place] ^= 1 << choices.randrange(8)
        elif kind == 1 and choices.random() < 0.3:
            del content[place:]
        elif kind == 2:
            del content[place : place + length]
        elif kind == 3:
            content[place:place] = content[place : place + length] * choices.choice((1, 50))
        elif kind == 4:
            content[place : place + length] = choices.randbytes(length)
        elif kind == 5:
            number = struct.pack("<Q", choices.choice(NUMBERS))
            content[place : place + length] = number[: min(length, 8)]
        elif kind == 6:
            content[place : place + 1] = bytes([choices.choice(PICKLE_CODES)])
        elif kind == 7:
            content[place:place] = _tangled(choices)
        else:
            other = choices.choice(originals)
            start = choices.randrange(len(other))
            content[place:] = other[start : start + choices.choice((64, 2**20))]
    return bytes(content)


def _tangled(choices: random.Random) -> bytes:
    """Instructions that make one value: nested deeply, or holding another one very often."""
    many, few = choices.choice((40, 2000, 50_000)), choices.choice((2, 40))
    kind = choices.randrange(4)
    if kind == 0:
        return b"]" * many + b"a" * (many - 1)
    if kind == 1:
        return b"(" * many + b"t" * many
    if kind == 2:  # each list holds the one before twice
        return b"]q\x00" + b"](h\x00h\x00eq\x00" * few
    calls = b"h\x01h\x02R" * few
    return b"ccollections\nOrderedDict\nq\x01](]q\x03" + b"h\x03" * many + b"e\x85q\x02" + calls


def _zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def try_to_read(data: bytes) -> str:
    """Read every byte of every tensor, or return what the reader says against the file."""
    try:
        tensors = parse_checkpoint(data)
    except CheckpointError as error:
        return " ".join(str(error).split()[:2])
    for tensor in tensors.values():
        tensor.tobytes()
    return "read"


def main(count: int, seed: int) -> None:
    outcomes, slowest, largest = Counter(), 0.0, 0.0
    # The time and the memory of one file are measured apart: tracing takes most of the time.
    for data in mutants(count, seed):
        start = time.process_time()
        outcomes[try_to_read(data)] += 1
        slowest = max(slowest, time.process_time() - start)
        if outcomes.total() % 10 == 0:
            tracemalloc.start()
            try_to_read(data)
            largest = max(largest, tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    for outcome, times in outcomes.most_common():
        print(f"{times:8} {outcome}")
    print(f"slowest {slowest * 1000:.1f} ms, most memory {largest / 2**20:.2f} MiB")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
