"""Samples of any depth and number of channels: read as they are, made alike, and fitted."""

import io
import struct
import zipfile
import zlib

import numpy as np
import pydicom
import pytest
import tifffile
from PIL import Image, ImageCms
from profiles import ADOBE_RGB, grey_profile, profile

from tf_cyclegan.data import deep_colour, scaled
from tf_cyclegan.data import tiff_directory as tiff_module
from tf_cyclegan.data.colour import to_srgb
from tf_cyclegan.data.decode import decode, decode_profile
from tf_cyclegan.data.encode import encode_samples
from tf_cyclegan.data.fit import cut, fitted
from tf_cyclegan.data.left_out import FRAMES, NO_DATA
from tf_cyclegan.data.picture import Picture, converted, resized
from tf_cyclegan.data.scaled import ScaledImages
from tf_cyclegan.data.sources import Domain, open_images
from tf_cyclegan.data.survey import Wanted
from tf_cyclegan.data.tiff import Tiff
from tf_cyclegan.data.unreadable import RangeUnknown, TooManyPixels, UnreadableImage
from tf_cyclegan.errors import UserError
from tf_cyclegan.pixels import RGB8, TYPES, PixelFormat
from tf_cyclegan.progress import ProgressLine
from tf_cyclegan.translation.tiff_strips import TiffRows

rng = np.random.default_rng(0)


def samples(dtype, channels=1, size=(9, 7)):
    """Noise over the whole range of a type."""
    if np.dtype(dtype).kind == "f":
        return rng.normal(size=(*size, channels)).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, (*size, channels), dtype, endpoint=True)


def domain(*pictures):
    """A domain of arrays."""
    encoded = [encode_samples(picture, ".tif") for picture in pictures]
    return Domain([f"{i}.tif" for i in range(len(encoded))], encoded.__getitem__)


@pytest.mark.parametrize(
    ("suffix", "dtype", "channels"),
    [
        *((".npy", dtype, 2) for dtype in TYPES),
        *((".tif", dtype, 5) for dtype in TYPES),
        *((".tif", dtype, channels) for dtype in ("uint8", "uint16") for channels in (1, 3, 4)),
        *((".png", "uint8", channels) for channels in (1, 3)),
        (".png", "uint16", 1),
        (".png", "uint16", 3),
    ],
)
def test_what_is_written_is_read(suffix, dtype, channels):
    written = samples(dtype, channels)
    picture = decode(encode_samples(written, suffix))
    assert (picture.dtype, picture.channels, picture.size) == (dtype, channels, (9, 7))
    np.testing.assert_array_equal(picture.samples, written)


def test_other_programs_read_what_is_written():
    written = samples("int16", 1)
    np.testing.assert_array_equal(
        np.asarray(Image.open(io.BytesIO(encode_samples(samples("uint16"), ".png")))).shape, (9, 7)
    )
    found = tifffile.imread(io.BytesIO(encode_samples(written, ".tif")))
    np.testing.assert_array_equal(found, written[..., 0])
    bands = samples("float32", 4)
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(encode_samples(bands, ".tif"))), bands)


