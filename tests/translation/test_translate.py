"""Pictures through `translate`, read back with Pillow alone."""

import os
import struct
import threading

import keras
import numpy as np
import pytest
import tifffile
from conftest import write_images
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import IFDRational
from profiles import ADOBE_RGB

import tf_cyclegan as cg
from tf_cyclegan import translate
from tf_cyclegan.data.decode import decode_image
from tf_cyclegan.pixels import RGB8, PixelFormat
from tf_cyclegan.translation import load, tiff_strips
from tf_cyclegan.translation import translate_files as files
from tf_cyclegan.translation.targets import KINDS, Job
from tf_cyclegan.translation.translator import save_translator


@pytest.fixture(scope="module")
def inverter(tmp_path_factory):
    """A SavedModel that turns every colour into its opposite."""
    inputs = keras.Input([None, None, 3])
    path = tmp_path_factory.mktemp("model") / "inverter"
    save_translator(keras.Model(inputs, keras.layers.Rescaling(-1.0)(inputs)), 1, path)
    return path


def of(function):
    """A translator that is a function of arrays."""

    class Translator:
        takes = gives = RGB8

        def __call__(self, images, advance):
            return function(images)

        def is_large(self, height, width):
            return False

        def rows(self, area, advance):
            """As tiles come: 50 rows at a time, and the picture is read as it goes."""
            for top in range(0, area.height, 50):
                part = area.read(top, 0, min(50, area.height - top), area.width)
                advance(top // 50 + 1, -(-area.height // 50))
                yield function(self.takes.from_unit(part))

    return Translator()


@pytest.fixture
def run(tmp_path, command, monkeypatch):
    """Run the command in a folder of its own, with options as one types them.

    Its model turns every colour into its opposite.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(load, "load_translator", lambda *_: of(lambda images: 255 - images))
    monkeypatch.setattr(load, "pixels_of_model", lambda *_: (RGB8, RGB8))

    def run(options):
        return command(translate.main, "--model", "inverter", *options.split())

    return run


def smooth(width=24, height=16):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 10, y * 15, 200 - x - y], axis=-1).astype(np.uint8)


def names(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("suffix", KINDS)
def test_every_kind_is_written_and_read_again(suffix, run, tmp_path):
    Image.fromarray(smooth()).save(tmp_path / "in.png")
    code, errors = run(f"--input in.png --output out{suffix} --quality 100")
    if not KINDS[suffix].has_quality:
        assert code == 2 and "--quality 100 is for JPEG, WebP and AVIF" in errors
        code, errors = run(f"--input in.png --output out{suffix}")
    assert code == 0, errors
    with Image.open(tmp_path / f"out{suffix}") as written:
        assert written.format == KINDS[suffix].format
        difference = np.abs(np.asarray(written).astype(int) - (255 - smooth()))
    assert difference.mean() < (2 if KINDS[suffix].has_quality else 1e-9)
    assert ("which loses detail" in errors) == KINDS[suffix].has_quality


def test_quality_is_that_of_the_file(run, tmp_path):
    Image.effect_noise((64, 64), 80).convert("RGB").save(tmp_path / "in.jpg")
    for quality in (30, 90):
        assert run(f"--input in.jpg --output {quality}.jpg --quality {quality}")[0] == 0
        Image.open(tmp_path / "in.jpg").save(tmp_path / "pillow.jpg", quality=quality)
        tables = [Image.open(tmp_path / f"{name}.jpg").quantization for name in (quality, "pillow")]
        assert tables[0] == tables[1]


def test_two_pictures_of_one_name_become_two_files(run, tmp_path):
    (tmp_path / "in").mkdir()
    colours = {"a.gif": "red", "a.png": "blue", "b.gif": "lime", "cats.v1": "white"}
    for name, colour in colours.items():
        format = "JPEG" if name == "cats.v1" else None
        Image.new("RGB", (8, 8), colour).save(tmp_path / "in" / name, format)
    code, errors = run("--input in --output out")
    assert code == 0 and "wrote 3 pictures" in errors
    assert names(tmp_path / "out") == {"a.gif.png", "a.png", "b.png"}
    for name, colour in {"a.gif.png": (0, 255, 255), "a.png": (255, 255, 0)}.items():
        assert Image.open(tmp_path / "out" / name).getpixel((0, 0)) == colour
    assert run("--input in --output jpegs --suffix jpg")[0] == 0
    assert names(tmp_path / "jpegs") == {"a.gif.jpg", "a.png.jpg", "b.jpg"}
    assert run("--input in/cats.v1 --output one")[0] == 0
    assert names(tmp_path / "one") == {"cats.v1.jpg"}

    (tmp_path / "in" / "a.gif.png").write_bytes((tmp_path / "in" / "a.png").read_bytes())
    code, errors = run("--input in --output more")
    assert code == 2 and "would both become more/a.gif.png; rename one" in errors
    assert not (tmp_path / "more").exists()


def test_no_input_is_overwritten(run, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.jpg", "a.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / "in" / name)
    os.link(tmp_path / "in" / "a.png", tmp_path / "linked.png")
    before = {path: path.read_bytes() for path in (tmp_path / "in").iterdir()}
    for options in (
        "--input in --output in --overwrite",
        "--input in/a.png --output in/a.png --overwrite",
        "--input in/a.png --output linked.png --overwrite",
    ):
        code, errors = run(options)
        assert code == 2 and "would replace the picture in/a." in errors, errors
    assert before == {path: path.read_bytes() for path in (tmp_path / "in").iterdir()}
    assert run("--input in/a.jpg --output in/b.png")[0] == 0  # a new one beside it


@pytest.mark.parametrize("name", ["portrait.jfif", "no_suffix"])
def test_a_name_that_is_no_format(name, run, tmp_path):
    Image.new("RGB", (32, 32), "red").save(tmp_path / name, "JPEG")
    assert run(f"--input {name} --output out")[0] == 0
    (written,) = (tmp_path / "out").iterdir()
    assert written.name == {"no_suffix": "no_suffix.jpg"}.get(name, name)
    assert Image.open(written).format == "JPEG"


def transparent(mode):
    if mode == "P":
        image = Image.fromarray(np.eye(8, dtype=np.uint8), "P")
        image.putpalette([200, 0, 0, 0, 0, 200])
        image.info["transparency"] = 0
        return image
    alpha = np.linspace(0, 255, 64).reshape(8, 8).astype(np.uint8)
    return Image.merge("RGBA", [*Image.new("RGB", (8, 8), "red").split(), Image.fromarray(alpha)])


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_transparency_is_kept_or_lies_on_white(mode, run, tmp_path):
    original = transparent(mode)
    original.save(tmp_path / "in.png")
    alpha = np.asarray(original.convert("RGBA").getchannel("A"))
    on_white = np.asarray(decode_image((tmp_path / "in.png").read_bytes()))
    for options in ("--output kept.png", "--output kept.tif", "--output pair.png --side-by-side"):
        assert run(f"--input in.png {options}")[0] == 0
        written = np.asarray(Image.open(tmp_path / options.split()[1]))
        expected = np.dstack([255 - on_white, alpha])
        if "side" in options:
            expected = np.concatenate([np.dstack([on_white, alpha]), expected], axis=1)
        np.testing.assert_array_equal(written, expected)
    for options in ("--output white.png --alpha white", "--output white.bmp"):
        assert run(f"--input in.png {options}")[0] == 0
        np.testing.assert_array_equal(Image.open(tmp_path / options.split()[1]), 255 - on_white)


def test_the_file_says_what_is_in_it(run, tmp_path):
    """A turned picture with a colour profile: upright, no orientation that turns it again."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(smooth())
    exif = image.getexif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    image.save(tmp_path / "in.png", exif=exif, icc_profile=profile)
    for name in ("out.png", "out.jpg", "out.tif", "out.webp"):
        assert run(f"--input in.png --output {name}")[0] == 0
        written = Image.open(tmp_path / name)
        assert written.size == (16, 24) and 0x0112 not in written.getexif()
        assert written.info["icc_profile"] == profile
        turned = np.rot90(255 - smooth(), 3)
        assert np.abs(np.asarray(written).astype(int) - turned).mean() < 4


EXIF = {0x9003: "2020:01:01 00:00:00", 0xA001: 65535, 0xA002: 24, 0xA003: 16, 0x927C: b"own"}
GPS = {1: "N", 2: (52.0, 31.0, 12.5)}


def exif_of(path):
    exif = Image.open(path).getexif()
    return dict(exif), dict(exif.get_ifd(0x8769)), dict(exif.get_ifd(0x8825))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif", "tif"])
def test_exif_is_carried_over_as_it_is_true(suffix, run, tmp_path):
    """Turned upright, scaled, with the small copy of the picture and the camera's block left out."""
    image, exif = Image.fromarray(smooth()), Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x013B], exif[0x011A] = (
        6,
        "a camera",
        "M\u00fcller".encode(),
        72,
    )
    exif[0x011B], exif[0x0201] = 72, 5
    exif.get_ifd(0x8769).update(EXIF)
    exif.get_ifd(0x8825).update(GPS)
    image.save(tmp_path / "in.jpg", exif=exif, icc_profile=ADOBE_RGB)
    assert run(f"--input in.jpg --output out.{suffix} --max-side 12")[0] == 0
    first, camera, place = exif_of(tmp_path / f"out.{suffix}")
    assert first[0x010F] == "a camera" and float(first[0x011A]) == 72
    assert first[0x013B].encode("latin-1").decode() == "M\u00fcller"
    assert not {0x0112, 0x0201} & set(first)
    assert camera == {0x9003: EXIF[0x9003], 0xA001: 1, 0xA002: 8, 0xA003: 12}
    assert place == GPS
    assert Image.open(tmp_path / f"out.{suffix}").size == (8, 12)
    assert run(f"--input in.jpg --output without.{suffix} --exif drop")[0] == 0
    first, camera, place = exif_of(tmp_path / f"without.{suffix}")
    assert 0x010F not in first and camera == place == {}


