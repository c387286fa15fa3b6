import io
import itertools
import struct
import subprocess
import sys
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from profiles import ink_profile

from tf_cyclegan.data import decode, left_out
from tf_cyclegan.data.decode import TooManyPixels, UnreadableImage, decode_image, decode_resized


def encode(image, format_, **kwargs):
    buffer = io.BytesIO()
    image.save(buffer, format_, **kwargs)
    return buffer.getvalue()


def gradient(size=(20, 12)):
    width, height = size
    pixels = np.zeros([height, width, 3], np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    pixels[..., 2] = 128
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    ("format_", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("JPEG", {"quality": 95, "subsampling": 0}, 6),
        ("WEBP", {"quality": 95}, 16),
        ("GIF", {}, 40),
    ],
)
def test_formats(format_, options, tolerance):
    decoded = decode_image(encode(gradient(), format_, **options))
    assert decoded.mode == "RGB"
    difference = np.asarray(decoded).astype(int) - np.asarray(gradient())
    assert np.abs(difference).max() <= tolerance


def test_a_gif_gives_its_first_frame():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    encoded = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_image(encoded).getpixel((4, 4)) == (255, 0, 0)


@pytest.mark.parametrize(("mode", "value"), [("L", 77), ("1", 1), ("CMYK", (0, 0, 0, 51))])
def test_other_colour_modes(mode, value):
    format_ = "TIFF" if mode == "CMYK" else "PNG"
    decoded = decode_image(encode(Image.new(mode, (4, 4), value), format_))
    expected = {"L": (77,) * 3, "1": (255,) * 3, "CMYK": (204,) * 3}[mode]
    assert decoded.getpixel((0, 0)) == expected


def test_cmyk_jpeg():
    pixel = decode_image(encode(Image.new("CMYK", (16, 16), (0, 0, 0, 51)), "JPEG")).getpixel(
        (8, 8)
    )
    assert max(abs(c - 204) for c in pixel) <= 2


def test_inks_become_what_their_profile_says():
    """Each mixture of full inks, as Lab becomes sRGB by hand (CIE 15, IEC 61966-2-1)."""
    inks = list(itertools.product((0, 1), repeat=4))
    lab = {
        (c, m, y, k): (
            (100 - 25 * c - 25 * m - 5 * y) * (1 - 0.9 * k),
            (-15 * c + 25 * m) * (1 - k),
            (-15 * c + 30 * y) * (1 - k),
        )
        for c, m, y, k in inks
    }
    expected = np.array([_srgb_of_lab(*lab[mixture]) for mixture in inks])
    patches = np.repeat(np.repeat(255 * np.array(inks, np.uint8).reshape(4, 4, 4), 16, 0), 16, 1)
    image, profile = Image.fromarray(patches, "CMYK"), ink_profile(lab)
    for encoded in (
        encode(image, "JPEG", icc_profile=profile, quality=95),
        encode(image, "TIFF", icc_profile=profile),
        encode(image, "TIFF", icc_profile=profile, compression="jpeg"),
    ):
        picture = decode.decode(encoded)
        assert picture.notes == ("converted to sRGB from Press",)
        middles = picture.samples[8::16, 8::16].reshape(16, 3)
        assert np.abs(middles - expected).max() < 4
        kept = decode.decode(encoded, keep_colour_space=True)
        assert np.abs(kept.samples[8::16, 8::16].reshape(16, 3) - expected).max() > 40


def _srgb_of_lab(lightness, a, b):
    whole = (lightness + 16) / 116
    parts = np.array([whole + a / 500, whole, whole - b / 200])
    xyz = np.where(parts > 6 / 29, parts**3, (parts - 4 / 29) * 3 * (6 / 29) ** 2)
    xyz *= [0.9642, 1.0, 0.8249]
    # From XYZ under D50, by Bradford's adaptation (Lindbloom).
    light = np.clip(
        [
            [3.1338561, -1.6168667, -0.4906146],
            [-0.9787684, 1.9161415, 0.0334540],
            [0.0719453, -0.2289914, 1.4052427],
        ]
        @ xyz,
        0,
        1,
    )
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def test_16_bit_grey_is_scaled_not_clipped():
    samples = np.array([[0, 257, 32896, 65535]], np.uint16)
    decoded = decode_image(encode(Image.fromarray(samples), "PNG"))
    assert np.asarray(decoded)[0, :, 0].tolist() == [0, 1, 128, 255]


