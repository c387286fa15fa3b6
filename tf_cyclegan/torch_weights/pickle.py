"""Interprets the pickles of PyTorch's state dicts. Nothing that they ask for is run.

A pickle is a program for a small stack machine that may call any function. PyTorch's own loader ran
it for years; here a few of its instructions are interpreted, just those that dictionaries of tensors
are written with, and everything else is refused.
"""

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pickletools import code2op
from typing import Any

import ml_dtypes
import numpy as np

from ..errors import UserError

MAX_STEPS = 200_000  # a network of a thousand layers stays far below it
MAX_DIMENSIONS = 16
MAX_KEY = 2**60  # larger numbers can be chosen to have one hash, which makes a dictionary quadratic

_STORAGES = {
    "FloatStorage": np.float32,
    "DoubleStorage": np.float64,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}


class CheckpointError(UserError):
    """A file is no checkpoint that can be read: damaged, of another kind, or not only tensors."""


def read_pickle(data: bytes, position: int = 0) -> tuple[Any, int]:
    """Interpret the pickle that starts at `position`.

    Returns:
        What it describes, of dictionaries, lists, tuples, numbers, strings and `Tensor`; and the
        position after it.

    Raises:
        CheckpointError: The pickle is damaged or uses anything that a state dict does not need.
    """
    return _Interpreter(data, position).run()


@dataclass(frozen=True, eq=False)
class Storage:
    """A run of elements of one type, or a part of one."""

    dtype: np.dtype
    key: str
    count: int
    offset: int = 0


