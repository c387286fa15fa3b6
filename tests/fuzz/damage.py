"""Damage that any file can have, and any JSON."""

import json
import random
import struct
from collections.abc import Callable, Sequence

NUMBERS = (0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**64 - 1)
JSON_VALUES = (
    *(None, True, False, 0, -1, 1.5, 10**400, 2**63, float("nan"), float("inf"), -float("inf")),
    *("", "x", "\0", "\ud800", "1", "../..", "/", "a" * 10_000, [], {}, [[]], {"": {}}, [1, "2"]),
)
DEEP = b"[" * 20_000 + b"]" * 20_000


def damaged(
    data: bytes,
    choices: random.Random,
    others: Sequence[bytes] = (),
    codes: bytes = b"",
    made: Callable[[random.Random], bytes] | None = None,
) -> bytes:
    """Flip, cut, repeat, overwrite, insert and splice some bytes.

    Args:
        data: A file, or a part of one.
        choices: Where and what.
        others: Files to splice parts of.
        codes: Bytes that mean something in this format, to put anywhere.
        made: Makes bytes to insert.
    """
    content = bytearray(data)
    for _ in range(choices.choice((1, 1, 1, 2, 4, 16))):
        # Most of what can go wrong stands in the first bytes.
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
            order = choices.choice("<>")
            size, code = choices.choice(((1, "B"), (2, "H"), (4, "L"), (8, "Q")))
            number = choices.choice(NUMBERS) % 2 ** (8 * size)
            content[place : place + size] = struct.pack(order + code, number)
        elif kind == 6 and codes:
            content[place : place + 1] = bytes([choices.choice(codes)])
        elif kind == 7 and made:
            content[place:place] = made(choices)
        elif kind == 8 and others:
            other = choices.choice(others)
            start = choices.randrange(len(other))
            content[place:] = other[start : start + choices.choice((64, 2**20))]
    return bytes(content)


def damaged_json(text: bytes, choices: random.Random) -> bytes:
    """Damage the bytes of a JSON text, or what it says."""
    kind = choices.random()
    if kind < 0.3:
        return damaged(text, choices, codes=b'{}[]",:0\\n\\e-.\0\xff')
    if kind < 0.35:
        return choices.choice(
            (b"", b"\0" * 300, DEEP, b"{", b"null", b"5", b"\xff\xfe{}", b"1" * 5000)
        )
    content = json.loads(text)
    for _ in range(choices.choice((1, 1, 2, 3))):
        content = _altered(content, choices)
    return json.dumps(content).encode()


def damaged_lines(text: bytes, choices: random.Random) -> bytes:
    """Damage a file that holds a line of JSON after the other."""
    lines = text.splitlines(keepends=True)
    place = choices.randrange(len(lines))
    kind = choices.randrange(5)
    if kind == 0:
        return damaged(text, choices, codes=b'\n\r{}[]"\0')
    if kind == 1:
        del lines[place]
    elif kind == 2:
        lines[place : place + 1] = lines[place : place + 1] * 2
    elif kind == 3:
        choices.shuffle(lines)
    if kind != 1 or choices.random() < 0.3:
        place = choices.randrange(len(lines))
        lines[place] = damaged_json(lines[place], choices) + b"\n"
    return b"".join(lines)


def _altered(content, choices: random.Random):
    """The content with one value replaced, removed or added, at any depth."""
    if isinstance(content, dict) and content and choices.random() < 0.9:
        key = choices.choice(list(content))
        kind = choices.randrange(8)
        rest = {k: v for k, v in content.items() if k != key}
        if kind == 0:
            return rest
        if kind == 1:
            return content | {choices.choice(("", "x", "__class__", "self")): content[key]}
        return content | {key: _altered(content[key], choices)}
    if isinstance(content, list) and content and choices.random() < 0.9:
        place = choices.randrange(len(content))
        kind = choices.randrange(8)
        if kind == 0:
            return content[:place] + content[place + 1 :]
        if kind == 1:
            return content * choices.choice((2, 100))
        return [*content[:place], _altered(content[place], choices), *content[place + 1 :]]
    return choices.choice(JSON_VALUES)
