"""What a picture's file says beside the picture, and stays true of its translation.

Exif of where, when and with what a photograph was taken, and where on earth a GeoTIFF lies.
"""

import io
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

from PIL import ExifTags, Image, TiffImagePlugin

from .metadata import PNG_MAGIC
from .recognize import open_image
from .unreadable import UnreadableImage, library_errors

_BASE = ExifTags.Base
SUB_DIRECTORIES = _EXIF, _GPS = ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo
_RESOLUTION = (_BASE.XResolution, _BASE.YResolution)
# Of the first directory; the others tell how the pixels are stored, or hold a small copy of them.
_KEPT = (
    *(_BASE.ImageDescription, _BASE.Make, _BASE.Model, _BASE.Software, _BASE.DateTime),
    *(*_RESOLUTION, _BASE.ResolutionUnit),
    *(_BASE.Artist, _BASE.HostComputer, _BASE.Copyright, _BASE.Rating, _BASE.RatingPercent),
    *(_BASE.XPTitle, _BASE.XPComment, _BASE.XPAuthor, _BASE.XPKeywords, _BASE.XPSubject),
)
# The camera's own block does not survive a move, and places in the picture do not survive a turn.
_SUBJECT_AREA = 0x9214
_LEFT = (_BASE.MakerNote, _BASE.SubjectLocation, _SUBJECT_AREA, ExifTags.IFD.Interop)
_INCH, _CENTIMETRE = 2, 3  # of the tag ResolutionUnit
_SIZE = (_BASE.ExifImageHeight, _BASE.ExifImageWidth)
_SRGB = 1
# tifffile writes no tags of other directories: tags that nobody has keep their places.
BEFORE = 1
MOST_BYTES = 65533  # of Exif in a JPEG
_BYTE, _ASCII, _LONG, _LONG8 = 1, 2, 4, 16  # types of TIFF
_UNICODE = b"UNICODE\0"  # before text of two bytes a letter, in the order of the block's numbers
# GeoTIFF 1.1, section 7.1: scale, tie points, transformation, and the keys of the system.
PLACE = {33550: 12, 33922: 12, 34264: 12, 34735: 3, 34736: 12, 34737: 2}  # and their types


@dataclass(frozen=True)
class Carried:
    """What is carried over.

    Attributes:
        directories: Tags and values of Exif, by the number of their directory; 0 is the first.
        place: Tags of `PLACE` and their values.
    """

    directories: Mapping[int, Mapping[int, Any]] = field(default_factory=dict)
    place: Mapping[int, Any] = field(default_factory=dict)

    def exif(self, size: tuple[int, int], is_srgb: bool) -> bytes | None:
        """An Exif block for an upright picture; None where it would say nothing but the resolution.

        Args:
            size: Its height and width.
            is_srgb: Its colours are sRGB.
        """
        exif = Image.Exif()
        exif.endian = "<"
        exif.update({tag: _as_bytes(value) for tag, value in self.directories.get(0, {}).items()})
        for number in SUB_DIRECTORIES:
            if values := self.sub_directory(number, size, is_srgb):
                exif.get_ifd(number).update(values)
        said = {tag for tags in self.directories.values() for tag in tags}
        block = exif.tobytes() if said - {*_RESOLUTION, _BASE.ResolutionUnit} else b""
        return block if 0 < len(block) <= MOST_BYTES else None

    def sub_directory(self, number: int, size: tuple[int, int], is_srgb: bool) -> dict[int, Any]:
        """Tags and values of one of `SUB_DIRECTORIES`, as they are true of such a picture."""
        values = dict(self.directories.get(number, {}))
        true = dict(zip(_SIZE, size, strict=True)) | ({_BASE.ColorSpace: _SRGB} if is_srgb else {})
        return values | {tag: value for tag, value in true.items() if tag in values}

    def elsewhere(self) -> "Carried":
        """The same for a picture whose pixels are others: scaled, or put beside others."""
        return replace(self, place={})

    def tiff_tags(self) -> list[tuple[int, int, int, Any, bool]]:
        """The first directory and the place, as tifffile writes them into a TIFF."""
        values = {**self.directories.get(0, {}), **self.place}
        tags: list = []
        for tag, value in values.items():
            if isinstance(value, bytes):
                tags.append((tag, _BYTE, len(value), value))
            elif isinstance(value, str):
                text = _as_bytes(value) + b"\0"
                tags.append((tag, _ASCII, len(text), text))
            elif tag in self.place:
                tags.append((tag, PLACE[tag], len(value), value))
        # Where the other directories are, is not known yet.
        numbers = [number for number in SUB_DIRECTORIES if self.directories.get(number)]
        tags += [(number - BEFORE, _LONG, 1, 0) for number in numbers]
        return [(*tag, True) for tag in tags]

    @property
    def dpi(self) -> tuple[float, float] | None:
        """Pixels an inch, across and down; None where that is not said."""
        values = self.directories.get(0, {})
        factor = {_INCH: 1.0, _CENTIMETRE: 2.54}.get(values.get(_BASE.ResolutionUnit, _INCH))
        if factor is None or not set(_RESOLUTION) <= set(values):
            return None
        across, down = (factor * float(values[tag]) for tag in _RESOLUTION)
        return across, down

    def tiff_resolution(self) -> dict[str, Any]:
        """The resolution, as tifffile writes it."""
        values = self.directories.get(0, {})
        if not set(_RESOLUTION) <= set(values):
            return {}
        resolution = [float(values[tag]) for tag in _RESOLUTION]
        return {"resolution": resolution, "resolutionunit": values.get(_BASE.ResolutionUnit, _INCH)}

    def add_to_tiff(self, file: BinaryIO, size: tuple[int, int], is_srgb: bool) -> None:
        """Put the other directories behind a TIFF that has `tiff_tags`.

        Args:
            file: The TIFF, to read and to write.
            size, is_srgb: As in `exif`.
        """
        import tifffile

        numbers = [number for number in SUB_DIRECTORIES if self.directories.get(number)]
        if not numbers:
            return
        file.seek(0)
        with tifffile.TiffFile(file) as tiff:
            order, is_big = tiff.byteorder, tiff.is_bigtiff
            name = b"II" if order == "<" else b"MM"
            head = struct.pack(f"{order}2sH12x", name, 43 if is_big else 42)
            for number in numbers:
                directory = TiffImagePlugin.ImageFileDirectory_v2(
                    head[: 16 if is_big else 8], group=number
                )
                directory.update(self.sub_directory(number, size, is_srgb))
                place = file.seek(0, io.SEEK_END)
                place += file.write(bytes(place % 2))
                file.write(directory.tobytes(place))
                tag = tiff.pages.first.tags[number - BEFORE]
                tag.overwrite(place, dtype=_LONG8 if is_big else _LONG)
                file.seek(tag.offset)
                file.write(struct.pack(f"{order}H", number))