@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("compression", [None, "deflate", "lzma"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_tiffs_of_all_layouts(tile, compression, planar, order):
    if compression == "lzma":
        compression = None if tile else "deflate"
    written = samples("uint16", 5, (40, 37))
    array = written if planar == "contig" else written.transpose(2, 0, 1)
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        array,
        photometric="minisblack",
        planarconfig=planar,
        tile=tile,
        rowsperstrip=None if tile else 7,
        compression=compression,
        byteorder=order,
    )
    np.testing.assert_array_equal(decode(file.getvalue()).samples, written)
    part = Tiff(io.BytesIO(file.getvalue()), None).read(5, 9, 20, 17)
    np.testing.assert_array_equal(part, written[5:25, 9:26])


@pytest.mark.parametrize(
    ("mode", "compression"),
    [("I;16", "tiff_lzw"), ("F", "tiff_lzw"), ("I;16", "packbits"), ("F", "tiff_adobe_deflate")],
)
def test_tiffs_that_pillow_packed(mode, compression):
    written = samples({"I;16": "uint16", "F": "float32"}[mode])[..., 0]
    file = io.BytesIO()
    Image.fromarray(written).save(file, "TIFF", compression=compression)
    np.testing.assert_array_equal(decode(file.getvalue()).samples[..., 0], written)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_differences_are_summed(dtype):
    """The predictors of TIFF 6.0, section 14, and of Adobe's note 3, made by hand."""
    written = samples(dtype, 5, (6, 8))
    if dtype == "float32":
        high_first = written.astype(">f4").view(np.uint8).reshape(6, 40, 4).transpose(0, 2, 1)
        data = high_first.reshape(6, 32, 5).copy()
        predictor, sample_format = 3, 3
    else:
        data, predictor, sample_format = written.copy(), 2, 1
    data[:, 1:] = data[:, 1:] - data[:, :-1]
    encoded = tiff_by_hand(
        written, zlib.compress(data.tobytes()), {259: 8, 317: predictor, 339: sample_format}
    )
    np.testing.assert_array_equal(decode(encoded).samples, written)


def tiff_by_hand(samples, packed, tags=(), bits=None):
    """A TIFF of one strip, or of several where `packed` is a list, whose tags are whole numbers."""
    strips = packed if isinstance(packed, list) else [packed]
    height, width, channels = samples.shape
    start = 8 + 2 + 12 * 14 + 4 + 8 * len(strips)
    places = [start + sum(map(len, strips[:i])) for i in range(len(strips))]
    values = {256: width, 257: height, 258: bits or 8 * samples.itemsize, 259: 1, 262: 1}
    values |= {273: places, 277: channels, 278: height, 279: list(map(len, strips)), 284: 1}
    directory, lists = b"", b""
    for tag, value in sorted((values | dict(tags)).items()):
        numbers = value if isinstance(value, list) else [value]
        where = numbers[0]
        if len(numbers) > 1:
            where = start - 8 * len(strips) + len(lists)
            lists += struct.pack(f"<{len(numbers)}L", *numbers)
        directory += struct.pack("<HHLL", tag, 4, len(numbers), where)
    count = len(directory) // 12
    head = b"II*\0" + struct.pack("<LH", 8, count) + directory + bytes(4)
    head = head.ljust(start - 8 * len(strips), b"\0") + lists
    return head.ljust(start, b"\0") + b"".join(strips)


@pytest.mark.parametrize("bits", [2, 5, 10, 12, 14])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_samples_of_other_than_whole_bytes(bits, channels):
    """TIFF 6.0, section 8 on: the highest bit first, every row begins with a byte."""
    written = rng.integers(0, 2**bits, (6, 7, channels)).astype(np.uint16)
    rows = written.reshape(6, -1)[..., None] >> np.arange(bits)[::-1] & 1
    data = np.packbits(rows.reshape(6, -1).astype(np.uint8), axis=1)
    reverse = np.packbits(np.unpackbits(data, axis=1, bitorder="little"), axis=1)
    packed_as = written
    if bits < 8 and channels < 4:  # grey and colour become that of 8 bits, as Pillow makes them
        written = np.round(written * 255 / (2**bits - 1)).astype(np.uint8)
    for packed, tags in (
        (data.tobytes(), {}),
        (zlib.compress(data.tobytes()), {259: 8}),
        (reverse.tobytes(), {266: 2}),
    ):
        tags |= {262: 2 if channels == 3 else 1}
        encoded = tiff_by_hand(packed_as, packed, tags, bits)
        picture = decode(encoded)
        assert picture.dtype == ("uint16" if bits > 8 else "uint8")
        np.testing.assert_array_equal(picture.samples, written)
        np.testing.assert_array_equal(
            Tiff(io.BytesIO(encoded), None).read(2, 3, 3, 4), written[2:5, 3:7]
        )
        if channels == 1 and packed == data.tobytes() and bits in (2, 12):
            np.testing.assert_array_equal(Image.open(io.BytesIO(encoded)), written[..., 0])
    with pytest.raises(UnreadableImage, match="it ends early"):
        decode(tiff_by_hand(packed_as, data.tobytes()[:-1], tags, bits))


def smooth(channels, size=(40, 48)):
    y, x = np.mgrid[: size[0], : size[1]]
    bands = [4 * x, 5 * y, 2 * (x + y), 255 - 3 * x, 90 + x - y]
    return np.stack(bands[:channels], axis=-1).astype(np.uint8)


def test_jpeg_within_tiffs():
    """Bands by themselves, and together with tables beside them, as libtiff writes them."""
    bands = [Image.fromarray(np.ascontiguousarray(smooth(5)[..., band])) for band in range(5)]
    strips, expected = [], []
    for band in bands:
        file = io.BytesIO()
        band.save(file, "JPEG", quality=90)
        strips.append(file.getvalue())
        expected.append(np.asarray(Image.open(file)))
    separate = tiff_by_hand(smooth(5), strips, {259: 7, 284: 2})
    np.testing.assert_array_equal(decode(separate).samples, np.stack(expected, axis=-1))
    for mode, channels in (("L", 1), ("RGB", 3), ("CMYK", 4)):
        image = Image.fromarray(smooth(channels).squeeze(), mode)
        file = io.BytesIO()
        image.save(file, "TIFF", compression="jpeg", quality=90, strip_size=2000)
        there = np.asarray(Image.open(file)).reshape(40, 48, channels)
        assert np.abs(there.astype(int) - smooth(channels)).mean() < 4
        tiff = Tiff(file, None)
        np.testing.assert_array_equal(tiff.read(3, 5, 30, 40), there[3:33, 5:45])
        np.testing.assert_array_equal(tiff.read(), there)
        assert tiff.is_read_by_part == (mode != "CMYK")
    encoded = bytearray(file.getvalue())
    at = encoded.index(struct.pack("<HHLL", 262, 3, 1, 5))
    encoded[at + 8] = 1  # four bands that are no inks
    np.testing.assert_array_equal(decode(bytes(encoded)).samples, there)


@pytest.mark.parametrize(
    ("mode", "format_", "method", "options"),
    [
        ("RGB", "WEBP", 50001, {"lossless": True}),
        ("RGBA", "WEBP", 50001, {"lossless": True}),
        *((mode, "JPEG2000", 34712, {"no_jp2": True}) for mode in ("L", "I;16", "RGB", "RGBA")),
        ("RGB", "JPEG2000", 33005, {"no_jp2": True}),
        ("YCbCr", "JPEG2000", 33003, {"no_jp2": True, "mct": 0}),
    ],
)
def test_pictures_within_tiffs(mode, format_, method, options):
    """WebP as GDAL packs tiles of the earth, JPEG 2000 as microscopes do: 16 rows and 8."""
    colour = smooth(4 if mode == "RGBA" else 3, (24, 20))
    expected = colour if mode != "L" else colour[..., :1]
    if mode == "I;16":
        expected = colour[..., :1].astype(np.uint16) * 200
    image = Image.fromarray(expected.squeeze())
    strips = []
    for top, bottom in ((0, 16), (16, 24)):
        strip = image.crop((0, top, 20, bottom))
        if mode == "YCbCr":  # which the format does not say
            strip = Image.merge("RGB", strip.convert("YCbCr").split())
        strip.save(file := io.BytesIO(), format_, **options)
        strips.append(file.getvalue())
    photometric = 1 if mode in ("L", "I;16") else 2
    tags = {259: method, 262: photometric, 278: 16}
    picture = decode(tiff_by_hand(expected, strips, tags))
    assert picture.dtype == expected.dtype.name
    assert np.abs(picture.samples.astype(int) - expected).max() <= (4 if mode == "YCbCr" else 0)
    for damaged in (strips[0][: len(strips[0]) // 2], strips[1]):
        with pytest.raises(UnreadableImage):
            decode(tiff_by_hand(expected, [damaged, strips[1]], tags))


@pytest.mark.parametrize(
    ("channels", "dtype", "tags", "words"),
    [
        (2, "uint8", {259: 7}, "JPEG of 8 bits and 2 channels, which is not read .* tiffcp -c zip"),
        (5, "uint8", {259: 7}, "JPEG of 8 bits and 5 channels"),
        (1, "uint16", {259: 7}, "JPEG of 16 bits and 1 channels"),
        (3, "uint16", {259: 34712, 262: 2}, "packed with JPEG 2000 of 16 bits and 3 channels"),
        (1, "uint8", {259: 50001}, "packed with WebP of 8 bits and 1 channels"),
        (3, "uint8", {259: 34887, 262: 2}, "packed with LERC, which is not read"),
        (5, "uint16", {259: 4}, "packed with fax"),
        (4, "uint16", {262: 5}, "its colours are CMYK of 4 channels and 16 bits"),
        (1, "uint16", {262: 32803}, "a raw photograph"),
        (3, "uint8", {262: 2, 254: 1, 330: 8}, "a raw photograph"),
    ],
)
def test_tiffs_that_are_refused_say_what_they_are(channels, dtype, tags, words):
    written = samples(dtype, channels)
    with pytest.raises(UnreadableImage, match=words):
        decode(tiff_by_hand(written, written.tobytes(), tags))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_colours_that_are_multiplied_by_their_transparency(dtype):
    """TIFF 6.0, associated alpha: what lies on white is the colour and what white shines through."""
    white, share = np.iinfo(dtype).max, rng.uniform(0, 1, (9, 7, 1))
    colour = samples(dtype, 3)
    there = np.concatenate([np.round(colour * share), np.round(share * white)], -1).astype(dtype)
    file = io.BytesIO()
    tifffile.imwrite(file, there, photometric="rgb", extrasamples=["assocalpha"])
    expected = colour * share + white * (1 - share)
    assert np.abs(decode(file.getvalue()).samples - expected).max() <= 3
    if dtype == "uint8":
        rows = TiffRows(file, RGB8, 10**6)
        assert np.abs(rows.on_white(0, 9) - expected).max() <= 3


def test_floating_colours_keep_their_transparency_as_a_band():
    """Nobody says which number is white."""
    there = samples("float32", 4)
    file = io.BytesIO()
    tifffile.imwrite(file, there, photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(decode(file.getvalue()).samples, there)


def test_other_pages_are_told_and_smaller_copies_are_none():
    for more, notes in (({}, (FRAMES,)), ({"subfiletype": 1}, ())):
        for dtype in ("uint8", "uint16"):
            with tifffile.TiffWriter(file := io.BytesIO()) as tiff:
                tiff.write(samples(dtype)[..., 0])
                tiff.write(samples(dtype)[..., 0], **more)
            assert decode(file.getvalue()).notes == notes
    tifffile.imwrite(
        file := io.BytesIO(), np.zeros([16, 32, 32], np.uint8), volumetric=True, tile=(16, 16, 16)
    )
    with pytest.raises(UnreadableImage, match="it is a volume: save its slices"):
        decode(file.getvalue())


def test_a_big_tiff_of_the_other_order_of_bytes():
    """Pillow takes its directory for another."""
    written = samples("uint8", 3)
    file = io.BytesIO()
    tifffile.imwrite(file, written, photometric="rgb", bigtiff=True, byteorder=">")
    np.testing.assert_array_equal(decode(file.getvalue()).samples, written)


def test_twelve_bits_that_say_so_become_8_without_being_asked():
    written = np.array([[[0], [2048], [4095]]], np.uint16)
    rows = (written.reshape(1, -1)[..., None] >> np.arange(12)[::-1] & 1).astype(np.uint8)
    packed = np.packbits(rows.reshape(1, -1), axis=1).tobytes()
    picture = decode(tiff_by_hand(written, packed, bits=12))
    for window in (None, (0, 65535)):
        assert converted(picture, PixelFormat(1), window).samples.ravel().tolist() == [0, 128, 255]
    assert converted(picture, PixelFormat(1), (0, 2048)).samples.ravel().tolist() == [0, 255, 255]


def test_colour_of_netpbm_keeps_its_bits():
    """PPM of 16 bits and of 10, in bytes and as text; PFM from the lowest row, in both orders."""
    written = samples("uint16", 3, (5, 4))
    encoded = b"P6 # a comment\n4 5\n65535\n" + written.astype(">u2").tobytes()
    np.testing.assert_array_equal(decode(encoded).samples, written)
    ten = written % 1024
    text = b"P3\n4 # wide\n5 1023\n" + b" ".join(b"%d" % sample for sample in ten.ravel())
    np.testing.assert_array_equal(decode(text).samples, np.round(ten / 1023 * 65535))
    floats = samples("float32", 3, (5, 4))
    for order, scale in (("<f4", b"-1.0"), (">f4", b"1")):
        encoded = b"PF\n4 5\n" + scale + b"\n" + floats[::-1].astype(order).tobytes()
        np.testing.assert_array_equal(decode(encoded).samples, floats)
        with pytest.raises(UnreadableImage, match="ends early"):
            decode(encoded[:-1])
    for damaged in (
        b"P6",
        b"P6 4 x 65535 ",
        b"PF 0 4 1\n",
        text[:-9],
        text + b"x",
        b"P6 4 5 70000\n",
    ):
        if damaged.endswith(b"x"):
            damaged = damaged[:-6] + b" x x x"
        with pytest.raises(UnreadableImage):
            decode(damaged)
    with pytest.raises(TooManyPixels):
        decode(b"P6 99999 99999 65535\n")


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_tags_that_hold_numbers_in_place_of_bytes_cost_nothing(dtype):
    written = samples(dtype, 1)
    encoded = tiff_by_hand(written, written.tobytes(), {34675: 7, 347: 7, 42113: 7})
    np.testing.assert_array_equal(decode(encoded).samples, written)
    assert decode_profile(encoded) is None


def test_rows_of_one_large_strip_are_read_alone(monkeypatch):
    monkeypatch.setattr(tiff_module, "STRIP_BYTES", 3 * 7 * 5 * 2)
    written = samples("uint16", 5, (20, 7))
    file = io.BytesIO(tiff_by_hand(written, written.tobytes()))
    tiff = Tiff(file, None)
    assert tiff.rows == 3
    np.testing.assert_array_equal(tiff.read(), written)
    assert tiff.is_read_by_part
    file.truncate(len(file.getvalue()) - 5 * 7 * 5 * 2)
    np.testing.assert_array_equal(tiff.read(4, 1, 10, 5), written[4:14, 1:6])
    with pytest.raises(UnreadableImage, match="ends early"):
        tiff.read(14)
    # One that is packed would have to be unpacked as a whole for every part of it.
    monkeypatch.setattr(tiff_module, "LARGEST_PART", 20 * 7 * 5 * 2 - 1)
    packed = tiff_by_hand(written, zlib.compress(written.tobytes()), {259: 8})
    assert not Tiff(io.BytesIO(packed), None).is_read_by_part
    np.testing.assert_array_equal(decode(packed).samples, written)
    planes = np.ascontiguousarray(written.transpose(2, 0, 1))
    separate = tiff_by_hand(written, [plane.tobytes() for plane in planes], {284: 2})
    np.testing.assert_array_equal(decode(separate).samples, written)


def test_a_tiff_that_unpacks_to_more_than_it_says_takes_no_memory():
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        np.zeros([64, 64, 5], np.uint16),
        compression="deflate",
        planarconfig="contig",
        photometric="minisblack",
    )
    with pytest.raises(TooManyPixels, match="64x64 of 5 channels are 8,192 pixels"):
        decode(file.getvalue(), max_pixels=8191)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros([3, 64, 64]), "channels first"),
        (np.zeros([4, 4, 4, 4]), "its shape is"),
        (np.zeros([4, 4], complex), "not numbers"),
        (np.full([4, 4], np.nan), "no finite numbers"),
        (np.full([4, 4], 2**40), "its samples are int64"),
        (np.array([[None]]), "not numbers"),
    ],
)
def test_arrays_that_are_no_picture(array, words):
    file = io.BytesIO()
    np.save(file, array)
    with pytest.raises(UnreadableImage, match=words):
        decode(file.getvalue())