@dataclass(frozen=True, eq=False)
class Tensor:
    """A strided view of a storage; offset and strides count elements."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def array(self, name: str, content: bytes | memoryview) -> np.ndarray:
        """View `content`, the bytes of the storage, as this tensor; nothing is copied."""
        storage, item = self.storage, self.storage.dtype.itemsize
        count = min(storage.count, len(content) // item - storage.offset)
        numbers = (storage.offset, self.offset, storage.count, *self.size, *self.stride)
        if (
            len(self.size) != len(self.stride)
            or len(self.size) > MAX_DIMENSIONS
            or min(numbers) < 0
        ):
            raise CheckpointError(f"has an impossible shape for {name[:80]!r}")
        if count < storage.count:
            raise CheckpointError(f"is cut off: the storage of {name[:80]!r} is too short")
        elements = math.prod(self.size)
        reach = sum((n - 1) * stride for n, stride in zip(self.size, self.stride, strict=True))
        if elements > count or (elements and self.offset + reach >= count):
            raise CheckpointError(
                f"declares more data than it holds: {name[:80]!r} has the shape "
                f"{str(list(self.size))[:80]} in a storage of {count} elements"
            )
        strides = [stride * item for stride in self.stride]
        start = (storage.offset + self.offset) * item if elements else 0
        try:
            return np.ndarray(
                self.size, storage.dtype, content, start, strides if elements else None
            )
        except (ValueError, OverflowError) as error:
            raise CheckpointError(f"has an impossible shape for {name[:80]!r}") from error


@dataclass(frozen=True)
class _Global:
    """A name that the pickle may call; here only a mark on the stack."""

    name: str


_MARK = object()
_CALLABLE = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
}
_ACCEPTED = _CALLABLE | {
    f"{module} {storage}" for module in ("torch", "torch.cuda") for storage in _STORAGES
}


class _Interpreter:
    """Interprets the pickle instructions of state dicts, and refuses all others.

    It builds dictionaries, lists, tuples, numbers, strings and descriptions of tensors. Keys of
    dictionaries are strings and integers only: hashing a deeply nested tuple overflows the C stack.
    Values may hold themselves many times over, so nothing here looks into one without counting.

    Args:
        data: What holds the pickle.
        position: Where in it the pickle starts.
    """

    def __init__(self, data: bytes, position: int = 0):
        self.data, self.position = data, position
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.steps = 0

    def run(self) -> tuple[Any, int]:
        """Interpret one pickle.

        Returns:
            What it describes, and the position after it.

        Raises:
            CheckpointError: The pickle is damaged or uses anything that a state dict does not need.
        """
        while True:
            self.spend(1)
            code = self.take(1).decode("latin-1")
            name = code2op[code].name if code in code2op else repr(code)
            if name == "STOP":
                return self.pop(), self.position
            if name not in _INSTRUCTIONS:
                raise CheckpointError(
                    f"has the pickle instruction {name}, which no state dict needs: nothing was run"
                )
            _INSTRUCTIONS[name](self)

    def spend(self, steps: int) -> None:
        """Count instructions, and the items that one of them touches without having made them."""
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise CheckpointError(f"has a pickle of more than {MAX_STEPS} steps")

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        taken = self.data[self.position : self.position + count]
        if len(taken) < count:
            raise CheckpointError("is cut off: it ends within its pickle")
        self.position += count
        return taken

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def text(self, length: int) -> str:
        try:
            return self.take(length).decode()
        except UnicodeDecodeError as error:
            raise CheckpointError("is damaged: its pickle has a name that is no text") from error

    def line(self) -> str:
        end = self.data.find(b"\n", self.position, self.position + 200)
        if end < 0:
            raise CheckpointError("is damaged: its pickle has a name without an end")
        text = self.text(end - self.position)
        self.position += 1
        return text

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise CheckpointError("is damaged: its pickle takes more values than it made")
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        items = []
        while self.stack:
            value = self.stack.pop()
            if value is _MARK:
                return items[::-1]
            items.append(value)
        raise CheckpointError("is damaged: its pickle takes more values than it made")

    def pop_tuple(self, length: int) -> tuple[Any, ...]:
        return tuple([self.pop() for _ in range(length)][::-1])

    def top(self, kind: type) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise CheckpointError(
                f"is damaged: its pickle lacks a {kind.__name__} where it needs one"
            )
        return self.stack[-1]

    def remember(self, number: int) -> None:
        self.memo[number] = self.top(object)

    def recall(self, number: int) -> None:
        if number not in self.memo:
            raise CheckpointError("is damaged: its pickle recalls a value that it never made")
        self.push(self.memo[number])

    def append(self, items: list[Any]) -> None:
        self.top(list).extend(items)

    def set_items(self, items: list[Any]) -> None:
        if len(items) % 2:
            raise CheckpointError("is damaged: its pickle has a key without a value")
        target = self.top(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) not in (str, int):
                raise CheckpointError(
                    "has a dictionary with keys that are neither text nor numbers"
                )
            if type(key) is int and abs(key) > MAX_KEY:
                raise CheckpointError("has a dictionary with numbers as keys that are too large")
            target[key] = value

    def global_name(self) -> None:
        name = f"{self.line()} {self.line()}"
        if name not in _ACCEPTED:
            raise CheckpointError(
                f"asks for {name.replace(' ', '.')!r}, which a state dict does not need: nothing was "
                "run; save the network's state_dict() instead of the whole object"
            )
        self.push(_Global(name))

    def reduce(self) -> None:
        """Call what the pickle calls, if it is one of the four functions that are known here."""
        arguments, function = self.pop(), self.pop()
        name = function.name if isinstance(function, _Global) else None
        if name not in _CALLABLE or not isinstance(arguments, tuple):
            raise CheckpointError("has a pickle that calls what is no function: it was refused")
        if name == "collections OrderedDict":
            # Python 2 gives the items as a list of pairs.
            pairs = arguments[0] if arguments and isinstance(arguments[0], list) else []
            self.spend(len(pairs))
            self.push({})
            for pair in pairs:
                if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                    raise CheckpointError("is damaged: its pickle has a key without a value")
                self.set_items(list(pair))
        elif name == "torch._utils _rebuild_parameter":
            if not arguments or not isinstance(arguments[0], Tensor):
                raise CheckpointError("is damaged: it has a parameter without a tensor")
            self.push(arguments[0])
        else:
            storage, offset, size, stride = (*arguments[:4], None, None, None, None)[:4]
            if not (
                isinstance(storage, Storage)
                and isinstance(size, tuple)
                and isinstance(stride, tuple)
                and max(len(size), len(stride)) <= MAX_DIMENSIONS
                and all(type(number) is int for number in (offset, *size, *stride))
            ):
                raise CheckpointError("is damaged: it has a tensor without storage, size or stride")
            self.push(Tensor(storage, offset, size, stride))

    def build(self) -> None:
        """An ordered dictionary's attributes, such as `_metadata`: nothing that is needed."""
        self.pop()
        self.top(dict)

    def persistent_id(self) -> None:
        """("storage", type, key, device, count), in streams also None or (key, offset, count)."""
        value = self.pop()
        parts = (*value[:6], None)[:6] if isinstance(value, tuple) else ()
        if len(parts) != 6 or parts[0] != "storage" or not isinstance(parts[1], _Global):
            raise CheckpointError("holds more than tensors: save the network's state_dict() alone")
        _, kind, key, _, count, view = parts
        dtype = _STORAGES.get(kind.name.split(" ")[1])
        offset = 0
        if isinstance(view, tuple) and len(view) == 3:
            _, offset, count = view
        if (
            dtype is None
            or not isinstance(key, str)
            or not all(type(number) is int and number >= 0 for number in (offset, count))
        ):
            raise CheckpointError("is damaged: it has a storage without type, name or size")
        self.push(Storage(np.dtype(dtype), key, count, offset))


