"""Files and folders as people have them: what is read, and what is left out."""

import io
import os

import numpy as np
import pytest
from conftest import write_images
from PIL import Image
from profiles import ADOBE_RGB

from tf_cyclegan.data.decode import decode, decode_image
from tf_cyclegan.data.passed_over import passed_over
from tf_cyclegan.data.recognize import IMAGE_SUFFIXES
from tf_cyclegan.data.sources import open_images, open_source
from tf_cyclegan.data.unreadable import RangeUnknown, UnreadableImage
from tf_cyclegan.data.walk import image_files, in_words
from tf_cyclegan.errors import UserError


def encode(image, format_, **options):
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


@pytest.fixture
def set_(tmp_path):
    """The folder of a data set: two pictures of A, one of B."""
    write_images(tmp_path / "set" / "trainA", 2)
    write_images(tmp_path / "set" / "trainB", 1)
    return tmp_path / "set"


def count(folder):
    domains = open_source(str(folder))
    return {split: len(domain) for split, domain in domains.items()}


TWO_AND_ONE = {"trainA": 2, "trainB": 1}


@pytest.mark.parametrize(
    "place",
    [
        ".ipynb_checkpoints/0-checkpoint.png",
        "deep/.thumbnails/0.png",
        "@eaDir/0.png",
        "__MACOSX/0.png",
        ".Trash-1000/files/0.png",
        "._0.png",
        "$RECYCLE.BIN/0.png",
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_hidden_places_are_no_data(place, zipped, set_, tmp_path):
    path = set_ / "trainA" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(path)
    if zipped:
        import shutil

        set_ = shutil.make_archive(str(tmp_path / "zipped"), "zip", set_)
    assert count(set_) == TWO_AND_ONE
    told = "" if place.startswith("._") else "passed over 1 hidden"
    assert passed_over(open_source(str(set_))) == told


def test_what_is_left_out_is_counted_by_suffix(set_):
    for name in ("a.txt", "b.TXT", "c.mp4", "LICENSE"):
        (set_ / "trainB" / name).write_text("no picture")
    assert passed_over(open_source(str(set_))) == (
        "passed over 2 .txt, 1 without a suffix and 1 .mp4 (films: ffmpeg takes pictures out of them)"
    )


def test_an_empty_folder_says_what_would_be_read(set_):
    (set_ / "trainB" / "000.png").rename(set_ / "trainB" / "000.raw")
    with pytest.raises(
        UserError, match=r"trainB of .* holds no image \(.*\.jfif.*it holds 1 \.raw"
    ):
        open_source(str(set_))


@pytest.mark.parametrize("suffix", [".JFIF", ".jpe", ".TiF", ""])
def test_suffixes_that_people_have(suffix, set_):
    (set_ / "trainB" / f"picture{suffix}").write_bytes(encode(Image.new("RGB", (4, 4)), "JPEG"))
    assert count(set_)["trainB"] == 2


def test_a_folder_named_as_an_image_is_none(set_):
    (set_ / "trainA" / "album.png").mkdir()
    assert count(set_) == TWO_AND_ONE
    write_images(set_ / "trainA" / "album.png", 1)
    assert count(set_)["trainA"] == 3


def test_one_folder_too_many(set_, tmp_path):
    (tmp_path / ".hidden").mkdir()
    assert count(tmp_path) == TWO_AND_ONE


def test_linked_folders_are_read_once_and_loops_end(set_, tmp_path):
    write_images(tmp_path / "pool", 3)
    (set_ / "trainA" / "more").symlink_to(tmp_path / "pool")
    (set_ / "trainA" / "again").symlink_to(tmp_path / "pool")
    (tmp_path / "pool" / "back").symlink_to(set_ / "trainA")
    (set_ / "trainB" / "itself").symlink_to(set_ / "trainB")
    assert count(set_) == {"trainA": 5, "trainB": 1}


def test_a_name_in_latin_1_is_readable(set_):
    name = os.fsencode(set_ / "trainB") + b"/Mu\xf1oz.png"
    try:
        os.link(set_ / "trainB" / "000.png", name)
    except OSError:
        pytest.skip("this disk takes no such names")
    domain = open_images(set_ / "trainB")
    assert domain.names[1].endswith("/Muñoz.png")
    assert domain.names[1].encode()
    assert decode_image(domain.read(1)).size == (40, 40)


SRGB_D50 = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])