NOTHING = Carried()


def read_carried(encoded: bytes) -> Carried:
    """Read what is to be carried over. What is damaged is left out."""
    has_no_exif = (
        encoded.startswith(PNG_MAGIC) and b"eXIf" not in encoded and b"type exif" not in encoded
    )
    try:
        with library_errors():
            image = open_image(encoded)
            if has_no_exif:  # Pillow would decode the picture to look behind it
                return Carried({0: _resolution(image)})
            return carried_of(image)
    except UnreadableImage:
        return NOTHING


def carried_of(image: Image.Image) -> Carried:
    """The same of a picture that Pillow has opened; it raises whatever Pillow does."""
    exif = image.getexif()
    is_tiff = isinstance(image, TiffImagePlugin.TiffImageFile)
    kept = set(_KEPT) - ({_BASE.ImageDescription} if is_tiff else set())  # often of other programs
    found = {0: {tag: exif[tag] for tag in kept if tag in exif and _is_sound(tag, exif[tag])}}
    if not set(_RESOLUTION) & set(found[0]):
        found[0] |= _resolution(image)
    found |= {number: exif.get_ifd(number) for number in SUB_DIRECTORIES}
    comment = found[_EXIF].get(_BASE.UserComment)
    if exif.endian == ">" and isinstance(comment, bytes) and comment.startswith(_UNICODE):
        letters = comment[len(_UNICODE) :]
        swapped = b"".join(letters[i : i + 2][::-1] for i in range(0, len(letters), 2))
        found[_EXIF] = dict(found[_EXIF]) | {_BASE.UserComment: _UNICODE + swapped}
    directories = {
        number: {
            tag: value
            for tag, value in values.items()
            if tag not in _LEFT and _can_be_written(number, tag, value)
        }
        for number, values in found.items()
    }
    is_placed = is_tiff and exif.get(_BASE.Orientation, 1) == 1
    return Carried(directories, _place(image) if is_placed else {})


def _resolution(image: Image.Image) -> dict[int, Any]:
    """What a file says of its resolution outside of Exif, as Exif says it."""
    dpi = image.info.get("dpi")
    if not isinstance(dpi, tuple) or not all(map(_is_sound, _RESOLUTION, dpi)):
        return {}
    return dict(zip(_RESOLUTION, dpi, strict=True)) | {_BASE.ResolutionUnit: _INCH}


def _place(image: TiffImagePlugin.TiffImageFile) -> dict[int, Any]:
    tags = image.tag_v2
    there = {tag: tags[tag] for tag in PLACE if tag in tags and tags.tagtype[tag] == PLACE[tag]}
    return {tag: value for tag, value in there.items() if isinstance(value, str | tuple)}


def _is_sound(tag: int, value: Any) -> bool:
    """Whether a value of the first directory is of the kind that its tag has."""
    if tag in _RESOLUTION:
        is_number = isinstance(value, int | float | TiffImagePlugin.IFDRational)
        return is_number and 0 < float(value) < math.inf
    if tag == _BASE.ResolutionUnit:
        return value in (1, 2, 3)
    return isinstance(value, str | bytes | int)


def _can_be_written(number: int, tag: int, value: Any) -> bool:
    """Cameras write what Pillow reads and cannot write again."""
    exif = Image.Exif()
    (exif.get_ifd(number) if number else exif)[tag] = value
    try:
        with library_errors():
            return bool(exif.tobytes())
    except UnreadableImage:
        return False


def _as_bytes(text: Any) -> Any:
    """Text as it was in its file: Pillow reads it as Latin-1, and writes ASCII alone."""
    return text.encode("latin-1", "replace") if isinstance(text, str) else text
