"""Colours that files state without a profile, beside numbers that others publish."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from tf_cyclegan.data.decode import decode, decode_image, decode_profile
from tf_cyclegan.data.light import light_to_pq
from tf_cyclegan.translation.picture_file import encode_picture, read_picture
from tf_cyclegan.translation.targets import KINDS

SRGB_POINTS = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
P3_POINTS = (0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
# Display P3 of the corners of sRGB: CSS Color 4, sample code, of color(srgb 1 0 0) and so on.
P3_OF_RED = (0.9175, 0.2003, 0.1386)
P3_OF_GREEN = (0.4584, 0.9853, 0.2983)


def flat(colour, dtype=np.uint8, size=4):
    """A picture of one colour, of parts from 0 to 1."""
    most = np.iinfo(dtype).max
    return np.full((size, size, 3), np.round(np.multiply(colour, most)), dtype)


def png_of(pixels, **chunks):
    """A PNG file of uint8 or uint16 `[H, W, C]`, with chunks before its pixels."""
    import tensorflow as tf

    encoded = tf.io.encode_png(pixels).numpy()
    place = encoded.index(b"IDAT") - 4
    added = b""
    for kind, content in chunks.items():
        named = kind.encode() + content
        added += struct.pack(">L", len(content)) + named + struct.pack(">L", zlib.crc32(named))
    return encoded[:place] + added + encoded[place:]


def gamma(value):
    """The content of gAMA."""
    return struct.pack(">L", round(100_000 * value))


def points(values):
    """The content of cHRM."""
    return struct.pack(">8L", *(round(100_000 * value) for value in values))


def first_pixel(encoded):
    """A decoded picture's, as parts from 0 to 1, and what was said."""
    picture = decode(encoded)
    samples = np.asarray(picture.pixels)
    return samples[0, 0] / np.iinfo(samples.dtype).max, picture.notes


def srgb(light):
    """IEC 61966-2-1, one number."""
    return 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("power", [1.0, 1.8])
def test_a_gamma_is_applied(power, dtype):
    encoded = png_of(flat((0.5, 0.2, 0.8), dtype), gAMA=gamma(1 / power))
    pixel, notes = first_pixel(encoded)
    expected = [srgb(value**power) for value in (0.5, 0.2, 0.8)]
    np.testing.assert_allclose(pixel, expected, atol=0.007)
    assert notes == (f"converted to sRGB from a gamma of {power:.2g} (gAMA)",)


def test_grey_of_a_gamma_stays_grey():
    encoded = png_of(flat((0.5, 0.5, 0.5))[..., :1], gAMA=gamma(1))
    picture = decode(encoded)
    assert picture.pixels.mode == "L"
    assert abs(picture.pixels.getpixel((0, 0)) - 255 * srgb(0.5)) <= 1.5


@pytest.mark.parametrize(
    "chunks",
    [
        {"gAMA": gamma(0.45455)},
        {"gAMA": gamma(0.45455), "cHRM": points(SRGB_POINTS)},
        {"cHRM": points(P3_POINTS)},  # which browsers pass over, without gAMA
        {"sRGB": b"\0", "gAMA": gamma(1)},
        {"cICP": bytes([1, 13, 0, 1]), "gAMA": gamma(1)},
        {"gAMA": gamma(0)},
        {"cICP": b"", "gAMA": gamma(0.45455)},
    ],
)
def test_what_says_srgb_or_nothing_changes_nothing(chunks):
    pixels = flat((0.5, 0.2, 0.8))
    picture = decode(png_of(pixels, **chunks))
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.notes == ()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("chunks", "name"),
    [
        ({"cICP": bytes([12, 13, 0, 1])}, "Display P3"),
        ({"gAMA": gamma(0.45455), "cHRM": points(P3_POINTS)}, "the primaries of its cHRM"),
    ],
)
def test_primaries_are_applied(chunks, name, dtype):
    for colour, expected in ((P3_OF_RED, (1, 0, 0)), (P3_OF_GREEN, (0, 1, 0))):
        pixel, notes = first_pixel(png_of(flat(colour, dtype), **chunks))
        np.testing.assert_allclose(pixel, expected, atol=0.02)
        assert notes == (f"converted to sRGB from {name}",)


def test_the_profile_is_one_that_others_read():
    encoded = png_of(flat((0.5, 0.2, 0.8)), cICP=bytes([12, 13, 0, 1]))
    profile = ImageCms.ImageCmsProfile(io.BytesIO(decode_profile(encoded)))
    assert ImageCms.getProfileDescription(profile).strip() == "Display P3"
    # Apple's Display P3, of its profile's tags rXYZ, gXYZ and bXYZ.
    published = [
        (0.51512, 0.24120, -0.00105),
        (0.29198, 0.69225, 0.04189),
        (0.15710, 0.06657, 0.78407),
    ]
    told = profile.profile
    for tag, xyz in zip(
        (told.red_colorant, told.green_colorant, told.blue_colorant), published, strict=True
    ):
        np.testing.assert_allclose(tag[0], xyz, atol=1e-3)


def test_colours_that_are_kept_say_in_the_result_what_they_are():
    encoded = png_of(flat((0.5, 0.2, 0.8)), cICP=bytes([12, 13, 0, 1]))
    kept = read_picture(encoded, 100, keep_alpha=True, keep_colour_space=True)
    np.testing.assert_array_equal(kept.pixels, flat((0.5, 0.2, 0.8)))
    written = Image.open(io.BytesIO(encode_picture(kept, KINDS[".png"])))
    assert b"D\0i\0s\0p\0l\0a\0y\0 \0P\0003" in written.info["icc_profile"]
    converted = read_picture(encoded, 100, keep_alpha=True)
    assert converted.profile is None