def srgb_by_hand(rgb):
    """Adobe RGB to sRGB, by matrices and curves (IEC 61966-2-1)."""
    adobe = np.array([[0.6097, 0.2053, 0.1492], [0.3111, 0.6257, 0.0632], [0.0195, 0.0609, 0.7446]])
    linear = np.linalg.solve(SRGB_D50, adobe @ (np.array(rgb) / 255) ** 2.19921875).clip(0, 1)
    curve = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    return np.round(255 * curve)


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "WEBP"])
def test_colours_of_another_space_become_srgb(format_):
    colour = (200, 120, 60)
    options = {"lossless": True} if format_ == "WEBP" else {}
    encoded = encode(Image.new("RGB", (4, 4), colour), format_, icc_profile=ADOBE_RGB, **options)
    found = decode_image(encoded).getpixel((1, 1))
    assert np.abs(np.array(found) - srgb_by_hand(colour)).max() <= 1
    assert np.abs(np.array(found) - colour).max() > 10
    assert decode(encoded).notes == ("converted to sRGB from A space",)
    assert decode_image(encoded, keep_colour_space=True).getpixel((1, 1)) == colour


def test_transparent_pictures_are_converted_and_then_laid_on_white():
    half = Image.new("RGBA", (2, 2), (200, 120, 60, 128))
    found = decode_image(encode(half, "PNG", icc_profile=ADOBE_RGB)).getpixel((0, 0))
    expected = srgb_by_hand((200, 120, 60)) * 128 / 255 + 255 * 127 / 255
    assert np.abs(np.array(found) - expected).max() <= 2


def test_a_profile_of_srgb_and_a_damaged_one_change_nothing():
    from PIL import ImageCms

    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, [9, 9, 3], np.uint8))
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for icc in (own, b"damaged", ADOBE_RGB[:200], ADOBE_RGB.replace(b"RGB ", b"CMYK")):
        picture = decode(encode(noise, "PNG", icc_profile=icc))
        assert picture.notes == ()
        np.testing.assert_array_equal(picture.pixels, noise)


def test_float_and_12_bit_samples_are_never_shown_in_silence():
    ramp = np.linspace(0, 1, 64).reshape(8, 8)
    floating = encode(Image.fromarray(ramp.astype(np.float32)), "TIFF")
    picture = decode(floating)
    assert (picture.dtype, picture.channels) == ("float32", 1)
    np.testing.assert_array_equal(picture.samples[..., 0], ramp.astype(np.float32))
    with pytest.raises(RangeUnknown, match="float32 from 0 to 1"):
        decode_image(floating)
    twelve = decode(encode(Image.fromarray((ramp * 4095).astype(np.uint16)), "PNG"))
    assert (twelve.dtype, twelve.samples.max()) == ("uint16", 4095)


def test_four_bands_are_no_transparency_unless_the_file_says_so():
    import tifffile

    bands = np.random.default_rng(0).integers(0, 256, [6, 7, 4], np.uint8)
    for photometric, extra in (("minisblack", None), ("rgb", ["unspecified"])):
        file = io.BytesIO()
        tifffile.imwrite(
            file, bands, photometric=photometric, extrasamples=extra, planarconfig="contig"
        )
        picture = decode(file.getvalue())
        np.testing.assert_array_equal(picture.samples, bands)
    said = encode(Image.fromarray(bands), "TIFF")
    assert "taken for transparency" in decode(said).notes[0]
    np.testing.assert_array_equal(decode(said, with_alpha=True).samples, bands)


def test_only_named_formats_are_opened():
    assert not IMAGE_SUFFIXES & {".eps", ".ps", ".pdf", ".wmf", ".emf", ".psd"}
    for content in (
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"%PDF-1.7\n",
        encode(Image.new("L", (4, 4)), "PCX"),
    ):
        with pytest.raises(UnreadableImage, match="not an image: JPEG, PNG"):
            decode(content)


@pytest.mark.parametrize(("format_", "tolerance"), [("TGA", 0), ("JPEG2000", 0), ("HEIF", 20)])
def test_formats_that_are_new(format_, tolerance):
    if format_ == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    smooth = Image.linear_gradient("L").resize((64, 48)).convert("RGB")
    decoded = np.asarray(decode_image(encode(smooth, format_)), int)
    assert np.abs(decoded - np.asarray(smooth)).max() <= tolerance


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
def test_what_might_never_end_is_not_read(tmp_path):
    """A pipe with a picture's name, a device, and a link to nothing, which is named as unreadable."""
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "gone.png").symlink_to("nowhere")
    found, left_out = image_files(tmp_path)
    assert [path.name for path in found] == ["gone.png"]
    assert in_words(left_out) == "2 pipes or devices"