def _number(layout: str) -> Callable[[_Interpreter], None]:
    return lambda machine: machine.push(machine.number(layout))


def _text(layout: str) -> Callable[[_Interpreter], None]:
    return lambda machine: machine.push(machine.text(machine.number(layout)))


# By their names in pickletools, which explains them.
_INSTRUCTIONS: dict[str, Callable[[_Interpreter], None]] = {
    "PROTO": lambda machine: machine.number("<B"),
    "MARK": lambda machine: machine.push(_MARK),
    "EMPTY_DICT": lambda machine: machine.push({}),
    "EMPTY_LIST": lambda machine: machine.push([]),
    "EMPTY_TUPLE": lambda machine: machine.push(()),
    "NONE": lambda machine: machine.push(None),
    "NEWTRUE": lambda machine: machine.push(True),
    "NEWFALSE": lambda machine: machine.push(False),
    "BININT1": _number("<B"),
    "BININT2": _number("<H"),
    "BININT": _number("<i"),
    "BINFLOAT": _number(">d"),
    "LONG1": lambda machine: machine.push(
        int.from_bytes(machine.take(machine.number("<B")), "little", signed=True)
    ),
    "BINUNICODE": _text("<I"),
    "SHORT_BINSTRING": _text("<B"),  # this and the next are from Python 2
    "BINSTRING": _text("<I"),
    "TUPLE": lambda machine: machine.push(tuple(machine.pop_to_mark())),
    "TUPLE1": lambda machine: machine.push(machine.pop_tuple(1)),
    "TUPLE2": lambda machine: machine.push(machine.pop_tuple(2)),
    "TUPLE3": lambda machine: machine.push(machine.pop_tuple(3)),
    "APPEND": lambda machine: machine.append(machine.pop_tuple(1)),
    "APPENDS": lambda machine: machine.append(machine.pop_to_mark()),
    "SETITEM": lambda machine: machine.set_items(machine.pop_tuple(2)),
    "SETITEMS": lambda machine: machine.set_items(machine.pop_to_mark()),
    "BINPUT": lambda machine: machine.remember(machine.number("<B")),
    "LONG_BINPUT": lambda machine: machine.remember(machine.number("<I")),
    "BINGET": lambda machine: machine.recall(machine.number("<B")),
    "LONG_BINGET": lambda machine: machine.recall(machine.number("<I")),
    "GLOBAL": _Interpreter.global_name,
    "REDUCE": _Interpreter.reduce,
    "BUILD": _Interpreter.build,
    "BINPERSID": _Interpreter.persistent_id,
}