def test_exif_that_cannot_be_written_is_left_out(run, tmp_path):
    """A rational below zero where Exif has none: Pillow reads it, and fails to write it."""
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    exif.get_ifd(0x8769).update({0x829A: IFDRational(1, 2), 0x9003: EXIF[0x9003]})
    block = exif.tobytes()
    at = block.index(struct.pack(">HHL", 0x829A, 5, 1)) + 8
    place = 6 + struct.unpack_from(">L", block, at)[0]
    damaged = block[:place] + struct.pack("<LL", 2**32 - 1, 0) + block[place + 8 :]
    for number, content in enumerate((damaged, block[:60], b"Exif\0\0junk")):
        Image.fromarray(smooth()).save(tmp_path / "in.jpg", exif=content)
        code, errors = run(f"--input in.jpg --output {number}.jpg")
        assert code == 0, errors
    assert exif_of(tmp_path / "0.jpg")[1][0x9003] == EXIF[0x9003]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_a_comment_of_wide_letters_stays_readable(order, suffix, run, tmp_path):
    """Exif 2.32: their bytes have the order of the block's numbers, and what is written has its own."""
    exif = Image.Exif()
    exif.endian = order
    wide = "sch\u00f6n".encode("utf-16-le" if order == "<" else "utf-16-be")
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + wide
    Image.fromarray(smooth()).save(tmp_path / "in.jpg", exif=exif.tobytes())
    assert run(f"--input in.jpg --output out.{suffix}")[0] == 0
    found = Image.open(tmp_path / f"out.{suffix}").getexif()
    assert found.endian == "<"
    assert found.get_ifd(0x8769)[0x9286][8:].decode("utf-16-le") == "sch\u00f6n"


