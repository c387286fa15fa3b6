"""Pictures in every format that is read, with Exif and colour profiles."""

import io
import random
import struct
import zlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import tensorflow as tf
import tifffile
from PIL import Image, ImageCms

from tf_cyclegan.data.decode import decode
from tf_cyclegan.data.picture import resized
from tf_cyclegan.data.unreadable import UnreadableImage
from tf_cyclegan.settings import MAX_PIXELS

from .damage import NUMBERS, damaged
from .kind import Files, Kind

SIZE = (24, 16)
LARGE_EVERY = 400  # decoding one takes a second
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><tiff:Orientation>6</tiff:Orientation></x:xmpmeta>'


@cache
def originals() -> dict[str, bytes]:
    """Whole pictures by a name."""
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE[::-1], 4), np.uint8)
    rgba = Image.fromarray(noise)
    rgb, grey = rgba.convert("RGB"), rgba.convert("L")
    deep = Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
    palette, mask = rgb.quantize(16), grey.convert("1")
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x112], exif[0x11A], exif[0x10F] = 6, 72.0, "maker"
    exif.get_ifd(0x8769).update({0x9204: -0.5, 0x9003: "2020:01:01 00:00:00", 0xA002: 24})
    exif.get_ifd(0x8825).update({1: "N", 2: (1.0, 2.0, 3.0)})
    said = {"exif": exif.tobytes(), "icc_profile": icc}
    return {
        "jpeg": _encoded(rgb, "JPEG", **said, xmp=XMP, comment=b"a comment", dpi=(72, 72)),
        "progressive.jpeg": _encoded(rgb, "JPEG", progressive=True, **said),
        "cmyk.jpeg": _encoded(rgb.convert("CMYK"), "JPEG", exif=exif.tobytes()),
        "grey.jpeg": _encoded(grey, "JPEG"),
        "mpo": _encoded(rgb, "MPO", more=[rgb, grey], exif=exif.tobytes()),
        "png": _encoded(rgb, "PNG", **said, dpi=(72, 72)),
        "rgba.png": _encoded(rgba, "PNG"),
        "la.png": _encoded(rgba.convert("LA"), "PNG", **said),
        "palette.png": _encoded(palette, "PNG", transparency=bytes(range(16)), **said),
        "grey.png": _encoded(grey, "PNG", transparency=7),
        "deep.png": _encoded(deep, "PNG", **said),
        "mask.png": _encoded(mask, "PNG"),
        "animated.png": _encoded(rgba, "PNG", more=[rgba, rgb]),
        "webp": _encoded(rgb, "WEBP", **said, xmp=XMP),
        "rgba.webp": _encoded(rgba, "WEBP", lossless=True, **said),
        "animated.webp": _encoded(rgb, "WEBP", more=[grey], **said),
        "gif": _encoded(rgb, "GIF", more=[grey.convert("RGB")]),
        "palette.gif": _encoded(palette, "GIF", transparency=3, comment="a comment"),
        "bmp": _encoded(rgb, "BMP"),
        "palette.bmp": _encoded(palette, "BMP"),
        "mask.bmp": _encoded(mask, "BMP"),
        "tiff": _encoded(rgb, "TIFF", **said),
        "rgba.tiff": _encoded(rgba, "TIFF", compression="tiff_lzw", icc_profile=icc),
        "deep.tiff": _encoded(deep, "TIFF", compression="tiff_adobe_deflate"),
        "cmyk.tiff": _encoded(rgb.convert("CMYK"), "TIFF", compression="packbits"),
        "jpeg.tiff": _encoded(rgb, "TIFF", compression="jpeg"),
        "fax.tiff": _encoded(mask, "TIFF", compression="group4"),
        "float.tiff": _encoded(grey.convert("F"), "TIFF"),
        "pages.tiff": _encoded(rgb, "TIFF", more=[palette, grey]),
        "big.tiff": _encoded(rgb, "TIFF", big_tiff=True, exif=exif.tobytes()),
        "ppm": _encoded(rgb, "PPM"),
        "deep.pgm": _encoded(deep, "PPM"),
        "pbm": _encoded(mask, "PPM"),
        "pfm": _encoded(grey.convert("F"), "PPM"),
        "text.ppm": b"P3 # a comment\n3 2\n255\n" + b"255 0 0 0 255 0 0 0 255 " * 2,
        "text.pbm": b"P1\n3 2\n1 0 1\n0 1 0\n",
        "avif": _encoded(rgb, "AVIF", **said),
        "rgba.avif": _encoded(rgba, "AVIF", exif=exif.tobytes(), xmp=XMP),
        "animated.avif": _encoded(rgb, "AVIF", more=[grey.convert("RGB")]),
        "jpeg2000": _encoded(rgb, "JPEG2000"),
        "deep.jpeg2000": _encoded(deep, "JPEG2000"),
        "tga": _encoded(rgb, "TGA"),
        "rgba.tga": _encoded(rgba, "TGA", compression="tga_rle"),
        "heif": _heif(rgb, exif.tobytes()),
    } | _arrays(noise)


