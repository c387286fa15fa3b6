"""Every exported file, run in its own runtime, makes the pictures of the Keras model."""

import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_cyclegan import Config, CycleGAN, UserError
from tf_cyclegan.export import main
from tf_cyclegan.models import (
    patchgan_discriminator,
    pix2pix_unet_generator,
    resnet_generator,
    unet_generator,
)
from tf_cyclegan.models.standard import with_standard_layers
from tf_cyclegan.training.run import Run
from tf_cyclegan.translation import formats, translator
from tf_cyclegan.translation.export_model import size_multiple

SHAPES = [(1, 32, 32, 3), (2, 24, 40, 3)]
GENERATORS = {
    f"{name} {upsampling}": (build, upsampling)
    for name, build in {
        "resnet": lambda upsampling: resnet_generator(1, filters=4, upsampling=upsampling),
        "unet": lambda upsampling: unet_generator(filters=4, levels=3, upsampling=upsampling),
    }.items()
    for upsampling in ("transpose", "resize")
}
GENERATORS["resnet blur"] = (
    lambda upsampling: resnet_generator(1, filters=4, upsampling=upsampling, antialias=True),
    "blur",
)


def build(name):
    """A generator with weights that spread its output over the whole range."""
    builder, upsampling = GENERATORS[name]
    model = builder(upsampling)
    random = np.random.default_rng(0)
    for weight in model.weights:
        centre = 1.0 if weight.name == "scale" else 0.0
        weight.assign(random.normal(centre, 0.2, weight.shape))
    return model


@pytest.fixture(scope="module", params=GENERATORS)
def generator(request):
    return build(request.param)


def output_of(generator, image):
    with tf.device("CPU"):  # where the runtimes of the files compute
        return generator(image, training=False).numpy()


@pytest.fixture
def images():
    random = np.random.default_rng(1)
    return [random.uniform(-1, 1, shape).astype("float32") for shape in SHAPES]


def run_onnx(path):
    reason = "onnxruntime has no wheel for this Python"
    onnxruntime = pytest.importorskip("onnxruntime", reason=reason)
    session = onnxruntime.InferenceSession(path)
    (door,) = session.get_inputs()
    assert door.name == "images" and door.type == "tensor(float)"
    return lambda images: [session.run(None, {"images": image})[0] for image in images]