@pytest.mark.parametrize("source", ["png", "jpg", "tif", "bmp"])
def test_the_resolution_stays(source, run, tmp_path):
    """Of scanners and microscopes, which write no Exif for it."""
    Image.fromarray(smooth()).save(tmp_path / f"in.{source}", dpi=(300, 150))
    for target in ("png", "jpg", "tif", "bmp"):
        assert run(f"--input in.{source} --output out.{target} --overwrite")[0] == 0
        written = Image.open(tmp_path / f"out.{target}").info["dpi"]
        np.testing.assert_allclose([float(number) for number in written], (300, 150), rtol=1e-3)
        assert b"Exif" not in (tmp_path / f"out.{target}").read_bytes()


def test_a_place_on_earth_stays_while_it_is_true(run, tmp_path):
    """GeoTIFF 1.1: scale, tie point and keys; none of them where the pixels are others."""
    place = [
        (33550, 12, 3, (0.5, 0.5, 0.0), True),
        (33922, 12, 6, (0.0, 0.0, 0.0, 10.0, 50.0, 0.0), True),
        (34735, 3, 8, (1, 1, 0, 1, 1024, 0, 1, 2), True),
        (34737, 2, 7, b"WGS 84|", True),
    ]
    tifffile.imwrite(tmp_path / "in.tif", smooth(), photometric="rgb", extratags=place)
    for options, stays in (("", True), ("--max-side 12", False), ("--side-by-side", False)):
        assert run(f"--input in.tif --output out.tif --overwrite {options}")[0] == 0
        with tifffile.TiffFile(tmp_path / "out.tif") as file:
            tags = file.pages.first.tags
            there = {code: tags[code].value for code, *_ in place if code in tags}
        expected = {code: value for code, _, _, value, _ in place} | {34737: "WGS 84|"}
        assert there == (expected if stays else {}), options


