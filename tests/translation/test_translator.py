import base64
import io
import struct
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from conftest import TINY_SETTINGS, write_images
from PIL import Image
from trainings import quick_trainings

import tf_cyclegan as cg
from tf_cyclegan import export, translate
from tf_cyclegan.data.decode import decode_image
from tf_cyclegan.methods.cyclegan.settings import Config
from tf_cyclegan.models import resnet_generator
from tf_cyclegan.translation.encoded import decode_or_nothing, orientation
from tf_cyclegan.translation.translator import save_translator


@pytest.fixture(scope="module")
def run_folder(image_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    settings = TINY_SETTINGS | {"steps": 1}
    with quick_trainings():
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


def test_no_images_give_no_images(saved_model):
    signatures = tf.saved_model.load(str(saved_model)).signatures
    for shape in ([0, 20, 30, 3], [2, 0, 5, 3]):
        none = signatures["serving_default"](images=tf.zeros(shape, tf.uint8))["images"]
        assert none.shape == shape and none.dtype == tf.uint8
    assert signatures["serving_float"](images=tf.zeros([0, 12, 8, 3]))["images"].shape[0] == 0
    assert (
        signatures["serving_bytes"](image_bytes=tf.zeros([0], tf.string))["image_bytes"].shape == 0
    )


@pytest.mark.parametrize("shape", [(12, 14), (13, 12), (4, 12), (0, 12)])
def test_the_bare_network_refuses_sizes_that_do_not_fit(saved_model, shape):
    signature = tf.saved_model.load(str(saved_model)).signatures["serving_float"]
    height, width = shape
    words = rf"are multiples of 4 and at least 8; these have.*\[{height} {width}\]"
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        signature(images=tf.zeros([1, *shape, 3]))


def test_one_bad_image_costs_no_other_its_translation(saved_model):
    signature = tf.saved_model.load(str(saved_model)).signatures["serving_bytes"]
    good, jpeg, gif = png(photo(20, 30)), io.BytesIO(), io.BytesIO()
    Image.fromarray(photo(20, 30)).save(jpeg, "JPEG")
    Image.fromarray(photo(20, 30)).save(gif, "GIF")
    jpeg = jpeg.getvalue()
    checksum = bytearray(good)
    checksum[len(good) // 2] ^= 1
    bad = [b"", b"text", jpeg[:3], jpeg[: len(jpeg) // 2], good[:8], good[:-40], gif.getvalue()]
    bad += [bytes(checksum), jpeg[:200] + bytes(100)]
    sent = [one for damaged in bad for one in (damaged, good)]
    returned = signature(image_bytes=tf.constant(sent))["image_bytes"].numpy()
    (alone,) = signature(image_bytes=tf.constant([good]))["image_bytes"].numpy()
    assert alone.startswith(b"\x89PNG")
    assert list(returned) == [b"", alone] * len(bad)


def with_orientation(image, format, orientation, order="<"):
    """Encode with an Exif block written by hand: two entries, the second is the orientation."""
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, 2)
    entries = struct.pack(order + "HHIHH", 0x0100, 3, 1, 30, 0)
    entries += struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    exif = head + entries + bytes(4)
    file = io.BytesIO()
    options = {"quality": 95, "subsampling": 0} if format == "JPEG" else {}
    Image.fromarray(image).save(file, format, exif=b"Exif\0\0" + exif, **options)
    return file.getvalue()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_images_are_turned_upright(format, order):
    image = np.kron(photo(3, 5), np.ones([8, 8, 1], np.uint8))
    for number in range(10):
        encoded = with_orientation(image, format, number, order)
        decoded = decode_or_nothing(tf.constant(encoded)).numpy()
        expected = np.asarray(decode_image(encoded))
        shape = (40, 24, 3) if 5 <= number <= 8 else (24, 40, 3)
        assert decoded.shape == expected.shape == shape
        assert np.abs(decoded.astype(int) - expected).max() <= 2, number


def test_an_exported_model_turns_images_upright(saved_model):
    signature = tf.saved_model.load(str(saved_model)).signatures["serving_bytes"]
    sent = with_orientation(photo(12, 20), "PNG", 6)
    (returned,) = signature(image_bytes=tf.constant([sent]))["image_bytes"].numpy()
    translated = cg.load_translator(saved_model)(np.asarray(decode_image(sent))[None])[0]
    assert translated.shape == (20, 12, 3)
    np.testing.assert_array_equal(Image.open(io.BytesIO(returned)), translated)


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_a_damaged_exif_block_costs_no_picture(format):
    whole = bytearray(with_orientation(photo(12, 20), format, 6))
    place = whole.index(b"II*\0")
    random = np.random.default_rng(0)
    seen = set()
    look = tf.function(orientation, input_signature=[tf.TensorSpec([], tf.string)])
    for _ in range(300):
        damaged = whole.copy()
        for _ in range(random.integers(1, 4)):
            damaged[place - 16 + random.integers(0, 60)] = random.integers(0, 256)
        cut = len(damaged) if random.random() < 0.8 else place + random.integers(-16, 40)
        seen.add(int(look(tf.constant(bytes(damaged[:cut])))))
    assert {1, 6} <= seen <= set(range(1, 9))
    assert look(tf.constant(b"")) == 1


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


def test_a_session_finds_the_weights(saved_model, generator):
    """TensorFlow Serving loads a model so: the graph, then all variables by one operation."""
    image = photo(12, 16)[None]
    expected = by_hand(generator, image[0])
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        model = tf.compat.v1.saved_model.load(session, ["serve"], str(saved_model))
        file = str(saved_model / "variables" / "variables")
        session.run(model.saver_def.restore_op_name, {model.saver_def.filename_tensor_name: file})
        for name, value in (("serving_default", image), ("serving_bytes", [png(image[0])])):
            signature = model.signature_def[name]
            ((_, door),), ((_, exit_),) = signature.inputs.items(), signature.outputs.items()
            (returned,) = session.run(exit_.name, {door.name: value})
            if name == "serving_bytes":
                returned = np.asarray(Image.open(io.BytesIO(returned)))
            assert np.abs(returned - expected).max() <= 1


def test_weights_are_saved_in_the_order_of_their_use(saved_model, generator):
    """The same generator is the same file in every process."""
    reader = tf.train.load_checkpoint(str(saved_model / "variables" / "variables"))
    for place, weight in enumerate(generator.weights):
        saved = reader.get_tensor(f"weights/{place}/.ATTRIBUTES/VARIABLE_VALUE")
        np.testing.assert_array_equal(saved, weight.numpy(), err_msg=weight.path)


def test_a_run_translates_as_the_saved_models_of_the_export_command(run_folder, tmp_path, command):
    code, errors = command(export.main, "--run", run_folder, "--output", tmp_path / "out")
    assert code == 0, errors
    image = photo(32, 40)[None]
    for direction in ("x_to_y", "y_to_x"):
        from_run = cg.load_translator(run_folder, direction)(image)
        exported = cg.load_translator(tmp_path / "out" / direction)(image)
        np.testing.assert_array_equal(from_run, exported)
    one, other = (cg.load_translator(run_folder, d)(image) for d in ("x_to_y", "y_to_x"))
    assert not np.array_equal(one, other)


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
    assert code == 2 and "broken.jpg cannot be translated: not an image: " in errors
    assert (tmp_path / "out" / "000.png").is_file()
    code, errors = command(translate.main, *options, "--skip-unreadable", "--overwrite")
    assert code == 0 and "broken.jpg cannot be" in errors
    assert f"wrote {tmp_path / 'out' / '000.png'}" in errors


def test_a_picture_of_too_many_pixels_is_refused_until_it_is_allowed(
    saved_model, tmp_path, command
):
    write_images(tmp_path / "in", 1, size=(30, 20))
    options = ("--model", saved_model, "--input", tmp_path / "in", "--output", tmp_path / "out")
    code, errors = command(translate.main, *options, "--max-pixels", 599)
    assert code == 2 and "30x20 are 600 pixels, more than the 599 that --max-pixels" in errors
    code, errors = command(translate.main, *options, "--max-pixels", 599, "--skip-unreadable")
    assert code == 0 and "000.png cannot be translated" in errors
    code, errors = command(translate.main, *options, "--max-pixels", 600)
    assert code == 0 and f"wrote {tmp_path / 'out' / '000.png'}" in errors
