import base64
import io
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from conftest import TINY_SETTINGS, write_images
from PIL import Image

import tf_cyclegan as cg
from tf_cyclegan import export, translate
from tf_cyclegan.methods.cyclegan.settings import Config
from tf_cyclegan.models import resnet_generator
from tf_cyclegan.translation.translator import save_translator


@pytest.fixture(scope="module")
def run_folder(image_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    settings = TINY_SETTINGS | {"steps": 1}
    return cg.train(Config(dataset=str(image_folder), run_dir=str(folder), **settings))


@pytest.fixture(scope="module")
def generator():
    return resnet_generator(1, 2)


@pytest.fixture(scope="module")
def saved_model(generator, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model"
    save_translator(generator, 4, path)
    return path


def photo(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, [height, width, 3], np.uint8)


def png(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def by_hand(generator, image):
    """Pad by mirroring, translate, crop: in NumPy, away from the package."""
    height, width, _ = image.shape
    pad = [(0, max(-size % 4, 8 - size)) for size in (height, width)]
    padded = np.pad(image, [*pad, (0, 0)], mode="symmetric")
    translated = np.asarray(generator((padded / 127.5 - 1).astype(np.float32)[None]))[0]
    return np.clip(np.round((translated[:height, :width] + 1) * 127.5), 0, 255)


@pytest.mark.parametrize("shape", [(8, 8), (33, 51), (3, 5), (1, 9)])
def test_any_size_comes_back_in_its_size(saved_model, generator, shape):
    image = photo(*shape)
    translated = cg.load_translator(saved_model)(image[None])[0]
    assert translated.dtype == np.uint8
    difference = np.abs(translated.astype(float) - by_hand(generator, image))
    assert difference.max() <= 1  # a rounding at .5


def test_signatures(saved_model, generator):
    signatures = tf.saved_model.load(str(saved_model)).signatures
    images = np.stack([photo(12, 16, seed) for seed in range(3)])
    default = signatures["serving_default"](images=tf.constant(images))["images"].numpy()
    assert default.shape == images.shape
    floats = tf.constant(images[:, :, :12], tf.float32) / 127.5 - 1
    np.testing.assert_allclose(
        signatures["serving_float"](images=floats)["images"], generator(floats), atol=1e-5
    )

    jpeg = io.BytesIO()
    Image.fromarray(photo(20, 30, 9)).save(jpeg, "JPEG")
    encoded = [png(images[0]), jpeg.getvalue()]
    returned = signatures["serving_bytes"](image_bytes=tf.constant(encoded))["image_bytes"].numpy()
    decoded = [np.asarray(Image.open(io.BytesIO(one))) for one in returned]
    np.testing.assert_array_equal(decoded[0], default[0])
    assert decoded[1].shape == (20, 30, 3)


def test_transparent_pngs_are_laid_on_white(saved_model):
    signature = tf.saved_model.load(str(saved_model)).signatures["serving_bytes"]
    clear, white = io.BytesIO(), png(np.full([8, 8, 3], 255, np.uint8))
    Image.new("RGBA", (8, 8), (200, 0, 0, 0)).save(clear, "PNG")
    one, other = signature(image_bytes=tf.constant([clear.getvalue(), white]))[
        "image_bytes"
    ].numpy()
    assert one == other


def test_a_saved_model_needs_tensorflow_alone(saved_model, tmp_path):
    """A process that cannot import this package nor Keras, as TensorFlow Serving could not."""
    script = f"""
import base64, sys
sys.modules["tf_cyclegan"] = sys.modules["keras"] = None
import numpy, tensorflow as tf
model = tf.saved_model.load({str(saved_model)!r})
image = numpy.zeros([1, 333, 517, 3], numpy.uint8)
print(model.signatures["serving_default"](images=tf.constant(image))["images"].shape)
encoded = base64.b64decode({base64.b64encode(png(photo(33, 51)))!r})
print(model.signatures["serving_bytes"](image_bytes=tf.constant([encoded]))["image_bytes"][0].numpy()[:4])
"""
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.stdout.splitlines() == ["(1, 333, 517, 3)", repr(b"\x89PNG")], result.stderr


def test_a_run_translates_as_its_saved_models_do(run_folder):
    image = photo(32, 40)[None]
    for direction in ("x_to_y", "y_to_x"):
        from_run = cg.load_translator(run_folder, direction)(image)
        exported = cg.load_translator(run_folder / "saved_model" / direction)(image)
        np.testing.assert_array_equal(from_run, exported)
    one, other = (cg.load_translator(run_folder, d)(image) for d in ("x_to_y", "y_to_x"))
    assert not np.array_equal(one, other)


def test_export_command(run_folder, tmp_path, command):
    code, errors = command(export.main, "--run", run_folder, "--output", tmp_path / "out")
    assert code == 0, errors
    for direction in ("x_to_y", "y_to_x"):
        assert (tmp_path / "out" / direction / "saved_model.pb").is_file()


def test_translate_keeps_names_and_folders(saved_model, tmp_path, command):
    write_images(tmp_path / "in", 2, size=(30, 20))
    write_images(tmp_path / "in" / "more", 1, suffix=".jpg")
    Image.new("P", (9, 9)).save(tmp_path / "in" / "old.gif")
    options = ("--model", saved_model, "--input", tmp_path / "in", "--output", tmp_path / "out")
    code, errors = command(translate.main, *options)
    assert code == 0 and "wrote 4 pictures" in errors
    written = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*")}
    assert written == {"000.png", "001.png", "more/000.jpg", "old.png"}
    original = np.asarray(Image.open(tmp_path / "in" / "000.png"))
    expected = cg.load_translator(saved_model)(original[None])[0]
    np.testing.assert_array_equal(Image.open(tmp_path / "out" / "000.png"), expected)

    code, errors = command(translate.main, *options)
    assert code == 2 and "exists; choose another --output, or pass --overwrite" in errors
    code, errors = command(translate.main, *options, "--overwrite", "--side-by-side")
    assert code == 0
    pair = np.asarray(Image.open(tmp_path / "out" / "000.png"))
    np.testing.assert_array_equal(pair, np.concatenate([original, expected], axis=1))


def test_an_unreadable_picture_is_named_or_left_out(saved_model, tmp_path, command):
    write_images(tmp_path / "in", 1)
    (tmp_path / "in" / "broken.jpg").write_text("no picture")
    options = ("--model", saved_model, "--input", tmp_path / "in", "--output", tmp_path / "out")
    code, errors = command(translate.main, *options)
    assert code == 2 and "broken.jpg cannot be read (not an image: " in errors
    code, errors = command(translate.main, *options, "--skip-unreadable", "--overwrite")
    assert code == 0 and "left out 1 unreadable" in errors and "wrote 1 pictures" in errors


def test_a_picture_of_too_many_pixels_is_refused_until_it_is_allowed(
    saved_model, tmp_path, command
):
    write_images(tmp_path / "in", 1, size=(30, 20))
    options = ("--model", saved_model, "--input", tmp_path / "in", "--output", tmp_path / "out")
    code, errors = command(translate.main, *options, "--max-pixels", 599)
    assert code == 2 and "30x20 are 600 pixels, more than the 599 that --max-pixels" in errors
    code, errors = command(translate.main, *options, "--max-pixels", 599, "--skip-unreadable")
    assert code == 0 and "left out 1 unreadable" in errors
    code, errors = command(translate.main, *options, "--max-pixels", 600)
    assert code == 0 and "wrote 1 pictures" in errors