def _heif(image: Image.Image, exif: bytes) -> bytes:
    from pillow_heif import from_pillow

    file = io.BytesIO()
    from_pillow(image).save(file, exif=exif)
    return file.getvalue()


def _arrays(noise: np.ndarray) -> dict[str, bytes]:
    """Pictures of more than 8 bits, of many bands, and arrays."""
    deep = noise.astype(np.uint16) * 257
    bands = np.concatenate([deep, deep[..., ::-1]], -1)
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    npy, npz = io.BytesIO(), io.BytesIO()
    np.save(npy, bands.astype(np.float32))
    np.savez_compressed(npz, picture=noise)
    return {
        "rgb16.png": tf.io.encode_png(deep[..., :3]).numpy(),
        "rgba16.png": tf.io.encode_png(deep).numpy(),
        "rgb16.ppm": b"P6 16 16 65535\n" + deep[:16, :16, :3].astype(">u2").tobytes(),
        "rgb.pfm": b"PF\n16 16\n-1\n" + deep[:16, :16, :3].astype("<f4").tobytes(),
        "npy": npy.getvalue(),
        "npz": npz.getvalue(),
        "dicom": _dicom(deep[..., 0]),
        "bands.tiff": _tiff(bands, compression="deflate", tile=(16, 16)),
        "separate.tiff": _tiff(bands.transpose(2, 0, 1), planarconfig="separate"),
        "rgb16.tiff": _tiff(
            deep[..., :3], photometric="rgb", compression="deflate", predictor=True, iccprofile=icc
        ),
        "jpeg.bands.tiff": _four_jpeg_bands(noise),
        "float.bands.tiff": _tiff(bands.astype(np.float32), bigtiff=True),
    }


