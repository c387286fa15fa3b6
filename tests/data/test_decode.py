import io

import numpy as np
import pytest
from PIL import Image

from tf_cyclegan.data.decode import UnreadableImage, decode_image, decode_resized


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
