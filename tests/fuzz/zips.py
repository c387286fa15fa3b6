"""Archives of pictures, packed in every way."""

import io
import random
import struct
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tf_cyclegan.data.decode import UnreadableImage
from tf_cyclegan.data.sources import open_images, open_source
from tf_cyclegan.errors import UserError

from .damage import NUMBERS, damaged
from .kind import Files, Kind, write

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
LARGE_EVERY = 400
LOCAL, CENTRAL, END = b"PK\3\4", b"PK\1\2", b"PK\5\6"
# Places and sizes of the numbers in each record (PKWARE's APPNOTE, 4.3).
FIELDS = {
    LOCAL: ((4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
    CENTRAL: (
        *((4, 2), (6, 2), (8, 2), (10, 2), (12, 2), (16, 4), (20, 4), (24, 4)),
        *((28, 2), (30, 2), (32, 2), (34, 2), (36, 2), (38, 4), (42, 4)),
    ),
    END: ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)),
}
NAMES = (
    *(b"/etc/a.png", b"../a.png", b"C:\\\\a.png", b"trainA/\xff\xfe.png", b"trainA/\0.png"),
    *(b"", b".", b"/", b"trainA/a.png/", b"__MACOSX/a.png", b"trainA/" + b"x" * 500 + b".png"),
)


@cache
def originals() -> list[bytes]:
    """Whole archives, one of each way of packing, and one of long records."""
    archives = []
    for method, is_long in (*((method, False) for method in METHODS), (zipfile.ZIP_STORED, True)):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            archive.comment = b"a comment"
            for split in ("trainA", "trainB", "testA"):
                for i in range(2):
                    content = f"what {split} {i} is made of ".encode() * 40
                    entry = zipfile.ZipInfo(f"set/{split}/{i}.png")
                    entry.compress_type = archive.compression
                    with archive.open(entry, "w", force_zip64=is_long) as member:
                        member.write(content)
        archives.append(file.getvalue())
    return archives


@cache
def bombs() -> list[bytes]:
    """Small archives of much."""
    archives = []
    for method in METHODS[1:]:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            archive.writestr("trainA/a.png", bytes(10**8))
        archives.append(file.getvalue())
    return archives


def mutants(count: int, seed: int) -> Iterator[Files]:
    """Yield damaged archives."""
    choices = random.Random(seed)
    small = originals()
    for i in range(count):
        data = small[i % len(small)]
        if i % LARGE_EVERY == LARGE_EVERY - 1:
            data = bombs()[i // LARGE_EVERY % len(bombs())]
        for _ in range(choices.choice((1, 1, 1, 2, 3))):
            kind = choices.randrange(5)
            if kind < 2:
                data = _record_damaged(data, choices)
            elif kind == 2:
                data = _renamed(data, choices)
            elif kind == 3:
                data = _content_damaged(data, choices)
            else:
                data = damaged(data, choices, originals())
        yield {"set.zip": data}


def _record(data: bytes, magic: bytes, choices: random.Random) -> int | None:
    """The place of one of the records of a kind."""
    places, place = [], data.find(magic)
    while place >= 0:
        places.append(place)
        place = data.find(magic, place + 4)
    return choices.choice(places) if places else None


def _record_damaged(data: bytes, choices: random.Random) -> bytes:
    magic = choices.choice((LOCAL, CENTRAL, CENTRAL, END))
    place = _record(data, magic, choices)
    if place is None:
        return damaged(data, choices)
    offset, size = choices.choice(FIELDS[magic])
    number = choices.choice((*NUMBERS, 2, 8, 9, 12, 14, 63, 0x800, 2**27)) % 2 ** (8 * size)
    start = place + offset
    return data[:start] + number.to_bytes(size, "little") + data[start + size :]


def _renamed(data: bytes, choices: random.Random) -> bytes:
    place = _record(data, CENTRAL, choices)
    if place is None or place + 46 > len(data):
        return damaged(data, choices)
    name = choices.choice(NAMES)
    length = struct.unpack_from("<H", data, place + 28)[0]
    content = bytearray(data[: place + 46] + name + data[place + 46 + length :])
    struct.pack_into("<H", content, place + 28, len(name))
    struct.pack_into("<H", content, place + 8, choices.choice((0, 0x800)))
    return bytes(content)


def _content_damaged(data: bytes, choices: random.Random) -> bytes:
    """Damage the packed data of an entry."""
    place = _record(data, LOCAL, choices)
    if place is None:
        return damaged(data, choices)
    start = place + 40 + choices.randrange(60)
    length = choices.choice((1, 2, 8))
    return data[:start] + choices.randbytes(length) + data[start + length :]


def read(files: Files, folder: Path) -> None:
    """Read every entry, as a data set and as a pile of images."""
    write(files, folder)
    path = folder / "set.zip"
    domain = open_images(path)
    refused = None
    for index in range(len(domain)):
        try:
            domain.read(index)
        except UnreadableImage as error:
            refused = error
    for domain in open_source(str(path)).values():
        assert all(isinstance(name, str) for name in domain.names)
    if refused:
        raise refused


KIND = Kind(
    "zips: stored, deflate, bzip2, LZMA, zip64", 0.2, mutants, read, (UserError, UnreadableImage)
)
