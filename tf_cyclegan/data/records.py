"""The examples of a prepared TFDS split by index, from its files: none is held in memory.

A TFRecord is a length of 8 bytes, a checksum of 4, the content, and a checksum of 4
(https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details).
"""

import os
import struct
from collections.abc import Sequence
from pathlib import Path

from ..errors import UserError
from .unreadable import UnreadableImage

BEFORE, AFTER = 12, 4  # bytes around the content of a record


class Records:
    """All records of some files, in their order.

    Args:
        paths: Of the files; of each, the lengths of the records are read at once.

    Raises:
        UserError: A file is not there or ends within a record.
    """

    def __init__(self, paths: Sequence[Path]):
        self._places = [(path, *place) for path in paths for place in _places(path)]

    def __len__(self):
        return len(self._places)

    def __getitem__(self, index: int) -> bytes:
        """The content of a record.

        Raises:
            UnreadableImage: It cannot be read any more.
        """
        path, start, length = self._places[index]
        try:
            with path.open("rb") as file:
                file.seek(start)
                return file.read(length)
        except OSError as error:
            raise UnreadableImage(error.strerror) from error

    def stamp(self, index: int) -> tuple[int, int]:
        """Size and time of the file that a record is in."""
        status = self._places[index][0].stat()
        return status.st_size, status.st_mtime_ns


def _places(path: Path) -> list[tuple[int, int]]:
    """Where the content of every record of a file begins, and how long it is."""
    places, place = [], 0
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            while place < size:
                file.seek(place)
                (length,) = struct.unpack("<Q", file.read(8))
                places.append((place + BEFORE, length))
                place += BEFORE + length + AFTER
    except (OSError, struct.error) as error:
        raise UserError(f"cannot read {path}: {error}; prepare the data set again") from error
    if place != size:
        raise UserError(f"{path} ends within a record; prepare the data set again")
    return places


def image_in(example: bytes) -> bytes:
    """The encoded image of a serialised tf.train.Example, its feature "image".

    Raises:
        UnreadableImage: It holds none.
    """
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        feature = tf.train.Example.FromString(example).features.feature["image"]
        return feature.bytes_list.value[0]
    except (DecodeError, IndexError) as error:
        raise UnreadableImage("its record is damaged") from error
