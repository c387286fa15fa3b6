"""Runs on other pictures than 8-bit colour: trained, evaluated, exported, translated."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from conftest import TINY_SETTINGS
from PIL import Image
from trainings import quick_trainings

import tf_cyclegan as cg
from tf_cyclegan import evaluate, translate
from tf_cyclegan.data.decode import decode
from tf_cyclegan.data.encode import encode_samples
from tf_cyclegan.data.picture import resized
from tf_cyclegan.errors import UserError
from tf_cyclegan.methods.cyclegan.settings import Config
from tf_cyclegan.methods.simgan.settings import Config as SimGAN
from tf_cyclegan.pixels import PixelFormat
from tf_cyclegan.training.run import Run
from tf_cyclegan.translation.translator import (
    Translator,
    restore_translators,
    save_translator,
)

SIZE = 32


def phantom(rng, low, high, size=(40, 36)):
    """Ellipses on a slope, as CT slices of phantoms have them: whole numbers from low to high."""
    y, x = np.mgrid[-1 : 1 : size[0] * 1j, -1 : 1 : size[1] * 1j]
    picture = 0.1 * (x + 1)
    for _ in range(4):
        centre, radii = rng.uniform(-0.5, 0.5, 2), rng.uniform(0.2, 0.6, 2)
        inside = ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 < 1
        picture[inside] += rng.uniform(0.2, 0.5)
    picture = (picture - picture.min()) / (picture.max() - picture.min())
    return np.round(low + picture * (high - low))[..., None]


def write(folder, split, pictures, suffix):
    (folder / split).mkdir(parents=True)
    for number, picture in enumerate(pictures):
        (folder / split / f"{number}{suffix}").write_bytes(encode_samples(picture, suffix))


@pytest.fixture(scope="module")
def ct(tmp_path_factory):
    """A run of 16 bits and one channel, X in [12, 4071] as PNGs, Y in [-1024, 3071] as TIFFs."""
    folder, rng = tmp_path_factory.mktemp("ct"), np.random.default_rng(0)
    for split in ("trainA", "testA"):
        write(folder, split, [phantom(rng, 12, 4071).astype(np.uint16) for _ in range(2)], ".png")
    for split in ("trainB", "testB"):
        write(folder, split, [phantom(rng, -1024, 3071).astype(np.int16) for _ in range(2)], ".tif")
    settings = TINY_SETTINGS | {
        "steps": 2,
        "checkpoint_every": 2,
        "sample_every": 2,
        "pool_size": 2,
    }
    config = Config(dataset=str(folder), run_dir=str(folder / "run"), **settings)
    with quick_trainings():
        cg.train(dataclasses.replace(config, evaluate_every=2))
    translators, config = restore_translators(Run(folder / "run"))
    path = folder / "run" / "saved_model" / "x_to_y"
    save_translator(translators["x_to_y"], config.size_multiple, path, *config.pixels)
    return folder


def test_what_the_data_are_is_found_and_kept(ct):
    settings = Run(ct / "run").read_settings()
    x, y = settings.pixels
    assert str(x) == "1 channel, 16 bits, 12 to 4071"
    assert str(y) == "1 channel, 16 bits signed, -1024 to 3071"
    assert settings.channels_x == 1 and settings.range_y == "-1024,3071"


def by_hand(generator, samples, takes, gives):
    """The translation of one picture in NumPy, from the samples of X to those of Y."""
    low, high = takes
    unit = np.float32(2) * (samples.astype(np.float32) - low) / (high - low) - 1
    height, width = samples.shape[:2]
    padded = np.pad(unit, [(0, -height % 4), (0, -width % 4), (0, 0)], mode="symmetric")
    translated = generator(padded[None]).numpy()[0, :height, :width].astype(np.float64)
    low, high = gives
    return low + (translated + 1) / 2 * (high - low)


def test_a_translated_slice_has_16_bits_and_its_units(ct, tmp_path):
    """The file, the SavedModel and NumPy say the same."""
    saved = ct / "run" / "saved_model" / "x_to_y"
    pictures = ["--input", str(ct / "testA"), "--output", str(tmp_path / "out")]
    translate.main(["--model", str(saved), *pictures])
    generator = restore_translators(Run(ct / "run"))[0]["x_to_y"]
    model = tf.saved_model.load(str(saved))
    door = model.signatures["serving_default"]
    for name in ("0", "1"):
        source = decode((ct / "testA" / f"{name}.png").read_bytes()).samples
        expected = by_hand(generator, source, (12, 4071), (-1024, 3071))
        written = decode((tmp_path / "out" / f"{name}.tif").read_bytes())
        assert (written.dtype, written.channels) == ("int16", 1)
        assert np.abs(written.samples - expected).max() < 0.6
        assert written.samples.std() > 0
        served = door(images=tf.constant(source[None]))["images"]
        assert served.dtype == tf.int16
        assert np.abs(served[0].numpy() - expected).max() < 0.6
    takes = json.loads((ct / "run/saved_model/x_to_y/assets.extra/pixels.json").read_text())[
        "takes"
    ]
    assert takes == {"channels": 1, "dtype": "uint16", "low": 12, "high": 4071}


def test_the_evaluation_has_the_true_range(ct):
    evaluate.main(["--run", str(ct / "run")])
    measured = json.loads((ct / "run/evaluation/metrics.json").read_text())["directions"]["x_to_y"]
    written = [
        decode((ct / f"run/evaluation/x_to_y/{name}.tif").read_bytes()).samples for name in "01"
    ]
    true = [
        np.asarray(
            Image.fromarray(
                decode((ct / f"testB/{name}.tif").read_bytes()).samples[..., 0].astype(np.float32)
            ).resize((SIZE, SIZE), Image.Resampling.NEAREST)
        )[..., None]
        for name in "01"
    ]
    psnr = [
        10 * np.log10(4095**2 / np.mean((w.astype(float) - t) ** 2))
        for w, t in zip(written, true, strict=True)
    ]
    assert measured["paired"]["psnr"]["translated"] == pytest.approx(np.mean(psnr), rel=1e-4)
    l1 = [np.abs(w.astype(float) - t).mean() / 2047.5 for w, t in zip(written, true, strict=True)]
    assert measured["paired"]["l1"]["translated"] == pytest.approx(np.mean(l1), rel=1e-4)
    lines = (ct / "run/evaluations.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["x_to_y/paired/psnr"] == pytest.approx(np.mean(psnr), rel=1e-4)


def test_encoded_pictures_have_16_bits_too():
    """A PNG of 16 bits in, one of 16 bits out; no door for what PNG does not hold."""
    twelve, signed = PixelFormat(1, "uint16", 0, 4095), PixelFormat(1, "int16", -1024, 3071)
    translator = Translator(lambda images: -images, 1, twelve, twelve)
    source = phantom(np.random.default_rng(2), 0, 4095).astype(np.uint16)
    eight = encode_samples(source.astype(np.uint8), ".png")
    encoded = translator.translate_bytes(tf.constant([encode_samples(source, ".png"), eight, b""]))
    first, *others = encoded["image_bytes"].numpy()
    np.testing.assert_array_equal(decode(first).samples, 4095 - source)
    assert others == [b"", b""]
    assert Translator(lambda images: images, 1, twelve, signed).translate_bytes is None


def test_a_run_goes_on_with_what_it_found(ct, tmp_path):
    """Without options, with the same, and not with others."""
    before = Run(ct / "run").read_settings()
    found = Run(ct / "run").as_begun(dataclasses.replace(before, range_x=None, channels_x=None))
    assert found == before
    with pytest.raises(UserError, match=r"--range-x \(was 12,4071, now 0,4095\)"):
        cg.train(dataclasses.replace(before, range_x="0,4095"))


@pytest.fixture(scope="module")
def bands(tmp_path_factory):
    """A run from four bands of 16 bits to colour of 8."""
    folder, rng = tmp_path_factory.mktemp("bands"), np.random.default_rng(1)
    for split in ("trainA", "testA"):
        pictures = [
            np.concatenate([phantom(rng, 0, 10_000) for _ in range(4)], -1).astype(np.uint16)
            for _ in range(2)
        ]
        write(folder, split, pictures, ".tif")
    for split in ("trainB", "testB"):
        pictures = [
            np.concatenate([phantom(rng, 0, 255) for _ in range(3)], -1).astype(np.uint8)
            for _ in range(2)
        ]
        write(folder, split, pictures, ".png")
    settings = TINY_SETTINGS | {"steps": 1, "checkpoint_every": 1, "range_x": "0,9000"}
    config = Config(
        dataset=str(folder), run_dir=str(folder / "run"), lambda_identity=0.0, **settings
    )
    with quick_trainings():
        cg.train(config)
    return folder, config


def test_four_bands_become_colour(bands):
    folder, _ = bands
    generator = restore_translators(Run(folder / "run"))[0]["x_to_y"]
    assert generator.input_shape[-1] == 4 and generator.output_shape[-1] == 3
    source = decode((folder / "testA" / "0.tif").read_bytes()).samples
    expected = by_hand(generator, np.minimum(source, 9000), (0, 9000), (0, 255))
    there = cg.load_translator(folder / "run")
    colour = there(source)
    assert (colour.dtype, colour.shape) == (np.uint8, (40, 36, 3))
    assert np.abs(colour - expected).max() < 0.6
    with pytest.raises(UserError, match=r"takes one picture \[height, width, 4\]"):
        there(colour)
    assert there.gives == PixelFormat() and str(there.takes) == "4 channels, 16 bits, 0 to 9000"


def test_four_bands_are_evaluated_and_exported(bands, tmp_path):
    """A SavedModel's files, and the pictures and numbers of the evaluation, are what NumPy says."""
    folder, _ = bands
    generators = restore_translators(Run(folder / "run"))[0]
    save_translator(
        generators["x_to_y"], 4, tmp_path / "model", *Run(folder / "run").read_settings().pixels
    )
    pictures = ["--input", str(folder / "testA"), "--output", str(tmp_path / "out")]
    translate.main(["--model", str(tmp_path / "model"), *pictures])
    for name in "01":
        samples = decode((folder / "testA" / f"{name}.tif").read_bytes()).samples
        expected = by_hand(generators["x_to_y"], np.minimum(samples, 9000), (0, 9000), (0, 255))
        assert_colour_is(tmp_path / "out" / f"{name}.tif", expected)
    evaluate.main(["--run", str(folder / "run")])
    written = json.loads((folder / "run/evaluation/metrics.json").read_text())["directions"]
    errors = []
    for name in "01":
        samples = decode((folder / "testA" / f"{name}.tif").read_bytes()).samples
        samples = resized(np.minimum(samples, 9000), (SIZE, SIZE), "nearest")
        translated = by_hand(generators["x_to_y"], samples, (0, 9000), (0, 255))
        assert_colour_is(folder / "run/evaluation/x_to_y" / f"{name}.png", translated)
        true = decode((folder / "testB" / f"{name}.png").read_bytes()).samples
        errors.append(np.mean((translated - resized(true, (SIZE, SIZE), "nearest")) ** 2))
    psnr = np.mean(10 * np.log10(255**2 / np.array(errors)))
    assert written["x_to_y"]["paired"]["psnr"]["translated"] == pytest.approx(psnr, rel=1e-3)
    back = decode((folder / "run/evaluation/y_to_x/0.tif").read_bytes())
    assert (back.dtype, back.channels, back.samples.max() <= 9000) == ("uint16", 4, True)


def assert_colour_is(path, expected):
    written = decode(path.read_bytes())
    assert (written.dtype, written.channels) == ("uint8", 3)
    assert np.abs(written.samples - expected).max() < 0.6


def test_methods_that_compare_both_domains_need_equal_channels(bands):
    folder, config = bands
    with pytest.raises(UserError, match=r"identity loss .* X has 4, Y 3.*--lambda-identity 0"):
        cg.train(dataclasses.replace(config, lambda_identity=0.5, run_dir=str(folder / "other")))
    with pytest.raises(UserError, match="simgan compares G"):
        SimGAN(channels_x=4, channels_y=3)