def test_colours_become_srgb_or_stay_with_their_profile(run, tmp_path):
    image = Image.fromarray(smooth())
    image.save(tmp_path / "in.png", icc_profile=ADOBE_RGB)
    converted = np.asarray(decode_image((tmp_path / "in.png").read_bytes()))
    assert np.abs(converted.astype(int) - smooth()).max() > 10
    for options, pixels in (("", converted), ("--keep-colour-space", smooth())):
        assert run(f"--input in.png --output out.png --overwrite {options}")[0] == 0
        written = Image.open(tmp_path / "out.png")
        np.testing.assert_array_equal(written, 255 - pixels)
        assert (written.info.get("icc_profile") == ADOBE_RGB) == bool(options)


def test_a_fourth_band_is_taken_for_transparency_with_a_word(run, tmp_path):
    bands = [Image.new("L", (8, 8), value) for value in (90, 90, 90, 5)]
    Image.merge("RGBA", bands).save(tmp_path / "infrared.tif")
    code, errors = run("--input infrared.tif --output out.png")
    assert code == 0 and "1 picture: the last band taken for transparency" in errors


def test_samples_whose_range_nobody_knows_are_asked_for(run, tmp_path):
    ramp = np.linspace(0, 1, 64 * 64).reshape(64, 64)
    Image.fromarray(ramp.astype(np.float32)).save(tmp_path / "float.tif")
    Image.fromarray((ramp * 4095).astype(np.uint16)).save(tmp_path / "twelve.png")
    for name, high in (("float.tif", 1), ("twelve.png", 4095)):
        code, errors = run(f"--input {name} --output out.png --overwrite")
        assert code == 2 and f"from 0 to {high}, and which" in errors and "--range LOW" in errors
        assert run(f"--input {name} --output out.png --range 0,{high} --overwrite")[0] == 0
        written = 255 - np.asarray(Image.open(tmp_path / "out.png"))[..., 0].astype(float)
        assert np.abs(written - 255 * ramp).max() <= 0.6


def test_samples_keep_their_type_and_units(tmp_path, command, monkeypatch):
    """One channel of 16 bits in, two of float out; the range of what goes in is told."""
    monkeypatch.chdir(tmp_path)
    takes = PixelFormat(1, "uint16", 100, 4000)
    gives = PixelFormat(2, "float32", -1000, 3000)
    translator = of(lambda images: images * np.float32([1, -0.5]))
    monkeypatch.setattr(load, "load_translator", lambda *_: translator)
    monkeypatch.setattr(load, "pixels_of_model", lambda *_: (takes, gives))
    samples = np.arange(12 * 10, dtype=np.uint16).reshape(12, 10, 1) * 40
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "a.npy", samples)
    Image.fromarray(samples[..., 0]).save(tmp_path / "in" / "b.png")
    options = ("--model", "m", "--input", "in", "--output", "out")
    code, errors = command(translate.main, *options)
    assert code == 0, errors
    outside = 2 * ((samples < 100) | (samples > 4000)).sum()
    assert f"{outside} samples of 2 pictures lie outside 100 to 4000" in errors
    assert names(tmp_path / "out") == {"a.npy", "b.tif"}
    expected = samples * np.float32([1, -0.5])
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "a.npy"), expected)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out" / "b.tif"), expected)