def run_litert(path, shape=(-1, -1, -1, 3)):
    reason = "ai-edge-litert has no wheel for this Python"
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason=reason)
    interpreter = litert.Interpreter(str(path))
    (door,), (exit_,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert door["dtype"] == exit_["dtype"] == np.float32
    assert list(door["shape_signature"]) == list(shape)

    def run(images):
        outputs = []
        for image in images:
            interpreter.resize_tensor_input(door["index"], image.shape)
            interpreter.allocate_tensors()
            interpreter.set_tensor(door["index"], image)
            interpreter.invoke()
            outputs.append(interpreter.get_tensor(exit_["index"]))
        return outputs

    return run


def write(generator, format, path, **options):
    suffix, to_bytes = formats.FILE_FORMATS[format]
    path = path / f"generator{suffix}"
    path.write_bytes(to_bytes(generator, 8, **options))
    return path


@pytest.mark.parametrize(("format", "load"), [("onnx", run_onnx), ("litert", run_litert)])
def test_file_makes_the_pictures_of_the_model(generator, images, format, load, tmp_path):
    if format == "onnx":
        pytest.importorskip("tf2onnx", reason="tf2onnx cannot be installed on this Python")
    outputs = load(write(generator, format, tmp_path))(images)
    for image, output in zip(images, outputs, strict=True):
        expected = output_of(generator, image)
        assert expected.std() > 0.2
        np.testing.assert_allclose(output, expected, rtol=0, atol=1e-4)


LOAD_ELSEWHERE = """
import sys, keras, numpy
images = [numpy.load(path) for path in sys.argv[1:3]]
for path in sys.argv[3:]:
    model = keras.saving.load_model(path)
    numpy.savez(path + ".npz", *[model(image, training=False) for image in images])
assert not [name for name in sys.modules if name.startswith("tf_cyclegan")]
"""


def test_keras_files_load_without_this_package(images, tmp_path):
    names = ["resnet resize", "unet transpose", "resnet blur"]
    generators = {str(tmp_path / f"{name}.keras"): build(name) for name in names}
    for path, generator in generators.items():
        Path(path).write_bytes(formats.keras_bytes(generator))
    inputs = [str(tmp_path / f"{i}.npy") for i in range(len(images))]
    for path, image in zip(inputs, images, strict=True):
        np.save(path, image)
    subprocess.run([sys.executable, "-c", LOAD_ELSEWHERE, *inputs, *generators], check=True)
    for path, generator in generators.items():
        outputs = np.load(path + ".npz").values()
        for image, output in zip(images, outputs, strict=True):
            expected = output_of(generator, image)
            np.testing.assert_allclose(output, expected, rtol=0, atol=2e-5)


def test_float16_halves_the_weights_of_a_litert_file(images, tmp_path):
    generator = unet_generator(filters=16, levels=3)
    path = write(generator, "litert", tmp_path, float16=True)
    assert 0.5 < path.stat().st_size / (4 * generator.count_params()) < 0.6
    (output,) = run_litert(path)([images[1]])
    assert 0 < np.abs(output - output_of(generator, images[1])).max() < 0.02


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run of no steps: config.json and a checkpoint."""
    folder = tmp_path_factory.mktemp("run")
    config = Config(
        image_size=32, generator="unet", unet_levels=2, filters=2, discriminator_filters=2
    )
    (folder / "config.json").write_text(config.to_json())
    items = CycleGAN(config, total_steps=1).checkpoint_items
    checkpoint = tf.train.Checkpoint(**items)
    tf.train.CheckpointManager(checkpoint, str(folder / "checkpoints"), max_to_keep=1).save()
    return folder


def test_both_directions_are_written_under_the_name_of_the_format(run_folder, capsys):
    main(["--run", str(run_folder), "--format", "litert"])
    written = [run_folder / "litert" / name for name in ("x_to_y.tflite", "y_to_x.tflite")]
    assert capsys.readouterr().out.split() == [str(path) for path in written]
    assert sorted((run_folder / "litert").iterdir()) == written
    assert written[0].read_bytes() != written[1].read_bytes()

    image = np.random.default_rng(1).uniform(-1, 1, SHAPES[0]).astype("float32")
    for path, direction in zip(written, translator.DIRECTIONS, strict=True):
        generator, _ = translator.restore_translator(Run(run_folder), direction)
        (output,) = run_litert(path)([image])
        expected = output_of(generator, image)
        np.testing.assert_allclose(output, expected, rtol=0, atol=1e-4)


def test_output_and_keras_format(run_folder, tmp_path):
    main(["--run", str(run_folder), "--format", "keras", "--output", str(tmp_path / "models")])
    loaded = keras.saving.load_model(tmp_path / "models" / "y_to_x.keras")
    generator, _ = translator.restore_translator(Run(run_folder), "y_to_x")
    image = np.random.default_rng(1).uniform(-1, 1, SHAPES[0]).astype("float32")
    np.testing.assert_allclose(loaded(image), generator(image), rtol=0, atol=2e-5)
    assert loaded.name == generator.name
    for weight, own in zip(loaded.weights, generator.weights, strict=True):
        np.testing.assert_array_equal(weight, own)  # as --init-generator-g reads them


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["--run", "RUN", "--format", "onnx", "--float16"],
            "--float16 is for --format litert, not",
        ),
        (["--run", "RUN", "--format", "keras", "--image-size", "32"], "--format onnx and litert"),
        (["--run", "RUN", "--format", "litert", "--image-size", "32x30"], "takes multiples of 4"),
        (["--run", "RUN", "--model", "RUN"], "either --run"),
        ([], "either --run"),
        (["--model", "RUN"], "for the folder of a run, give --run"),
        (["--model", "RUN/none.keras"], "there is no file or folder RUN/none.keras in /"),
        (["--run", "RUNS"], "there is no folder of a run RUNS in /"),
    ],
)
def test_what_does_not_fit_is_refused(options, sentence, run_folder):
    with pytest.raises(UserError, match=sentence):
        main([str(run_folder) if option == "RUN" else option for option in options])


def test_onnx_files_say_what_they_take(tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("tf2onnx", reason="tf2onnx cannot be installed on this Python")
    generator = build("unet transpose")
    model = onnx.load(write(generator, "onnx", tmp_path, image_size=(16, 24)))
    facts = {fact.key: fact.value for fact in model.metadata_props}
    assert facts == {"range": "-1 1", "size_multiple": "8", "smallest_side": "8"}
    (door,), (exit_,) = model.graph.input, model.graph.output
    assert (door.name, exit_.name) == ("images", "translated")
    for end in (door, exit_):
        assert [d.dim_value for d in end.type.tensor_type.shape.dim] == [1, 16, 24, 3]


@pytest.fixture
def converted(tmp_path):
    """A folder as the convert command writes it, without the SavedModel."""
    folder = tmp_path / "converted"
    folder.mkdir()
    build("resnet transpose").save(folder / "model.keras")
    return folder


def test_what_convert_wrote_is_exported(converted, capsys):
    main(["--model", str(converted), "--format", "litert", "--image-size", "16x24"])
    path = converted / "litert" / "model.tflite"
    assert capsys.readouterr().out.split() == [str(path)]
    image = np.random.default_rng(1).uniform(-1, 1, [1, 16, 24, 3]).astype("float32")
    (output,) = run_litert(path, [1, 16, 24, 3])([image])
    expected = output_of(build("resnet transpose"), image)
    np.testing.assert_allclose(output, expected, rtol=0, atol=2e-5)


def test_a_keras_file_is_exported_under_its_name(converted, tmp_path):
    file = converted / "model.keras"
    main(["--model", str(file), "--format", "keras", "--output", str(tmp_path / "out")])
    (written,) = (tmp_path / "out").iterdir()
    assert written.name == "model.keras"
    with zipfile.ZipFile(written) as archive:
        assert "tf_cyclegan" not in archive.read("config.json").decode()
    with pytest.raises(UserError, match="is a SavedModel already"):
        (converted / "saved_model").mkdir()
        (converted / "saved_model" / "saved_model.pb").touch()
        main(["--model", str(file)])


def test_discriminators_are_no_translators(tmp_path):
    path = tmp_path / "model.keras"
    patchgan_discriminator(filters=2).save(path)
    with pytest.raises(UserError, match="holds no translator"):
        main(["--model", str(path), "--format", "onnx"])


@pytest.mark.parametrize(
    ("network", "multiple"),
    [
        (resnet_generator(1, filters=2), 4),
        (resnet_generator(1, filters=2, antialias=True, upsampling="blur"), 4),
        (unet_generator(filters=2, levels=4), 16),
        (pix2pix_unet_generator(filters=2, levels=3), 8),
    ],
)
def test_size_multiple_follows_from_a_network(network, multiple):
    assert size_multiple(network) == multiple
    assert size_multiple(with_standard_layers(network)) == multiple


def test_missing_extra_is_named(run_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(UserError, match=r"pip install 'tf2onnx>=1\.17'"):
        main(["--run", str(run_folder), "--format", "onnx"])
    assert not (run_folder / "onnx").exists()


def test_failed_conversion_leaves_nothing_behind(run_folder, monkeypatch):
    def fail(*_):
        raise RuntimeError

    monkeypatch.setitem(formats.FILE_FORMATS, "keras", (".keras", fail))
    with pytest.raises(RuntimeError):
        main(["--run", str(run_folder), "--format", "keras"])
    assert not (run_folder / "keras").exists()