def test_arrays_are_read_in_any_order_and_without_pickles():
    array = np.asfortranarray(rng.integers(0, 99, (5, 6, 2)).astype(">i8"))
    file = io.BytesIO()
    np.savez_compressed(file, picture=array)
    picture = decode(file.getvalue())
    assert picture.dtype == "int32"
    np.testing.assert_array_equal(picture.samples, array)
    file = io.BytesIO()
    np.savez(file, one=array, other=array)
    with pytest.raises(UnreadableImage, match="one array; this one holds one, other"):
        decode(file.getvalue())
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY")
    with pytest.raises(UnreadableImage):
        decode(file.getvalue())


def dicom(stored, slope=1, intercept=-1024, **more):
    """A CT slice."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    data = pydicom.Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = CTImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    data.Rows, data.Columns = stored.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
    data.PixelRepresentation = 0
    data.RescaleSlope, data.RescaleIntercept = slope, intercept
    data.PixelData = stored.astype("<u2").tobytes()
    for name, value in more.items():
        setattr(data, name, value)
    file = io.BytesIO()
    data.save_as(file, enforce_file_format=True)
    return file.getvalue()


def test_ct_comes_in_hounsfield_units():
    stored = rng.integers(0, 4096, (8, 6))
    picture = decode(dicom(stored))
    assert (picture.dtype, picture.channels) == ("int16", 1)
    np.testing.assert_array_equal(picture.samples[..., 0], stored - 1024)
    half = decode(dicom(stored, slope=0.5))
    assert half.dtype == "float32"
    np.testing.assert_array_equal(half.samples[..., 0], stored / 2 - 1024)
    with pytest.raises(TooManyPixels):
        decode(dicom(stored), max_pixels=47)


def test_samples_that_mark_where_there_are_none_are_told():
    """GDAL's tag, and the padding around a CT slice, which is rescaled with the others."""
    heights = rng.normal(size=(8, 6)).astype(np.float32)
    for there in (False, True):
        heights[2, 3] = -9999 if there else 0
        tag = (42113, 2, 6, b"-9999\0", True)
        tifffile.imwrite(file := io.BytesIO(), heights, extratags=[tag])
        assert decode(file.getvalue()).notes == (NO_DATA.format(-9999),) * there
        stored = rng.integers(1, 4096, (8, 6))
        stored[0] = 0 if there else 1
        slice_ = decode(dicom(stored, PixelPaddingValue=0))
        assert slice_.notes == (NO_DATA.format(-1024),) * there


