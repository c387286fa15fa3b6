"""pix2pix: its objective against PyTorch's, its settings, and a run from the command to the page."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from checkpoints import checkpoint_hash
from trainings import interrupted_at, quick_trainings

import tf_cyclegan as cg
from tests.fidelity import golden
from tests.fidelity.checks import (
    copies,
    from_torch,
    precision,
    record_gradients,
    relative,
    relative_of_each,
    set_weights,
    sketches,
)
from tf_cyclegan import evaluate, export
from tf_cyclegan.errors import UserError
from tf_cyclegan.methods.pix2pix.settings import PRESETS, Config
from tf_cyclegan.methods.pix2pix.step import Pix2Pix
from tf_cyclegan.pictures import image_grid
from tf_cyclegan.training import trainer
from tf_cyclegan.training.run import Run
from tf_cyclegan.translation.translator import export_run

TINY = Config(
    image_size=32,
    load_size=36,
    generator="unet",
    unet_levels=3,
    filters=2,
    discriminator_filters=2,
    batch_size=2,
    steps=4,
    checkpoint_every=2,
    sample_every=4,
    log_every=1,
    jit="off",
)
NETWORKS = ("generator_g", "discriminator")


def random_batch(seed, count=2):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, [2, count, 32, 32, 3]).astype(np.float32)


def step_losses(config, steps=3):  # a rate that falls shows from the third on
    """The losses of one step after the other, each done when it is asked for."""
    method = Pix2Pix(config, steps)
    for seed in range(steps):
        terms = method.train_step(*random_batch(seed))
        yield {name: float(value) for name, value in terms.items()}


def networks(method):
    return {name: getattr(method, name) for name in NETWORKS}


# --- Against PyTorch in float64: tools/make_golden_pix2pix.py


@pytest.fixture(scope="module", params=["tutorial", "paper"])
def steps(request):
    """What that script computes, and what we do."""
    config = dataclasses.replace(
        PRESETS[request.param],
        image_size=32,
        filters=golden.FILTERS,
        unet_levels=4,
        discriminator_filters=golden.FILTERS,
    )
    images = golden.draw_images(golden.draws(400), 4, 32, 32).reshape(2, 2, 1, 3, 32, 32)
    arrays = {}
    with precision("float64"):
        method = Pix2Pix(config, 2)
        for seed, network in enumerate(networks(method).values(), 401):
            set_weights(network, seed)
            for layer in network._flatten_layers():
                if isinstance(layer, keras.layers.Dropout):
                    layer.rate = 0.0
        before = copies(networks(method))
        gradients = record_gradients(method)
        for step, reals in enumerate(images, 1):
            terms = method.train_step(*(tf.constant(from_torch(real)) for real in reals))
            arrays[f"terms {step}"] = [float(term) for term in terms.values()]
            after = copies(networks(method))
            for name in NETWORKS:
                changes = map(np.subtract, after[name], before[name])
                arrays[f"gradients {step} {name}"] = sketches(gradients[name])
                arrays[f"changes {step} {name}"] = sketches(changes)
    expected = {
        name.removeprefix(f"{request.param} "): array
        for name, array in golden.load("pix2pix").items()
        if name.startswith(request.param)
    }
    return arrays, expected


@pytest.mark.parametrize("step", [1, 2])
def test_losses_and_updates_are_those_of_pytorch(steps, step):
    ours, expected = steps
    assert relative(ours[f"terms {step}"], expected[f"terms {step}"]) < 1e-10
    for name in NETWORKS:
        for kind, floor in (("gradients", 1e-3), ("changes", 1e-1)):
            key = f"{kind} {step} {name}"
            assert relative_of_each(ours[key], expected[key], floor) < 1e-10, key


def test_images_of_a_batch_do_not_see_each_other():
    # Batch norms of batches of one, so that a batch is the mean of its images.
    config = dataclasses.replace(TINY, dropout=0.0)
    with precision("float64"):
        x, y = (batch.astype(np.float64) for batch in random_batch(0))
        whole = Pix2Pix(config).losses_and_gradients(x, y)
        each = [Pix2Pix(config).losses_and_gradients(x[i : i + 1], y[i : i + 1]) for i in (0, 1)]
        for one, first, second in zip(*map(tf.nest.flatten, (whole, *each)), strict=True):
            np.testing.assert_allclose(one, (first + second) / 2, rtol=1e-9, atol=1e-12)


# --- Settings


@pytest.fixture(scope="module")
def default_losses():
    return list(step_losses(TINY))


@pytest.mark.parametrize(
    "settings",
    [
        {"seed": 1},
        {"generator": "resnet1"},
        {"unet_levels": 4},
        {"filters": 3},
        {"upsampling": "resize"},
        {"norm_affine": False},
        {"layers": "authors"},
        {"dropout": 0.0},
        {"discriminator_filters": 3},
        {"leaky_slope": 0.1},
        {"adversarial_loss": "lsgan"},
        {"lambda_adversarial": 2.0},
        {"lambda_adversarial": 0.0},
        {"lambda_l1": 10.0},
        {"halve_discriminator": True},
        {"learning_rate": 1e-3},
        {"beta_1": 0.9},
        {"decay_start": 0.0},
    ],
)
def test_every_setting_changes_what_is_learnt(settings, default_losses):
    others = step_losses(dataclasses.replace(TINY, **settings))
    assert any(other != default for other, default in zip(others, default_losses, strict=False))


def test_layers_of_the_authors_matter_to_resnets_and_discriminators_too():
    losses = [
        [*step_losses(dataclasses.replace(TINY, generator="resnet1", layers=layers))][-1]
        for layers in ("tutorial", "authors")
    ]
    assert losses[0]["generator_g"] != losses[1]["generator_g"]


@pytest.mark.parametrize(
    ("settings", "terms"),
    [
        ({}, {"generator_g", "l1", "discriminator"}),
        ({"lambda_l1": 0.0}, {"generator_g", "discriminator"}),
        ({"lambda_adversarial": 0.0}, {"l1"}),
    ],
)
def test_terms_that_are_off_are_not_computed(settings, terms):
    method = Pix2Pix(dataclasses.replace(TINY, **settings), 1)
    before = copies(networks(method))
    assert set(method.train_step(*random_batch(0))) == terms
    changed = {
        name
        for name, weights in copies(networks(method)).items()
        if any(map(np.any, map(np.subtract, weights, before[name])))
    }
    assert changed == ({"generator_g"} if "discriminator" not in terms else set(NETWORKS))


def test_halving_halves():
    halved = next(step_losses(dataclasses.replace(TINY, halve_discriminator=True)))
    whole = next(step_losses(TINY))
    assert halved["discriminator"] == pytest.approx(whole["discriminator"] / 2, rel=1e-5)
    assert halved["generator_g"] == whole["generator_g"]


def test_half_precision_and_rematerialisation_learn_the_same(default_losses):
    for settings in ({"precision": "mixed_float16"}, {"remat": True}):
        losses = step_losses(dataclasses.replace(TINY, **settings))
        for own, default in zip(losses, default_losses, strict=True):
            assert own == pytest.approx(default, rel=0.05)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"generator": "tensorflow_examples", "image_size": 256}, "pix2pix takes unet or resnet9"),
        ({"layers": "authors", "upsampling": "resize"}, "--layers tutorial"),
        ({"lambda_l1": 0.0, "lambda_adversarial": 0.0}, "leaves nothing to learn"),
        ({"dropout": 1.0}, "--dropout is 1.0; it must be from 0 to below 1"),
    ],
)
def test_what_does_not_fit_is_refused(settings, words):
    with pytest.raises(UserError, match=words):
        dataclasses.replace(TINY, load_size=None, unet_levels=None, **settings)


# --- Translating


def test_dropout_stays_when_it_translates_and_is_the_same_for_every_picture():
    method = Pix2Pix(TINY, 1)
    x, _ = random_batch(0, count=3)
    states = [v.numpy() for v in method.checkpoint_items["generator_g_random_states"]]
    assert states
    translate = tf.function(method.translators["x_to_y"], autograph=False)
    translated = translate(x).numpy()
    np.testing.assert_array_equal(translated, translate(x))
    np.testing.assert_allclose(translated[1:2], translate(x[1:2]), atol=1e-5)
    without = method.generator_g(x, training=False).numpy()
    assert np.abs(translated - without).max() > 1e-3
    for state, now in zip(
        states, method.checkpoint_items["generator_g_random_states"], strict=True
    ):
        np.testing.assert_array_equal(state, now)
    other = Pix2Pix(dataclasses.replace(TINY, seed=1))
    other.generator_g.set_weights(method.generator_g.get_weights())
    assert np.abs(other.translators["x_to_y"](x) - translated).max() > 1e-3


def test_half_of_the_features_are_dropped_and_the_others_doubled():
    from tf_cyclegan.models.dropout import BatchDropout, dropout_of_translation

    with dropout_of_translation():
        dropped = BatchDropout(0.5, seed=1)(np.ones([2, 16, 16, 8], np.float32)).numpy()
    assert set(np.unique(dropped)) == {0.0, 2.0} and 0.9 < dropped.mean() < 1.1
    np.testing.assert_array_equal(dropped[0], dropped[1])


# --- A run


@pytest.fixture(scope="module")
def config(paired_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pix2pix")
    return dataclasses.replace(TINY, dataset=str(paired_folder), run_dir=str(folder / "run"))


@pytest.fixture(scope="module")
def run_folder(config):
    headings = []

    def grid(columns, note):
        headings.append(list(columns))
        return image_grid(columns, note)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "image_grid", grid)
        with quick_trainings():
            folder = cg.train(config)
    export_run(folder, folder / "saved_model")
    assert headings == [["x", "G(x)", "y"]]
    return folder


def test_a_run_that_was_interrupted_ends_with_the_same_bits(run_folder, config, tmp_path):
    again = dataclasses.replace(config, run_dir=str(tmp_path / "again"))
    with quick_trainings():
        with interrupted_at(3):
            cg.train(again)
        assert checkpoint_hash(cg.train(again)) == checkpoint_hash(run_folder)
    assert Run(again.run_folder).metrics.lines() == Run(run_folder).metrics.lines()


def test_what_it_exports_translates_as_the_run_does(run_folder):
    assert [path.name for path in Run(run_folder).exports().iterdir()] == ["x_to_y"]
    images = np.random.default_rng(0).integers(0, 256, [2, 30, 45, 3], np.uint8)
    by_run = cg.load_translator(run_folder)(images)
    by_model = cg.load_translator(run_folder / "saved_model" / "x_to_y")(images)
    assert by_run.shape == images.shape
    assert np.abs(by_run.astype(int) - by_model).max() <= 1
    assert np.abs(by_model[:1].astype(int) - cg.load_translator(run_folder)(images[:1])).max() <= 1
    with pytest.raises(UserError, match="translates x_to_y alone"):
        cg.load_translator(run_folder, "y_to_x")


def test_other_formats_hold_a_network_without_dropout_alone(run_folder, tmp_path, command):
    options = ("--run", run_folder, "--format", "keras", "--output", tmp_path / "keras")
    code, errors = command(export.main, *options)
    assert code == 2 and "--format saved_model alone" in errors and "Traceback" not in errors
    bare = Pix2Pix(dataclasses.replace(TINY, dropout=0.0))
    assert isinstance(bare.translators["x_to_y"], keras.Model)


@pytest.mark.parametrize("direction", ["a_to_b", "b_to_a"])
def test_a_run_is_judged_against_the_partners(config, run_folder, direction, tmp_path, command):
    folder = run_folder
    if direction == "b_to_a":  # the same weights, asked for the other way
        folder = tmp_path / "run"
        Run(folder).folder.mkdir()
        (folder / "checkpoints").symlink_to(run_folder / "checkpoints")
        Run(folder).write_settings(dataclasses.replace(config, direction=direction))
    code, errors = command(evaluate.main, "--run", folder, "--output", tmp_path / "page")
    assert code == 0, errors
    results = json.loads((tmp_path / "page" / "metrics.json").read_text())
    letters = "AB" if direction == "a_to_b" else "BA"
    assert results["splits"] == {"x": f"test{letters[0]}", "y": f"test{letters[1]}"}
    paired = results["directions"]["x_to_y"]["paired"]
    assert set(results["directions"]) == {"x_to_y"}
    # The right half of each file is the left one inverted.
    assert 0.1 < paired["l1"]["untranslated"] < 1.5 and paired["l1"]["translated"] > 0


def test_unpaired_data_are_refused(image_folder, config, command):
    from tf_cyclegan import train

    options = ("--method", "pix2pix", "--preset", "demo", "--dataset", image_folder)
    code, errors = command(train.main, *options, "--run-dir", f"{config.run_dir}_unpaired")
    assert code == 2 and "is not paired" in errors and "Traceback" not in errors