def test_transparency_is_laid_on_white():
    half_red = Image.new("RGBA", (2, 2), (255, 0, 0, 128))
    assert decode_image(encode(half_red, "PNG")).getpixel((0, 0)) == (255, 127, 127)
    clear = Image.new("LA", (2, 2), (0, 0))
    assert decode_image(encode(clear, "PNG")).getpixel((0, 0)) == (255, 255, 255)


def test_transparent_palette():
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    decoded = decode_image(encode(image, "PNG", transparency=0))
    assert decoded.getpixel((0, 0)) == (255, 255, 255)
    assert decoded.getpixel((1, 0)) == (0, 0, 255)


def test_exif_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    encoded = encode(gradient((20, 12)), "JPEG", exif=exif, quality=95)
    decoded = decode_image(encoded)
    assert decoded.size == (12, 20)
    expected = np.rot90(np.asarray(gradient((20, 12))), -1).astype(int)
    assert np.abs(np.asarray(decoded) - expected).mean() < 4


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "BMP"])
def test_truncated_images_are_unreadable(format_):
    noise = np.random.default_rng(0).integers(0, 256, [64, 64, 3], np.uint8)
    encoded = encode(Image.fromarray(noise), format_)
    with pytest.raises(UnreadableImage):
        decode_image(encoded[: len(encoded) // 2])


@pytest.mark.parametrize("content", [b"", b"not an image at all", b"\xff\xd8\xff\xe0 almost"])
def test_what_is_no_image_is_unreadable(content):
    with pytest.raises(UnreadableImage):
        decode_image(content)


def test_resizing_takes_any_shape_and_leaves_a_fitting_one():
    encoded = encode(gradient((20, 12)), "PNG")
    assert decode_resized(encoded, (7, 9), "bicubic").shape == (7, 9, 3)
    np.testing.assert_array_equal(decode_resized(encoded, (12, 20), "nearest"), gradient())


def test_nearest_is_what_the_tutorial_does():
    import tensorflow as tf

    encoded = encode(gradient((20, 12)), "PNG")
    expected = tf.image.resize(np.asarray(gradient()), (17, 31), method="nearest")
    np.testing.assert_array_equal(decode_resized(encoded, (17, 31), "nearest"), expected)


def test_bicubic_filters_against_aliasing():
    stripes = np.zeros([64, 64, 3], np.uint8)
    stripes[:, ::2] = 255
    encoded = encode(Image.fromarray(stripes), "PNG")
    small = decode_resized(encoded, (16, 16), "bicubic")
    assert np.abs(small[:, 2:-2].astype(int) - 128).max() <= 2


def ghostscript_would_run(encoded):
    """A picture that Pillow opens through another program."""
    return b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n{} loop\n" + encoded


@pytest.mark.parametrize(
    "content",
    [
        ghostscript_would_run(b""),
        encode(Image.new("RGB", (4, 4)), "PCX"),
    ],
)
def test_formats_that_are_not_named_are_not_opened(content, monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("it was opened"))
    with pytest.raises(UnreadableImage, match="not an image: JPEG, PNG, WEBP"):
        decode_image(content)


@pytest.mark.parametrize("format_", ["PPM", "AVIF"])
def test_content_decides_not_the_suffix(format_):
    assert decode_image(encode(gradient(), format_)).size == (20, 12)


def test_samples_are_scaled_as_floats_would_be():
    samples = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    decoded = np.asarray(decode_image(encode(Image.fromarray(samples), "PNG")))[..., 0]
    np.testing.assert_array_equal(decoded, np.round(samples / 257.0))


def test_strips_join_without_a_seam(monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, [23, 10, 4], np.uint8)
    encoded = encode(Image.fromarray(noise), "PNG")
    whole = np.asarray(decode_image(encoded))
    monkeypatch.setattr(decode, "STRIP_PIXELS", 35)  # three rows at a time, and two
    np.testing.assert_array_equal(decode_image(encoded), whole)


def exif_block(*entries):
    """A directory of (tag, type, count, four bytes) in the order of Intel."""
    directory = b"".join(struct.pack("<HHL", *entry[:3]) + entry[3] for entry in entries)
    return b"II*\0" + struct.pack("<LH", 8, len(entries)) + directory + bytes(4)


TURNED = (0x112, 3, 1, struct.pack("<HH", 6, 0))
DAMAGED_EXIF = {
    # An exposure bias of -2/0, which Pillow reads and cannot write.
    "a negative denominator": b"Exif\0\0"
    + exif_block(TURNED, (0x8769, 4, 1, struct.pack("<L", 38)))
    + struct.pack("<HHHLLL", 1, 0x9204, 10, 1, 56, 0)
    + struct.pack("<ll", -2, 0),
    "a type that does not exist": b"Exif\0\0" + exif_block(TURNED, (0x8769, 77, 1, b"abcd")),
    "a directory beyond the end": b"Exif\0\0" + exif_block(TURNED, (0x8769, 4, 1, b"\xff" * 4)),
    "a directory out of place": b"Exif\0\0" + exif_block(TURNED, (0xA005, 4, 1, b"abcd")),
    "a text for an offset": b"Exif\0\0" + exif_block(TURNED, (0x8769, 2, 4, b"abcd")),
}


@pytest.mark.parametrize("name", DAMAGED_EXIF)
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_damaged_exif_block_costs_neither_picture_nor_orientation(name, format_):
    exif = DAMAGED_EXIF[name]
    if format_ == "TIFF":
        encoded = tiff_with(exif[6:])
    else:
        encoded = encode(Image.new("RGB", (64, 48), "red"), format_, exif=exif)
    decoded = decode_image(encoded)
    assert decoded.size == (48, 64)
    assert decoded.getpixel((20, 20))[0] > 250


def tiff_with(exif):
    """A red 64x48 TIFF whose own directory has the entries of an Exif block, and what follows them."""
    count = struct.unpack_from("<H", exif, 8)[0]
    pixels = Image.new("RGB", (64, 48), "red").tobytes()
    start = 1000  # of the pixels, behind both directories
    own = {256: 64, 257: 48, 258: 8, 259: 1, 262: 2, 273: start, 277: 3, 278: 48, 279: len(pixels)}
    entries = [(tag, 4, 1, struct.pack("<L", value)) for tag, value in own.items()]
    entries += [struct.unpack_from("<HHL4s", exif, 10 + 12 * i) for i in range(count)]
    directory = exif_block(*sorted(entries))[8:]
    encoded = exif[:4] + struct.pack("<L", len(exif)) + exif[8:] + directory
    return encoded.ljust(start, b"\0") + pixels


def chunk(kind, content, crc=0):
    checksum = zlib.crc32(kind + content) ^ crc
    return struct.pack(">L", len(content)) + kind + content + struct.pack(">L", checksum)


@pytest.mark.parametrize(
    "block",
    [
        chunk(b"eXIf", b"II*\0", crc=1),
        chunk(b"iCCP", b"profile\0\0" + zlib.compress(b"?"), crc=1),
        chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(2**21))),
        chunk(b"pHYs", b"1"),
        chunk(b"zTXt", b"word\0\0" + zlib.compress(bytes(2**21))),
    ],
)
def test_damage_beside_the_picture_of_a_png_costs_nothing(block):
    encoded = encode(gradient(), "PNG")
    encoded = encoded[:33] + block + encoded[33:]
    np.testing.assert_array_equal(decode_image(encoded), gradient())


