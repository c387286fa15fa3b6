"""PyTorch checkpoints in the three formats that are read."""

import io
import random
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tf_cyclegan.torch_weights.checkpoint import parse_checkpoint
from tf_cyclegan.torch_weights.pickle import CheckpointError

from .damage import damaged
from .kind import Files, Kind

GOLDEN = Path(__file__).parents[1] / "golden"
FILES = ("tensors.pth", "tensors_old.pth", "tensors.safetensors")
PICKLE_CODES = b"(.}])N\x88\x89KMJ\x8aGXUTt\x85\x86\x87aesuqrhjcRbQ02l\x80\x93\x94\x81io"


@cache
def originals() -> list[bytes]:
    """Whole checkpoints."""
    return [(GOLDEN / name).read_bytes() for name in FILES]


def mutants(count: int, seed: int) -> Iterator[Files]:
    """Yield damaged checkpoints."""
    choices = random.Random(seed)
    with zipfile.ZipFile(GOLDEN / FILES[0]) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for i in range(count):
        data = originals()[i % len(FILES)]
        if i % len(FILES) == 0 and choices.random() < 0.7:
            # Damage within the archive, which its checksums do not tell.
            name = choices.choice([name for name in members if name.endswith((".pkl", "/0", "/5"))])
            data = _zipped(members | {name: _damaged(members[name], choices)})
        else:
            data = _damaged(data, choices)
        yield {"checkpoint": data}


def _damaged(data: bytes, choices: random.Random) -> bytes:
    return damaged(data, choices, originals(), PICKLE_CODES, _tangled)


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


def read(files: Files, _folder: Path) -> None:
    """Read every byte of every tensor."""
    for tensor in parse_checkpoint(files["checkpoint"]).values():
        tensor.tobytes()


KIND = Kind("PyTorch checkpoints: zip, legacy, safetensors", 0.2, mutants, read, (CheckpointError,))