def test_dicom_of_other_kinds():
    """A palette becomes its colours, a bit black or white, and floating samples are read."""
    index = rng.integers(0, 256, (8, 6)).astype(np.uint8)
    eight = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelData": index.tobytes()}
    tables = rng.integers(0, 65536, (3, 256)).astype("<u2")
    palette = {"PhotometricInterpretation": "PALETTE COLOR"} | eight
    for name, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        palette[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        palette[f"{name}PaletteColorLookupTableData"] = table.tobytes()
    found = decode(dicom(index, **palette)).samples
    np.testing.assert_array_equal(found, tables[:, index].transpose(1, 2, 0))
    mask = rng.integers(0, 2, (8, 6)).astype(np.uint8)
    bits = np.packbits(mask.ravel(), bitorder="little").tobytes()
    one = {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0, "PixelData": bits}
    np.testing.assert_array_equal(decode(dicom(mask, **one)).samples[..., 0], 255 * mask)
    floats = rng.normal(size=(8, 6)).astype("<f4")
    data = pydicom.dcmread(io.BytesIO(dicom(index)))
    del data.PixelData, data.RescaleSlope, data.RescaleIntercept
    data.FloatPixelData, data.BitsAllocated = floats.tobytes(), 32
    data.save_as(file := io.BytesIO())
    np.testing.assert_array_equal(decode(file.getvalue()).samples[..., 0], floats)


def test_dicom_without_its_package_says_what_to_install(monkeypatch):
    encoded = dicom(np.zeros([4, 4]))
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    with pytest.raises(UnreadableImage, match=r"it is DICOM, which needs a package .* pip install"):
        decode(encoded)


def test_samples_become_unit_and_back_to_the_bit():
    levels = np.arange(256, dtype=np.uint8)
    expected = levels.astype(np.float32) / np.float32(127.5) - np.float32(1)
    np.testing.assert_array_equal(RGB8.to_unit(levels), expected)
    for pixels in (RGB8, PixelFormat(1, "uint16", 12, 4071), PixelFormat(1, "int16", -1024, 3071)):
        low, high = int(pixels.low), int(pixels.high)
        values = np.arange(low, high + 1).astype(pixels.dtype)
        unit = pixels.to_unit(values)
        np.testing.assert_allclose(
            unit, 2 * (values.astype(float) - low) / (high - low) - 1, atol=2e-7
        )
        np.testing.assert_array_equal(pixels.from_unit(unit), values)
    window = PixelFormat(1, "int16", -160, 240)
    assert window.to_unit(np.int16([-1000, -160, 40, 240, 3000])).tolist() == [-1, -1, 0, 1, 1]
    assert window.outside(np.int16([-1000, -160, 40, 240, 3000])) == 2
    assert str(window) == "1 channel, 16 bits signed, -160 to 240"


@pytest.mark.parametrize(
    "pixels",
    [
        RGB8,
        PixelFormat(1, "uint16", 12, 4071),
        PixelFormat(4, "float32", -0.5, 1.5),
        PixelFormat(1, "int32", -(2**31), 2**31 - 1),
    ],
)
def test_graphs_compute_the_same(pixels):
    from tf_cyclegan.data.pipeline import denormalise, normalise

    values = samples(pixels.dtype, pixels.channels)
    unit = np.asarray(normalise(values, pixels))
    np.testing.assert_array_equal(unit, pixels.to_unit(values))
    np.testing.assert_array_equal(denormalise(unit, pixels), pixels.from_unit(unit))


def read(pictures, **wanted):
    return ScaledImages(domain(*pictures), (9, 7), "bicubic", wanted=Wanted(**wanted))


def test_a_domain_is_what_its_files_are():
    twelve = [samples("uint16") % 4000 + 12 for _ in range(3)]
    images = read(twelve)
    low, high = (
        int(f(picture))
        for f, picture in (
            (min, np.stack(twelve).min(keepdims=True).ravel()),
            (max, np.stack(twelve).max(keepdims=True).ravel()),
        )
    )
    assert images.pixels == PixelFormat(1, "uint16", low, high)
    assert images.lines == [f"X: 1 channel, 16 bits, {low} to {high} (as measured)"]
    np.testing.assert_array_equal(images[1], twelve[1])
    bands = read([samples("uint8", 4)])
    assert bands.pixels == PixelFormat(4, "uint8", 0, 255)
    assert bands.lines == ["X: 4 channels, 8 bits, 0 to 255"]


def test_values_outside_the_range_are_counted_and_told():
    picture = np.arange(63, dtype=np.int16).reshape(9, 7, 1)
    images = read([picture], limits=(10.0, 59.0))
    assert images.pixels == PixelFormat(1, "int16", 10, 59)
    assert images.lines[1] == ("X: 13 of 63 samples lie outside 10 to 59 and are taken as its ends")


def test_grey_among_colour_is_colour():
    grey, colour = samples("uint8", 1), samples("uint8", 3)
    images = read([grey, colour])
    assert images.pixels == RGB8
    np.testing.assert_array_equal(images[0], np.repeat(grey, 3, axis=2))
    assert read([grey]).pixels.channels == 1
    luma = np.asarray(Image.fromarray(colour).convert("L"))
    np.testing.assert_array_equal(read([grey, colour], channels=1)[1][..., 0], luma)


def test_mixed_domains_are_refused_with_the_files_named_or_made_alike():
    with pytest.raises(
        UserError, match=r"0\.tif has 4 channels, 1\.tif 5 channels; pass --channels-x"
    ):
        read([samples("uint16", 4), samples("uint16", 5)])
    with pytest.raises(
        UserError, match=r"0\.tif has samples of uint8, 1\.tif samples of uint16; pass --type-x"
    ):
        read([samples("uint8"), samples("uint16")])
    eight = samples("uint8")
    alike = read([eight, samples("uint16")], dtype="uint16")
    np.testing.assert_array_equal(alike[0], eight.astype(int) * 257)
    first = read([samples("uint16", 4), five := samples("uint16", 5)], channels=4)
    np.testing.assert_array_equal(first[1], five[..., :4])
    assert "X: 1 picture: the first 4 of 5 bands taken" in first.lines
    with pytest.raises(UserError, match="it has 3 channels, and pictures of its domain have 4"):
        read([samples("uint16", 3)], channels=4)
    with pytest.raises(UserError, match="all samples of X are 7; pass --range-x=LOW,HIGH"):
        read([np.full([9, 7, 1], 7, np.uint16)])


def test_what_does_not_fit_into_memory_is_read_again_and_the_same(monkeypatch):
    pictures = [samples("uint16", 2, (20, 24)) for _ in range(4)]
    kept = read(pictures)
    monkeypatch.setattr(scaled, "CACHE_BYTES", 300)
    again = read(pictures)
    assert again._kept is None and again.pixels == kept.pixels
    for i in range(4):
        np.testing.assert_array_equal(again[i], kept[i])


def test_more_bits_to_8_are_scaled_where_the_range_is_known():
    deep = Picture(np.array([[[0], [257], [32896], [65535]]], np.uint16))
    assert converted(deep, PixelFormat(1)).samples.ravel().tolist() == [0, 1, 128, 255]
    twelve = Picture(np.array([[[0], [2048], [4095]]], np.uint16))
    with pytest.raises(RangeUnknown, match="uint16 from 0 to 4095"):
        converted(twelve, PixelFormat(1))
    assert converted(twelve, PixelFormat(1), (0, 4095)).samples.ravel().tolist() == [0, 128, 255]


@pytest.mark.parametrize("method", ["bilinear", "bicubic", "lanczos", "nearest"])
def test_deep_samples_are_scaled_as_those_of_8_bits(method):
    eight = samples("uint8", 3, (24, 20)) // 2 + 64  # Pillow clips those of 8 bits on its way
    small = resized(Image.fromarray(eight), (10, 12), method).astype(int)
    deep = resized(eight.astype(np.uint16) * np.uint16(257), (10, 12), method) / 257
    assert np.abs(deep - small).max() <= 1.5


def test_fits():
    wide = samples("uint8", 3, (20, 40))
    assert fitted(Image.fromarray(wide), (10, 10), "nearest", "stretch").shape == (10, 10, 3)
    crop = fitted(wide, (10, 10), "nearest", "crop")
    np.testing.assert_array_equal(crop, resized(wide, (10, 20), "nearest"))
    np.testing.assert_array_equal(cut(crop, (10, 10)), crop[:, 5:15])
    pad = fitted(Image.fromarray(wide), (10, 10), "nearest", "pad")
    middle = resized(wide, (5, 10), "nearest")
    np.testing.assert_array_equal(pad[2:7], middle)
    assert (pad[:2] == middle[0]).all() and (pad[7:] == middle[-1]).all()
    np.testing.assert_array_equal(fitted(wide, (10, 10), "nearest", "patches"), wide)
    with pytest.raises(UnreadableImage, match="20x40 pixels, fewer than a patch of 30x30"):
        fitted(wide, (30, 30), "nearest", "patches")
    places = {cut(wide, (10, 10), (u, v)).tobytes() for u in (0, 0.99) for v in (0, 0.99)}
    corners = {wide[i : i + 10, j : j + 10].tobytes() for i in (0, 10) for j in (0, 30)}
    assert places == corners


def test_patches_of_a_large_tiff_are_read_by_tile(tmp_path, monkeypatch):
    pictures = [samples("uint16", 5, (96, 80)) for _ in range(2)]
    for number, picture in enumerate(pictures):
        tifffile.imwrite(
            tmp_path / f"{number}.tif",
            picture,
            photometric="minisblack",
            planarconfig="contig",
            tile=(16, 16),
            compression="deflate",
        )
    assert_patches_are_read_by_tile(tmp_path, (96, 80), monkeypatch)


def test_patches_have_the_colours_of_the_whole(tmp_path, monkeypatch):
    for number in range(2):
        tifffile.imwrite(
            tmp_path / f"{number}.tif",
            samples("uint8", 3, (96, 80)),
            photometric="rgb",
            tile=(16, 16),
            iccprofile=ADOBE_RGB,
        )
    images = assert_patches_are_read_by_tile(tmp_path, (96, 80), monkeypatch)
    assert "X: 2 pictures: converted to sRGB from A space" in images.lines


def test_a_large_tiff_is_looked_at_part_by_part_with_progress(tmp_path, monkeypatch):
    """Its range is measured in full, whatever the size; the line moves within one picture."""
    picture = samples("int16", 2, (100, 40))
    tifffile.imwrite(tmp_path / "a.tif", picture, photometric="minisblack", planarconfig="contig")
    monkeypatch.setattr(scaled, "LARGE_PICTURE", 1000)
    monkeypatch.setattr(scaled, "PART_OF_PICTURE", 30 * 40 * 2 * 2)
    monkeypatch.setattr(tiff_module, "STRIP_BYTES", 10 * 40 * 2 * 2)
    told = []
    update = ProgressLine.update
    monkeypatch.setattr(
        ProgressLine,
        "update",
        lambda line, done: told.append((done, line.total)) or update(line, done),
    )
    images = ScaledImages(
        open_images(tmp_path), (32, 32), "nearest", wanted=Wanted(), fit="patches"
    )
    assert (images.pixels.low, images.pixels.high) == (picture.min(), picture.max())
    assert told == [(0, 5), (1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


def assert_patches_are_read_by_tile(folder, size, monkeypatch):
    """And that they are what they are where the pictures are decoded whole."""

    def read():
        return ScaledImages(
            open_images(folder), (32, 32), "nearest", 0, 2 * size[0] * size[1], Wanted(), "patches"
        )

    whole = read()
    monkeypatch.setattr(scaled, "LARGE_PICTURE", 1000)
    monkeypatch.setattr(Domain, "picture", lambda *_: pytest.fail("it was decoded whole"))
    by_tile = read()
    assert by_tile.pixels == whole.pixels and by_tile.lines == whole.lines
    tiles = []
    unpacked = Tiff._unpacked
    monkeypatch.setattr(Tiff, "_unpacked", lambda *a: tiles.append(a) or unpacked(*a))
    for shares in ((0.0, 0.0), (0.5, 0.5), (0.3, 0.99)):
        expected = whole.cut(1, (32, 32), shares)
        np.testing.assert_array_equal(by_tile.cut(1, (32, 32), shares), expected)
    assert len(tiles) == 2 * 2 + 2 * 3 + 3 * 2  # of 30 each
    return by_tile


def test_reading_is_remembered_until_a_file_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(scaled, "CACHE_BYTES", 100)
    for number in range(3):
        path = tmp_path / "set" / f"{number}.tif"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode_samples(samples("uint16"), ".tif"))
    (tmp_path / "set" / "broken.tif").write_bytes(b"II*\0")
    decoded = []
    picture = Domain.picture
    monkeypatch.setattr(Domain, "picture", lambda *a: decoded.append(a[1]) or picture(*a))

    def read(**wanted):
        decoded.clear()
        domain = open_images(tmp_path / "set")
        return ScaledImages(domain, (9, 7), "nearest", True, wanted=Wanted(**wanted))

    first = read()
    assert sorted(decoded) == [0, 1, 2, 3]
    again = read()
    assert decoded == []
    assert (again.pixels, again.skipped, again.lines) == (first.pixels, first.skipped, first.lines)
    assert read(limits=(0.0, 9.0)).lines[1].startswith("X: ") and len(decoded) == 4
    path.write_bytes(encode_samples(samples("uint16"), ".tif") + b" ")
    read()
    assert len(decoded) == 4
    (remembered := next((tmp_path / "cache").rglob("*.json"))).write_text("{")
    for other in remembered.parent.iterdir():
        other.write_text("{")
    read()
    assert len(decoded) == 4


# Display P3: the primaries under D50 as LittleCMS adapts them.
DISPLAY_P3 = profile(
    2.2, ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
)


def test_deep_colours_become_srgb_as_those_of_8_bits():
    """As LittleCMS converts 8 bits, and finer; what it would not change stays to the bit."""
    eight = samples("uint8", 3, (24, 20))
    for space in (ADOBE_RGB, DISPLAY_P3):
        expected = np.asarray(to_srgb(Image.fromarray(eight), space)[0])
        file = io.BytesIO()
        tifffile.imwrite(file, eight.astype(np.uint16) * 257, photometric="rgb", iccprofile=space)
        picture = decode(file.getvalue())
        assert picture.dtype == "uint16"
        assert picture.notes == ("converted to sRGB from A space",)
        assert np.abs(picture.samples / 257 - expected).max() < 0.7
        kept = decode(file.getvalue(), keep_colour_space=True)
        np.testing.assert_array_equal(kept.samples, eight.astype(np.uint16) * 257)
        assert kept.notes == ()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    tifffile.imwrite(
        file := io.BytesIO(), samples("float32", 3), photometric="rgb", iccprofile=ADOBE_RGB
    )
    assert decode(file.getvalue()).notes == (deep_colour.LEFT,)
    deep = samples("uint16", 4)
    same, note = deep_colour.samples_to_srgb(deep, srgb)
    assert note is None and same is deep
    changed, note = deep_colour.samples_to_srgb(deep, ADOBE_RGB)
    assert note and (changed[..., 3] == deep[..., 3]).all() and (changed != deep)[..., :3].any()
    for damaged in (ADOBE_RGB[:300], ADOBE_RGB[:16], b""):
        assert deep_colour.samples_to_srgb(deep, damaged) == (deep, deep_colour.LEFT)


def test_deep_grey_becomes_that_of_srgb():
    eight = np.arange(256, dtype=np.uint8).reshape(16, 16)
    by_littlecms, _ = to_srgb(Image.fromarray(eight), grey_profile(1.8))
    file = io.BytesIO()
    Image.fromarray(eight.astype(np.uint16) * 257).save(file, "PNG", icc_profile=grey_profile(1.8))
    picture = decode(file.getvalue())
    assert (picture.dtype, picture.notes) == ("uint16", ("converted to sRGB from Grey",))
    assert np.abs(picture.samples[..., 0] / 257 - np.asarray(by_littlecms)).max() < 2
    light = (eight / 255) ** (461 / 256)  # as the profile can say 1.8
    curved = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(picture.samples[..., 0] - 65535 * curved).max() <= 1


def test_a_deep_colour_by_hand():
    """Of AdobeRGB1998, its gamma 563/256, to IEC 61966-2-1, by their published matrices."""
    given = np.array([[[12345, 40000, 60000]]], np.uint16)
    light = (given[0, 0] / 65535) ** (563 / 256)
    to_xyz = np.array(  # section 4.3.5.3 of Adobe RGB (1998), under D65
        [[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]]
    )
    from_xyz = np.array(  # IEC 61966-2-1
        [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
    )
    linear = np.clip(from_xyz @ to_xyz @ light, 0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    found, _ = deep_colour.samples_to_srgb(given, ADOBE_RGB)
    assert np.abs(found[0, 0] - 65535 * curved).max() < 65535 * 0.002


def curve(kind, *numbers):
    """The tag of a curve: 0 to 4 for a parametric one, otherwise a table."""
    if kind == "table":
        return b"curv" + struct.pack(f">4xL{len(numbers)}H", len(numbers), *numbers)
    return b"para" + struct.pack(
        f">4xH2x{len(numbers)}i", kind, *(round(65536 * n) for n in numbers)
    )


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        (curve("table"), lambda x: x),
        (curve("table", 512), lambda x: x**2),
        (curve("table", 0, 16384, 65535), lambda x: np.interp(x, [0, 0.5, 1], [0, 0.25, 1])),
        (curve(0, 3), lambda x: x**3),
        (curve(1, 2, 2, -1), lambda x: np.maximum(2 * x - 1, 0) ** 2),
        (curve(2, 2, 1, -0.5, 0.25), lambda x: np.maximum(x - 0.5, 0) ** 2 + 0.25),
        (curve(3, 2, 1, 0, 0.5, 0.5), lambda x: np.where(x >= 0.5, x**2, x / 2)),
        (
            curve(4, 2, 0.5, 0, 0.25, 0.5, 0.25, 0.125),
            lambda x: np.where(x >= 0.5, x**2 / 4 + 0.25, x / 4 + 0.125),
        ),
    ],
)
def test_curves_of_profiles(curve, expected):
    """ICC.1:2022, sections 10.6 and 10.18."""
    x = np.linspace(0, 1, 65536)
    np.testing.assert_allclose(deep_colour._curve(curve), expected(x), atol=1e-5)