def test_the_orientation_stays_where_another_block_is_damaged():
    exif = Image.Exif()
    exif[0x0112] = 6
    encoded = encode(gradient(), "PNG", exif=exif)
    decoded = decode_image(encoded[:33] + chunk(b"pHYs", b"1") + encoded[33:])
    np.testing.assert_array_equal(decoded, np.rot90(np.asarray(gradient()), -1))


@pytest.mark.parametrize(
    "segment",
    [
        b"\xff\xe0\0\x07JFIF\0",
        b"\xff\xe2\0\x0eICC_PROFILE\0",
        b"\xff\xe2\0\x0cMPF\0II*\0??",
        b"\xff\xed\0\x14Photoshop 3.0\x008BIM",
    ],
)
def test_damage_beside_the_picture_of_a_jpeg_costs_nothing(segment):
    encoded = encode(gradient(), "JPEG", quality=95)
    expected = np.asarray(decode_image(encoded))
    np.testing.assert_array_equal(decode_image(encoded[:2] + segment + encoded[2:]), expected)


SMALL = encode(Image.new("RGBA", (4, 4)), "PNG")


def large(pixels=200_000_000):
    """A PNG that says it is so large, in a few bytes."""
    header = chunk(b"IHDR", struct.pack(">LLBBBBB", pixels // 10_000, 10_000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_too_many_pixels_are_refused_in_our_own_words():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for pixels in (70_000_000, 100_000_000, 200_000_000):
            with pytest.raises(TooManyPixels) as raised:
                decode_image(large(pixels))
            assert f"are {pixels:,} pixels, more than the 65,000,000 that --max-pixels" in str(
                raised.value
            )
    assert decode_image(encode(gradient(), "PNG"), max_pixels=240).size == (20, 12)
    with pytest.raises(TooManyPixels, match="20x12 are 240 pixels, more than the 239 that"):
        decode_image(encode(gradient(), "PNG"), max_pixels=239)


def test_what_was_allowed_is_not_refused_by_pillow(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for format_ in ("PNG", "TIFF", "GIF"):
            assert decode_image(encode(gradient(), format_), max_pixels=240).size == (20, 12)


@pytest.mark.parametrize(
    ("format_", "mode", "most"),
    [
        ("PNG", "RGB", 4),
        ("PNG", "RGBA", 8),
        ("PNG", "I;16", 7),
        ("TIFF", "CMYK", 8),
        ("WEBP", "RGBA", 17),
    ],
)
def test_the_memory_is_what_is_said(format_, mode, most):
    side = 5000
    code = f"""
import re, sys
from tf_cyclegan.data.decode import decode_image
def kilobytes(name):
    return int(re.search(name + r":\\s+(\\d+) kB", open("/proc/self/status").read())[1])
encoded = sys.stdin.buffer.read()
decode_image(bytes.fromhex("{SMALL.hex()}"))
before = kilobytes("VmRSS")
decode_image(encoded)
print((kilobytes("VmHWM") - before) * 1024 / {side}**2)
"""
    options = {"lossless": True, "method": 0} if format_ == "WEBP" else {}
    encoded = encode(Image.new(mode, (side, side)), format_, **options)
    result = subprocess.run([sys.executable, "-c", code], input=encoded, capture_output=True)
    assert result.returncode == 0, result.stderr
    # And what a strip takes on its way, and the process for itself.
    assert most - 1 < float(result.stdout) < most + 2.5


@pytest.mark.parametrize("raised", [struct.error, TypeError, KeyError, OverflowError, MemoryError])
def test_whatever_pillow_raises_is_unreadable(raised, monkeypatch):
    def stumble(*_):
        raise raised("over this")

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", stumble)
    with pytest.raises(UnreadableImage):
        decode_image(encode(gradient(), "PNG"))


def test_a_bug_of_ours_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(decode, "_upright", lambda _: {}["a bug"])
    with pytest.raises(KeyError):
        decode_image(encode(gradient(), "PNG"))


def test_what_is_not_read_of_a_picture_is_told(tmp_path):
    """Frames and bits."""

    def notes(encoded):
        return decode.decode(encoded).notes

    for format_ in ("GIF", "WEBP", "PNG", "AVIF"):
        encoded = encode(gradient(), format_, save_all=True, append_images=[gradient().rotate(90)])
        assert notes(encoded) == (left_out.FRAMES,), format_
        assert notes(encode(gradient(), format_)) == (), format_
    from pillow_heif import encode as encode_heif

    deep = np.asarray(gradient()).astype(np.uint16) * 257
    encode_heif(
        "RGB;16", gradient().size, deep.tobytes(), path := tmp_path / "ten.heic", bit_depth=10
    )
    assert notes(path.read_bytes()) == ("colour of 10 bits, of which the highest 8 are taken",)
    twelve = bytearray(encode(gradient(), "JPEG2000"))
    twelve[twelve.index(b"\xff\x51") + 40] = 11
    image = Image.open(io.BytesIO(encode(gradient(), "JPEG2000")))
    assert left_out.left_out(bytes(twelve), image) == [
        "colour of 12 bits, of which the highest 8 are taken"
    ]


def test_what_is_there_in_place_of_a_picture_is_named():
    with pytest.raises(UnreadableImage, match="it is empty"):
        decode_image(b"")
    with pytest.raises(UnreadableImage, match="git lfs pull"):
        decode_image(b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 12\n")