def box(kind, content):
    """Of a JP2 file."""
    return struct.pack(">L", 8 + len(content)) + kind + content


@pytest.mark.parametrize("format_", ["JPEG2000", "BMP"])
def test_profiles_that_pillow_passes_over(format_):
    profile = decode_profile(png_of(flat((0.5, 0.2, 0.8)), cICP=bytes([12, 13, 0, 1])))
    file = io.BytesIO()
    options = {"quality_layers": [0], "no_jp2": False} if format_ == "JPEG2000" else {}
    Image.fromarray(flat(P3_OF_RED, size=16)).save(file, format_, **options)
    encoded = file.getvalue()
    if format_ == "BMP":  # the header of 40 bytes becomes BITMAPV5HEADER's 124
        pixels = encoded[54:]
        head = struct.pack("<L", 124) + encoded[18:54] + bytes(16) + b"DEBM"
        head = head.ljust(112, b"\0") + struct.pack("<3L", 124 + len(pixels), len(profile), 0)
        size = 14 + 124 + len(pixels) + len(profile)
        encoded = b"BM" + struct.pack("<LLL", size, 0, 138) + head + pixels + profile
    else:
        at = encoded.index(b"jp2h") - 4
        (size,) = struct.unpack_from(">L", encoded, at)
        header = encoded[at + 8 : at + 8 + 22] + box(b"colr", b"\2\0\0" + profile)
        encoded = encoded[:at] + box(b"jp2h", header) + encoded[at + size :]
    pixel, notes = first_pixel(encoded)
    np.testing.assert_allclose(pixel, (1, 0, 0), atol=0.02)
    assert notes == ("converted to sRGB from Display P3",)


def test_adobe_rgb_by_exif():
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.IFD.Interop] = {1: "R03"}
    image, file = Image.fromarray(flat((0.6, 0.4, 0.3), size=16)), io.BytesIO()
    image.save(file, "JPEG", exif=exif, quality=100, subsampling=0)
    pixel, notes = first_pixel(file.getvalue())
    # Adobe RGB (1998), sections 4.3.5.2 and 4.3.6.1, and XYZ to sRGB of IEC 61966-2-1.
    to_xyz = [[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]]
    to_rgb = [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
    light = np.array(to_rgb) @ np.array(to_xyz) @ np.power((0.6, 0.4, 0.3), 563 / 256)
    np.testing.assert_allclose(pixel, [srgb(value) for value in light], atol=0.012)
    assert notes == ("converted to sRGB from Adobe RGB (Exif)",)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_hdr_is_tone_mapped(dtype):
    pq = {"cICP": bytes([9, 16, 0, 1])}

    def grey(light):
        pixel, notes = first_pixel(png_of(flat([light_to_pq(light)] * 3, dtype), **pq))
        assert notes == ("converted to sRGB from HDR (PQ) of BT.2020",)
        np.testing.assert_allclose(pixel, pixel[0], atol=0.01)  # grey stays grey
        return pixel[0]

    dim, white, bright = grey(10), grey(203), grey(1000)
    # Below the knee light stays as it is, of a white of 203 cd/m2; the brightest becomes white.
    assert dim == pytest.approx(srgb(10 / 203), abs=0.01)
    assert dim < white < bright and bright == pytest.approx(1, abs=0.01)
    encoded = bytearray(png_of(flat((1, 1, 1)), cICP=bytes([9, 18, 0, 1])))
    pixel, _ = first_pixel(bytes(encoded))
    np.testing.assert_allclose(pixel, 1, atol=0.01)
    # A hue stays: blue of BT.2020 is no grey.
    pixel, _ = first_pixel(png_of(flat((0.1, 0.1, 0.5), dtype), **pq))
    assert pixel[2] > 2 * max(pixel[:2])


def test_transparency_is_laid_on_white_after_the_colours():
    pixels = np.dstack([flat((0.5, 0.5, 0.5)), np.full((4, 4), 128, np.uint8)])
    value = np.asarray(decode_image(png_of(pixels, gAMA=gamma(1))))[0, 0, 0]
    assert value == pytest.approx(255 * (srgb(0.5) * 128 / 255 + 1 - 128 / 255), abs=1.5)


def avif_of(pixels, primaries, curve):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "AVIF", quality=100, subsampling="4:4:4")
    encoded = bytearray(file.getvalue())
    at = encoded.index(b"colrnclx")
    encoded[at + 9], encoded[at + 11] = primaries, curve
    return encoded


def test_avif():
    pixel, notes = first_pixel(bytes(avif_of(flat(P3_OF_RED, size=16), 12, 13)))
    np.testing.assert_allclose(pixel, (1, 0, 0), atol=0.03)
    assert notes == ("converted to sRGB from Display P3",)
    _, notes = first_pixel(bytes(avif_of(flat(P3_OF_RED, size=16), 12, 18)))
    assert notes == ("converted to sRGB from HDR (HLG) of Display P3",)
    # Where the pictures of a file differ in it, nothing is done.
    several = avif_of(flat(P3_OF_RED, size=16), 12, 13) + b"colrnclx\0\11\0\15"
    assert first_pixel(bytes(several))[1] == ()


def test_heic(tmp_path):
    from pillow_heif import encode

    pixels = flat(P3_OF_RED, size=64)
    numbers = {"color_primaries": 12, "transfer_characteristics": 13, "matrix_coefficients": 1}
    path = tmp_path / "p3.heic"
    encode("RGB", (64, 64), pixels.tobytes(), path, quality=100, chroma=444, **numbers)
    pixel, notes = first_pixel(path.read_bytes())
    np.testing.assert_allclose(pixel, (1, 0, 0), atol=0.03)
    assert notes == ("converted to sRGB from Display P3",)
