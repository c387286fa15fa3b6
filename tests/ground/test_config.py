import dataclasses
import json
import math
from pathlib import Path

import pytest

from tf_cyclegan.errors import UserError
from tf_cyclegan.methods import method_of, read_settings
from tf_cyclegan.methods.cyclegan.settings import PRESETS, Config
from tf_cyclegan.training.options import settings_before


def test_presets_are_what_they_are_named_after():
    tutorial, paper = PRESETS["tutorial"], PRESETS["paper"]
    assert (tutorial.generator, tutorial.adversarial_loss, tutorial.pool_size) == ("unet", "bce", 0)
    assert (tutorial.image_shape, tutorial.load_shape) == ((256, 256), (286, 286))
    assert (tutorial.batch_size, tutorial.epochs, tutorial.decay_start) == (1, 10, 1.0)
    assert (paper.generator, paper.adversarial_loss, paper.pool_size) == ("resnet9", "lsgan", 50)
    assert (paper.epochs, paper.decay_start) == (200, 0.5)
    for preset in (tutorial, paper):
        assert (preset.lambda_cycle, preset.lambda_identity) == (10.0, 0.5)
        assert (preset.learning_rate, preset.beta_1) == (2e-4, 0.5)


@pytest.mark.parametrize(
    ("size", "shape"), [(64, (64, 64)), ("96x128", (96, 128)), ("96X128", (96, 128))]
)
def test_sizes_are_a_number_or_height_x_width(size, shape):
    assert Config(image_size=size, generator="resnet9").image_shape == shape


def test_load_size_is_286_of_256_by_default():
    assert Config(image_size="128x256").load_shape == (143, 286)


@pytest.mark.parametrize(("side", "levels"), [(256, 8), (128, 7), (64, 6), (512, 8)])
def test_the_u_net_halves_down_to_one_pixel(side, levels):
    assert Config(image_size=side).levels == levels


def test_an_automatic_size_is_known_where_the_device_is():
    config = PRESETS["photos"]
    assert config.fit == "crop"  # whatever the shape of a photograph
    assert config.sized(accelerated=False).image_shape == (128, 128)
    assert config.sized(accelerated=True).load_shape == (286, 286)
    assert Config(image_size=96, generator="resnet9").sized(True).image_shape == (96, 96)
    with pytest.raises(UserError, match="--image-size 50 does not fit"):
        dataclasses.replace(config, image_size=50)


@pytest.mark.parametrize(
    ("options", "preset"),
    [
        ((), "demo"),
        (("--dataset", "cycle_gan/horse2zebra"), "tutorial"),
        (("--dataset", "set"), "photos"),
        (("--x", "set", "--y", "set"), "photos"),
        (("--dataset", "set", "--method", "pix2pix"), None),
    ],
)
def test_the_preset_follows_from_the_data(tmp_path, monkeypatch, options, preset):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").mkdir()
    settings = settings_before(list(options))
    presets = method_of(settings).presets
    assert settings == (presets[preset] if preset else next(iter(presets.values())))


def test_a_run_is_called_what_its_data_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("cats.v1", "cats.v2", "some/photos"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "dogs.v1.zip").write_bytes(b"")
    for dataset, name in {
        "cats.v1": "cats.v1",
        "cats.v2": "cats.v2",
        "some/photos": "photos",
        "dogs.v1.zip": "dogs.v1",
        "cycle_gan/horse2zebra:2.0.0": "cycle_gan_horse2zebra_2.0.0",
    }.items():
        assert Config(dataset=dataset).run_folder == Path("runs") / name
        assert Config(dataset=Path(dataset)).run_folder == Path("runs") / name
    assert Config(dataset="cats.v1", run_dir=Path("there")).run_folder == Path("there")


def test_paths_begin_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    config = Config(dataset="~/c", run_dir=Path("~/r"), data_dir="~")
    assert config.dataset == str(tmp_path / "c")
    assert config.run_folder == tmp_path / "r"
    assert config.data_dir == str(tmp_path)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"image_size": 100}, ["--image-size 100", "multiples of 64", "64 and 128"]),
        ({"image_size": 90, "generator": "resnet9"}, ["multiples of 4", "88 and 92"]),
        ({"image_size": 20, "generator": "resnet9"}, ["from 24 on", "is 24"]),
        ({"image_size": "12y"}, ["--image-size", "256x192"]),
        ({"image_size": -4}, ["--image-size", "positive"]),
        ({"load_size": 200}, ["--load-size 200", "smaller than --image-size 256"]),
        ({"learning_rate": -1.0}, ["--learning-rate", "above 0"]),
        ({"learning_rate": math.nan}, ["--learning-rate", "above 0"]),
        ({"batch_size": 0}, ["--batch-size is 0", "at least 1"]),
        ({"x": "photos"}, ["--x needs --y too"]),
        ({"x": "a", "y": "b", "dataset": "set"}, ["either --dataset set, or --x and --y"]),
        ({"dataset": None}, ["--dataset, or --x and --y"]),
        ({"run_dir": "gs://bucket/run"}, ["--run-dir gs://bucket/run is an address", "mount"]),
        ({"lambda_cycle": -1.0}, ["--lambda-cycle", "at least 0"]),
        ({"lambda_cycle": math.inf}, ["--lambda-cycle"]),
        ({"lambda_cycle": 0.0, "lambda_adversarial": 0.0}, ["both 0", "nothing to learn"]),
        ({"pool_size": -1}, ["--pool-size", "at least 0"]),
        ({"lambda_cycle": 10**400}, ["--lambda-cycle has 401 digits", "below 2^63"]),
        ({"seed": -(2**63)}, ["--seed has 19 digits"]),
        ({"epochs": 0}, ["--epochs", "at least 1"]),
        ({"decay_start": 1.5}, ["--decay-start", "0 to 1"]),
        ({"beta_1": 1.0}, ["--beta-1", "below 1"]),
        ({"generator": "vae"}, ["--generator", "resnet9"]),
        ({"adversarial_loss": "gan"}, ["--adversarial-loss", "lsgan"]),
    ],
)
def test_settings_that_cannot_work_are_named(settings, words):
    with pytest.raises(UserError) as caught:
        Config(**settings)
    for word in words:
        assert word in str(caught.value)


def test_json_there_and_back(tmp_path):
    config = dataclasses.replace(PRESETS["paper"], image_size="128x256", seed=7)
    path = tmp_path / "config.json"
    path.write_text(config.to_json())
    assert read_settings(path) == config
    assert json.loads(path.read_text())["seed"] == 7


@pytest.mark.parametrize("text", ["{", "[1]", '{"no_such_setting": 1}', '{"epochs": 0}'])
def test_a_broken_config_file_is_named(tmp_path, text):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(UserError):
        read_settings(path)


def test_every_setting_has_a_group_and_a_help_text():
    for field in dataclasses.fields(Config):
        assert field.metadata["group"] and field.metadata["help"], field.name