def _tiff(samples: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    options = {"photometric": "minisblack", "planarconfig": "contig"} | options
    tifffile.imwrite(file, samples, **options)
    return file.getvalue()


def _four_jpeg_bands(samples: np.ndarray) -> bytes:
    """What libtiff writes of inks, with the tag that says that they are none."""
    inks = _encoded(Image.fromarray(samples, "CMYK"), "TIFF", compression="jpeg")
    return inks.replace(struct.pack("<HHLL", 262, 3, 1, 5), struct.pack("<HHLL", 262, 3, 1, 1))


def _dicom(samples: np.ndarray) -> bytes:
    import pydicom
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = CTImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = "1.2.3"
    data.Rows, data.Columns = samples.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
    data.RescaleSlope, data.RescaleIntercept = 1, -1024
    data.PixelData = samples.astype("<u2").tobytes()
    file = io.BytesIO()
    data.save_as(file, enforce_file_format=True)
    return file.getvalue()


LARGE = (
    ("RGB", "JPEG", {"progressive": True, "subsampling": 0}),
    ("RGBA", "PNG", {"compress_level": 1}),
    ("I;16", "PNG", {"compress_level": 1}),
    ("RGBA", "WEBP", {"lossless": True, "method": 0}),
    ("RGB", "GIF", {}),
    ("RGB", "TIFF", {"compression": "tiff_lzw"}),
    ("RGBA", "TIFF", {"compression": "packbits"}),
    ("RGBA", "AVIF", {"speed": 10}),
)


@cache
def large(number: int) -> bytes:
    """A small file of a picture as large as any that is decoded."""
    mode, format_, options = LARGE[number % len(LARGE)]
    side = int(MAX_PIXELS**0.5)
    colour = {"RGB": (99, 150, 30), "RGBA": (99, 150, 30, 77), "I;16": 3000}[mode]
    return _encoded(Image.new(mode, (side, side), colour), format_, **options)


def _encoded(
    image: Image.Image, format_: str, more: Sequence[Image.Image] = (), **options
) -> bytes:
    file = io.BytesIO()
    if more:
        options |= {"save_all": True, "append_images": [one.copy() for one in more]}
    image.copy().save(file, format_, **options)  # Pillow leaves settings of a format on an image
    return file.getvalue()


def mutants(count: int, seed: int) -> Iterator[Files]:
    """Yield damaged pictures, half of them damaged where their own format says what is what."""
    choices = random.Random(seed)
    pictures = list(originals().values())
    for i in range(count):
        data = pictures[i % len(pictures)]
        if i % LARGE_EVERY == LARGE_EVERY - 1:
            data = large(i // LARGE_EVERY % len(LARGE))
        for _ in range(choices.choice((1, 1, 1, 2))):
            if choices.random() < 0.6:
                data = _structurally_damaged(data, choices)
            else:
                data = damaged(data, choices, pictures)
        yield {"picture": data}


def metadata_mutants(count: int, seed: int) -> Iterator[bytes]:
    """Yield pictures of `SIZE`, lying or upright, that are damaged in their Exif or profile alone."""
    choices = random.Random(seed)
    whole = {
        "jpeg": (_jpeg_segments, _jpeg, lambda kind, _: kind in (0xE0, 0xE1, 0xE2, 0xFE)),
        "png": (_png_chunks, _png, lambda kind, _: kind in (b"eXIf", b"iCCP", b"pHYs")),
        "webp": (_riff_chunks, _riff, lambda kind, _: kind in (b"EXIF", b"ICCP", b"XMP ")),
    }
    for i in range(count):
        name = list(whole)[i % len(whole)]
        split, join, is_metadata = whole[name]
        parts = split(originals()[name])
        places = [place for place, part in enumerate(parts) if is_metadata(*part)]
        place = choices.choice(places)
        kind, content = parts[place]
        content = _block_damaged(content, choices)[:60_000]
        parts[place] = (kind, content)
        yield join(parts)


def _block_damaged(content: bytes, choices: random.Random) -> bytes:
    """Damage a block of metadata: the entries of its directory, if it has one, or any bytes."""
    start = max(content.find(b"II*\0"), content.find(b"MM\0*"))
    if start >= 0 and choices.random() < 0.7:
        return content[:start] + _directory_damaged(content[start:], choices)
    return damaged(content, choices)


def _structurally_damaged(data: bytes, choices: random.Random) -> bytes:
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _directory_damaged(data, choices)
    for magic, split, join in (
        (b"\xff\xd8", _jpeg_segments, _jpeg),
        (b"\x89PNG", _png_chunks, _png),
        (b"RIFF", _riff_chunks, _riff),
    ):
        if data.startswith(magic):
            parts = split(data)
            if parts:
                return join(_parts_damaged(parts, choices), choices)
    return damaged(data, choices, codes=b" \n#09;\x2c\x21\xf9")


def _parts_damaged(parts: list, choices: random.Random) -> list:
    """Leave out, repeat, swap or damage the parts that a file is made of."""
    parts = list(parts)
    place, other = choices.randrange(len(parts)), choices.randrange(len(parts))
    kind, content = parts[place]
    damage = choices.randrange(8)
    if damage == 0:
        del parts[place]
    elif damage == 1:
        parts.insert(other, parts[place])
    elif damage == 2:
        parts[place], parts[other] = parts[other], parts[place]
    elif damage == 3:
        parts[place] = (parts[other][0], content)
    elif damage == 4:
        parts[place] = _sizes_damaged(parts[place], choices)
    elif damage == 5 and kind in (b"IDAT", b"iCCP", b"zTXt"):
        parts[place] = (kind, _repacked(content, choices))
    else:
        parts[place] = (kind, _block_damaged(content, choices))
    return parts


def _sizes_damaged(part, choices: random.Random):
    """Other numbers of pixels, bits or channels where a header has them."""
    kind, content = part
    formats = {b"IHDR": ">LL", b"fcTL": ">LLLLL", b"VP8X": "<LLL", b"acTL": ">LL"}
    content = bytearray(content)
    if kind == b"IHDR" and choices.random() < 0.5:
        place = choices.randrange(8, 13)
        content[place : place + 1] = bytes([choices.choice((0, 1, 2, 3, 4, 6, 8, 16, 32, 255))])
    elif kind in formats:
        place = 4 * choices.randrange(len(formats[kind]) - 1)
        number = choices.choice((*NUMBERS[:9], 100, 9000, 20_000))
        content[place : place + 4] = struct.pack(formats[kind][:2], number % 2**32)
    elif isinstance(kind, int) and 0xC0 <= kind <= 0xCF:
        place = choices.randrange(6)
        number = choices.choice((0, 1, 3, 4, 8, 16, 100, 255, 9000, 65535)) % 2**16
        content[place : place + 2] = struct.pack(">H", number)
    else:
        content = damaged(bytes(content), choices)
    return kind, bytes(content)


def _repacked(content: bytes, choices: random.Random) -> bytes:
    """Damage what a block holds packed, and pack it again."""
    start = content.find(b"\x78")
    try:
        plain = zlib.decompress(content[start:])
    except zlib.error:
        return content
    return content[:start] + zlib.compress(damaged(plain, choices))


def _directory_damaged(block: bytes, choices: random.Random) -> bytes:
    """Other tags, types, counts and values in a directory of a TIFF or an Exif block."""
    content = bytearray(block)
    order = "<" if content[:2] == b"II" else ">"
    try:
        # The first directory, or one that an entry points to.
        start = struct.unpack_from(order + "L", content, 4)[0]
        count = struct.unpack_from(order + "H", content, start)[0]
        entries = [start + 2 + 12 * i for i in range(count)]
        for entry in entries:
            tag = struct.unpack_from(order + "H", content, entry)[0]
            if tag in (0x8769, 0x8825) and choices.random() < 0.4:
                start = struct.unpack_from(order + "L", content, entry + 8)[0]
                count = struct.unpack_from(order + "H", content, start)[0]
                entries = [start + 2 + 12 * i for i in range(count)]
                break
        for _ in range(choices.choice((1, 1, 2, 4))):
            entry = choices.choice(entries)
            field = choices.randrange(5)
            tags = (0x100, 0x101, 0x102, 0x103, 0x106, 0x111, 0x112, 0x115, 0x116, 0x117, 0x11A)
            if field == 0:
                tags += (0x11C, 0x13D, 0x140, 0x142, 0x143, 0x144, 0x152, 0x153, 0x8769, 0x8825)
                tags += (0x14A, 0x15B, 0x2BC, 0x83BB, 0x8649, 0x8773, 0xA005, 0x927C, 0xC4A5)
                struct.pack_into(order + "H", content, entry, choices.choice(tags))
            elif field == 1:
                struct.pack_into(order + "H", content, entry + 2, choices.randrange(20))
            elif field == 2:
                number = choices.choice((0, 1, 2, 3, 7, 1000, 2**16, 2**31, 2**32 - 1))
                struct.pack_into(order + "L", content, entry + 4, number)
            elif field == 3:
                numbers = (0, 1, 2, 3, 5, 6, 8, 16, 32, 999, 7000, 2**15, 2**31, 2**32 - 1)
                struct.pack_into(order + "L", content, entry + 8, choices.choice(numbers))
            else:
                place = choices.randrange(start, len(content))
                struct.pack_into(order + "H", content, place - 1, choices.choice((0, 1, 65535)))
    except (struct.error, IndexError, ValueError):
        return damaged(block, choices)
    return bytes(content)


def _jpeg_segments(data: bytes) -> list[tuple[int, bytes]]:
    """Markers and contents; from the first scan on all is one."""
    parts, place = [], 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        parts.append((data[place + 1], data[place + 4 : end]))
        place = max(end, place + 4)
    return [*parts, (0xDA, data[place + 4 :])]


def _jpeg(parts: list, choices: random.Random | None = None) -> bytes:
    data = b"\xff\xd8"
    for kind, content in parts:
        length = min(len(content) + 2, 65535)
        if kind == 0xDA:
            length = 12 if len(content) < 2 else 2 + 1 + 2 * content[0] + 3
        elif choices and choices.random() < 0.02:
            length = choices.choice((0, 1, 2, length + 1, 65535))
        data += bytes([0xFF, kind]) + struct.pack(">H", length) + content
    return data


def _png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    parts, place = [], 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        parts.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    return parts


def _png(parts: list, choices: random.Random | None = None) -> bytes:
    """With right checksums, which let damage pass; with `choices` some are wrong, and lengths."""
    data = b"\x89PNG\r\n\x1a\n"
    for kind, content in parts:
        length, checksum = len(content), zlib.crc32(kind + content)
        if choices and choices.random() < 0.02:
            length = choices.choice((0, length + 1, 2**31 - 1, 2**32 - 1))
        if choices and choices.random() < 0.02:
            checksum ^= 1
        data += struct.pack(">L", length) + kind + content + struct.pack(">L", checksum)
    return data


def _riff_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    parts, place = [], 12
    while place + 8 <= len(data):
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        parts.append((data[place : place + 4], data[place + 8 : place + 8 + length]))
        place += 8 + length + length % 2
    return parts


def _riff(parts: list, choices: random.Random | None = None) -> bytes:
    data = b"WEBP"
    for kind, content in parts:
        length = len(content)
        if choices and choices.random() < 0.02:
            length = choices.choice((0, length + 1, 2**31 - 1, 2**32 - 1))
        data += kind + struct.pack("<L", length) + content + b"\0" * (len(content) % 2)
    return b"RIFF" + struct.pack("<L", len(data)) + data


def read(files: Files, _folder: Path) -> None:
    """Decode, and scale as a training does."""
    picture = decode(files["picture"])
    image = resized(picture.pixels, (16, 16), "bicubic")
    assert image.shape == (16, 16, picture.channels) and image.dtype == picture.dtype


KIND = Kind(
    "pictures: JPEG, MPO, PNG, WebP, GIF, BMP, TIFF, PPM, JPEG 2000, AVIF, HEIC, TGA, DICOM, .npy, "
    ".npz; 8 to 32 bits, many bands; Exif, ICC, XMP",
    0.4,
    mutants,
    read,
    (UnreadableImage,),
)