@pytest.fixture
def large(tmp_path, monkeypatch):
    """A translator that takes every picture for large, and turns colours into their opposite."""
    monkeypatch.chdir(tmp_path)
    translator = of(lambda images: 255 - images)
    translator.is_large = lambda height, width: True
    monkeypatch.setattr(load, "load_translator", lambda *_: translator)
    pixels = lambda *_: (translator.takes, translator.gives)  # noqa: E731
    monkeypatch.setattr(load, "pixels_of_model", pixels)
    return translator


@pytest.mark.parametrize("tiled", [{}, {"tile": (16, 32)}])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_large_tiff_goes_strip_by_strip(channels, tiled, large, tmp_path, command, monkeypatch):
    random = np.random.default_rng(0)
    samples = random.integers(0, 256, [203, 70, channels], np.uint8)
    extra = ["unassalpha"] if channels == 4 else None
    tifffile.imwrite(
        tmp_path / "in.tif",
        samples,
        photometric="rgb",
        compression="zlib",
        extrasamples=extra,
        **tiled,
    )
    monkeypatch.setattr(files, "read_picture", None)  # it is never read as a whole
    options = ("--model", "m", "--input", "in.tif", "--overwrite")
    for more in ((), ("--side-by-side",), ("--alpha", "white")):
        code, errors = command(translate.main, *options, "--output", "out.tif", *more)
        assert code == 0, errors
        alpha = samples[..., 3:] / 255
        original = samples[..., :3]
        if channels == 4:
            original = np.round(original * alpha + 255 * (1 - alpha)).astype(np.uint8)
        expected = 255 - original
        if "--side-by-side" in more:
            expected = np.concatenate([original, expected], axis=1)
        if channels == 4 and "white" not in more:
            beside = [samples[..., 3:]] * (2 if more else 1)
            expected = np.concatenate([expected, np.concatenate(beside, axis=1)], axis=2)
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), expected)
        np.testing.assert_array_equal(Image.open(tmp_path / "out.tif"), expected)


@pytest.mark.parametrize("largest", [2**31, 1])
def test_a_large_tiff_keeps_its_exif(largest, large, tmp_path, command, monkeypatch):
    """In files of the classic kind, and in those of more than 4 GB."""
    monkeypatch.setattr(tiff_strips, "LARGEST_CLASSIC", largest)
    monkeypatch.setattr(files, "read_picture", None)
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    exif.get_ifd(0x8769).update({0x9003: EXIF[0x9003]})
    exif.get_ifd(0x8825).update(GPS)
    Image.fromarray(smooth()).save(tmp_path / "in.tif", exif=exif.tobytes())
    options = ("--model", "m", "--input", "in.tif", "--output", "out.tif")
    code, errors = command(translate.main, *options)
    assert code == 0, errors
    assert (tmp_path / "out.tif").read_bytes()[2] == (42 if largest > 1 else 43)
    np.testing.assert_array_equal(Image.open(tmp_path / "out.tif"), 255 - smooth())
    first, camera, place = exif_of(tmp_path / "out.tif")
    assert (first[0x010F], camera, place) == ("a camera", {0x9003: EXIF[0x9003]}, GPS)


def test_the_colours_of_a_large_tiff(large, tmp_path, command, monkeypatch):
    """They become sRGB strip by strip, or keep the profile that says what they are."""
    samples = np.random.default_rng(0).integers(0, 256, [130, 40, 3], np.uint8)
    tifffile.imwrite(tmp_path / "in.tif", samples, photometric="rgb", iccprofile=ADOBE_RGB)
    converted = np.asarray(decode_image((tmp_path / "in.tif").read_bytes()))
    monkeypatch.setattr(files, "read_picture", None)
    for options, expected in (((), converted), (("--keep-colour-space",), samples)):
        arguments = ("--model", "m", "--input", "in.tif", "--output", "out.tif", "--overwrite")
        code, errors = command(translate.main, *arguments, *options)
        assert code == 0 and ("1 picture: converted to sRGB" in errors) == (not options), errors
        written = Image.open(tmp_path / "out.tif")
        np.testing.assert_array_equal(written, 255 - expected)
        assert (written.info.get("icc_profile") == ADOBE_RGB) == bool(options)


def test_a_large_tiff_that_ends_early_is_named(large, tmp_path, command):
    tifffile.imwrite(tmp_path / "in.tif", np.zeros([200, 300, 3], np.uint8), rowsperstrip=20)
    whole = (tmp_path / "in.tif").read_bytes()
    (tmp_path / "in.tif").write_bytes(whole[: len(whole) * 2 // 3])
    options = ("--model", "m", "--input", "in.tif", "--output", "out.tif")
    code, errors = command(translate.main, *options)
    assert code == 2 and "in.tif cannot be translated: it ends early" in errors, errors
    assert names(tmp_path) == {"in.tif"}


def test_a_large_tiff_of_samples(large, tmp_path, command):
    """16 bits in, two bands of float out."""
    large.takes, large.gives = PixelFormat(1, "uint16", 0, 65535), PixelFormat(2, "float32", 0, 1)
    large.rows = lambda area, advance: (
        area.read(top, 0, 50, area.width) * np.float32([1, 2]) for top in (0, 50)
    )
    samples = np.random.default_rng(0).integers(0, 65536, [100, 40], np.uint16)
    tifffile.imwrite(tmp_path / "in.tif", samples)
    options = ("--model", "m", "--input", "in.tif", "--output", "out.tif")
    code, errors = command(translate.main, *options)
    assert code == 0, errors
    expected = (samples / 32767.5 - 1)[..., None] * [1, 2]
    np.testing.assert_allclose(tifffile.imread(tmp_path / "out.tif"), expected, atol=1e-5)


def test_what_cannot_be_translated_is_named_and_all_else_done(run, tmp_path):
    write_images(tmp_path / "in", 5, size=(9, 7))
    write_images(tmp_path / "in" / "larger", 3, size=(11, 7))
    (tmp_path / "in" / "larger" / "text.jpg").write_text("no picture")
    whole = (tmp_path / "in" / "003.png").read_bytes()
    (tmp_path / "in" / "003.png").write_bytes(whole[: len(whole) // 2])
    code, errors = run("--input in --output out --batch-size 2")
    assert code == 2 and "wrote 7 pictures to out" in errors
    assert "in/larger/text.jpg cannot be translated: not an image" in errors
    assert "in/003.png cannot be translated: " in errors
    assert "2 of 9 pictures could not be translated" in errors
    assert names(tmp_path / "out") == names(tmp_path / "in") - {"003.png", "larger/text.jpg"}
    for name in names(tmp_path / "out"):
        original = np.asarray(Image.open(tmp_path / "in" / name))
        np.testing.assert_array_equal(Image.open(tmp_path / "out" / name), 255 - original)
    assert list(tmp_path.rglob(".*")) == []


def test_larger_pictures_are_scaled_down_first(run, tmp_path):
    transparent("RGBA").resize((40, 30)).save(tmp_path / "in.png")
    assert run("--input in.png --output out.png --max-side 20")[0] == 0
    assert run("--input in.png --output whole.png --max-side 40")[0] == 0
    assert Image.open(tmp_path / "out.png").size == (20, 15)
    assert Image.open(tmp_path / "whole.png").size == (40, 30)


def test_a_picture_that_the_kind_of_file_cannot_hold(run, tmp_path):
    Image.new("RGB", (16384, 1)).save(tmp_path / "in.png")
    code, errors = run("--input in.png --output out.webp")
    assert code == 2 and "16384 pixels a side are too many for .webp" in errors


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--output out --suffix .psd", "--suffix .psd: pictures are written as .png .jpg"),
        ("--output out --quality 0", "--quality is 0; it must be from 1 to 100"),
        ("--output out --quality 101", "--quality is 101; it must be from 1 to 100"),
        ("--output out --quality 50", "--quality 50 is for JPEG, WebP and AVIF"),
        ("--output out --batch-size 0", "--batch-size is 0; it must be at least 1"),
        ("--output out --max-side 0", "--max-side is 0; it must be at least 1"),
        ("--output out --smooth 0.5", "--smooth is for --video"),
        ("--output out --max-pixels 0", "--max-pixels is 0; it must be at least 1"),
        ("--output out.jpg --suffix png", "--suffix .png does not go with --output out.jpg"),
    ],
)
def test_mistakes(options, words, run, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "in.png")
    code, errors = run(f"--input in.png {options}")
    assert code == 2 and words in errors, errors
    assert names(tmp_path) == {"in.png"}


def test_pictures_of_one_size_go_together(tmp_path):
    """Also where some of them lie on their side, as only the whole file says."""
    write_images(tmp_path, 5, size=(12, 8))
    turned = Image.fromarray(smooth(12, 8))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    Image.new("RGB", (8, 12)).save(tmp_path / "upright.png")
    shapes = []

    def translate_(images):
        shapes.append(images.shape[:3])
        return images

    jobs = [Job(path, tmp_path / "out" / path.name) for path in sorted(tmp_path.iterdir())]
    options = files.Options(10**6, batch_size=4)
    assert files.translate_files(of(translate_), jobs, options) == []
    assert shapes == [(4, 8, 12), (1, 8, 12), (1, 12, 8), (1, 12, 8)]
    for job in jobs[:5]:
        np.testing.assert_array_equal(Image.open(job.source), Image.open(job.target))


def test_reading_and_writing_go_on_while_it_computes(tmp_path, monkeypatch):
    """The first batch is translated only when the second has been read; the second, when the first
    has been written."""
    write_images(tmp_path, 2, size=(12, 8))
    jobs = [Job(path, tmp_path / "out" / path.name) for path in sorted(tmp_path.iterdir())]
    have_read, have_written = threading.Event(), threading.Event()
    read, encode = files.read_picture, files.encode_picture
    calls = []

    def reading(encoded, *arguments, **more):
        if encoded == jobs[1].source.read_bytes():
            have_read.set()
        return read(encoded, *arguments, **more)

    def writing(*arguments):
        have_written.set()
        return encode(*arguments)

    def translate_(images):
        calls.append(1)
        assert (have_read if len(calls) == 1 else have_written).wait(60)
        return images

    monkeypatch.setattr(files, "read_picture", reading)
    monkeypatch.setattr(files, "encode_picture", writing)
    options = files.Options(10**6, batch_size=1)
    assert files.translate_files(of(translate_), jobs, options) == []
    assert len(calls) == 2


def test_a_full_disk_ends_it(tmp_path, monkeypatch):
    write_images(tmp_path, 3, size=(12, 8))
    jobs = [Job(path, tmp_path / "out" / path.name) for path in sorted(tmp_path.iterdir())]

    def full(*_):
        raise cg.UserError("cannot write: no space left")

    monkeypatch.setattr(files, "write_file", full)
    with pytest.raises(cg.UserError, match="no space left"):
        files.translate_files(of(lambda images: images), jobs, files.Options(10**6))


def test_what_a_translator_takes(inverter):
    translate_ = cg.load_translator(str(inverter))
    image = smooth()
    np.testing.assert_array_equal(translate_(image), 255 - image)
    np.testing.assert_array_equal(translate_(image[None]), 255 - image[None])
    assert translate_(np.zeros([0, 5, 7, 3], np.uint8)).shape == (0, 5, 7, 3)
    np.testing.assert_array_equal(translate_(Image.fromarray(image)), 255 - image)
    grey = translate_(Image.new("L", (4, 3), 10))
    assert isinstance(grey, Image.Image) and grey.size == (4, 3)
    assert grey.getpixel((0, 0)) == (245, 245, 245)
    for wrong, words in (
        (
            image / 255,
            r"float64 from 0 to 0.901961; this translator takes uint8 from 0 to 255: where 1.0 is",
        ),
        (image.astype(np.int64) - 1, r"int64 from -1 to 229"),
        (image[..., 0], r"shape \[16, 24\]; this translator takes one picture"),
        (np.dstack([image, image]), r"shape \[16, 24, 6\]"),
        ("picture.png", r"shape \[\]"),
    ):
        with pytest.raises(cg.UserError, match=words):
            translate_(wrong)


def test_paths_begin_at_home(inverter, tmp_path, command, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    Image.fromarray(smooth()).save(tmp_path / "in.png")
    (tmp_path / "model").symlink_to(inverter)
    code, errors = command(translate.main, "--model=~/model", "--input=~/in.png", "--output=~/out")
    assert code == 0, errors
    assert names(tmp_path / "out") == {"in.png"}
    assert cg.load_translator("~/model")(smooth()).shape == smooth().shape
    with pytest.raises(cg.UserError, match="write the path in full"):
        cg.load_translator("~nobody-of-this-name/model")
