"""CUT, FastCUT and DCLGAN: their steps against PyTorch, their runs, what they refuse."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from checkpoints import checkpoint_hash
from conftest import TINY_SETTINGS
from trainings import interrupted_at, quick_trainings

import tf_cyclegan as cg
from tests.fidelity import contrastive as cases
from tests.fidelity import golden
from tests.fidelity.checks import (
    copies,
    from_torch,
    precision,
    relative_of_each,
    set_weights,
    sketches,
)
from tf_cyclegan.errors import UserError
from tf_cyclegan.losses import patch_nce
from tf_cyclegan.methods import find_method
from tf_cyclegan.methods.cut import step as cut_step
from tf_cyclegan.training.run import Run

# The method, the preset and what of it is smaller or otherwise.
CASES = {
    "cut": ("cut", "paper", {}),
    "fastcut": ("cut", "fastcut", {"antialias": False, "upsampling": "transpose"}),
    "dclgan": ("dclgan", "paper", {}),
}
TINY = TINY_SETTINGS | {"nce_layers": "0,4,8,12", "nce_features": 8, "nce_patches": 40}


def build(config, steps=1):
    return find_method(config.method).build(config, steps, None)


# --- The step


@pytest.mark.parametrize("case", CASES)
def test_losses_gradients_and_updates_are_pytorchs(case):
    expected = {
        name.removeprefix(f"{case} "): array
        for name, array in golden.load("contrastive").items()
        if name.startswith(f"{case} ")
    }
    ours = train(case)
    np.testing.assert_allclose(ours.pop("terms"), expected.pop("terms"), rtol=1e-10)
    assert ours.keys() == expected.keys()
    for name, array in expected.items():
        # A bias before a norm has gradient zero, so its change is rounding that Adam made larger.
        gradients = expected[name.replace("changes", "gradients")]
        alive = np.linalg.norm(gradients, axis=1) > 1e-9
        assert alive.any()
        error = relative_of_each(ours[name][alive], array[alive], floor=0.0)
        assert error < (1e-10 if " 1 " in name else 1e-8), name


def train(case):
    """What the golden script's `train` gives, in float64."""
    method, preset, others = CASES[case]
    images, chosen = cases.draw(case)
    with precision("float64"):
        config = dataclasses.replace(
            find_method(method).presets[preset],
            image_size="24x28",
            load_size="24x28",
            generator="resnet1",
            filters=golden.FILTERS,
            discriminator_filters=golden.FILTERS,
            batch_size=golden.BATCH,
            decay_start=1.0,
            nce_layers=",".join(map(str, cases.LAYERS)),
            nce_patches=cases.PATCHES,
            nce_features=cases.FEATURES,
            **others,
        )
        model = build(config, cases.STEPS)
        groups = model.generators, model.discriminators
        networks = groups[0].networks | groups[1].networks
        discriminators = list(groups[1].networks)
        generators = [name for name in networks if name.startswith("generator")]
        order = [*generators, *discriminators]
        order += [name for name in networks if name not in order]  # the projections
        for number, name in enumerate(order, 1):
            set_weights(networks[name], cases.SEEDS[case] + number)
        places = {
            (purpose, layer): tf.constant(
                np.stack([c["places"][part][layer] for c in chosen]), tf.int32
            )
            for part, purpose in enumerate((cut_step.OF_X, cut_step.OF_Y))
            for layer in range(len(cases.LAYERS))
        }
        model.places = lambda purpose, layer, pixels: places[purpose, layer][model.step]
        flips = tf.constant([c["flip"] for c in chosen])
        model.is_flipped = lambda: flips[model.step]  # of CUT alone
        gradients = record_gradients(groups)
        before = copies(networks)

        @tf.function(autograph=False)
        def step(real_x, real_y):
            return model.train_step(real_x, real_y), gradients

        arrays, paid = {}, []
        for number, reals in enumerate(images, 1):
            reals = (tf.constant(from_torch(real), tf.float64) for real in reals)
            terms, gradient = step(*reals)
            paid.append([float(terms[name]) for name in sorted(terms)])
            if number not in (1, cases.STEPS):
                continue
            after = copies(networks)
            for place, name in enumerate(order):
                changes = map(np.subtract, after[name], before[name])
                arrays[f"gradients {number} {place}"] = sketches(gradient[name])
                arrays[f"changes {number} {place}"] = sketches(changes)
    return arrays | {"terms": np.array(paid)}


def record_gradients(groups):
    """A dict that holds the gradients of the latest updates."""
    recorded = {}
    for group in groups:

        def updates(gradients, compute=group.updates):
            recorded.update(gradients)
            return compute(gradients)

        group.updates = updates
    return recorded


def test_the_loss_is_the_cross_entropy_of_the_right_patch():
    random = np.random.default_rng(0)
    queries, keys = random.normal(size=[2, 3, 5, 4])
    expected = np.zeros(3)
    for image in range(3):
        for patch in range(5):
            query = queries[image, patch] / np.linalg.norm(queries[image, patch])
            cosines = [query @ key / np.linalg.norm(key) for key in keys[image]]
            shares = np.exp(np.array(cosines) / 0.3)
            expected[image] -= np.log(shares[patch] / shares.sum()) / 5
    np.testing.assert_allclose(
        patch_nce(tf.constant(queries), tf.constant(keys), 0.3), expected, 1e-6
    )


def test_features_of_nothing_have_a_gradient():
    blank = tf.Variable(tf.zeros([1, 3, 4]))
    with tf.GradientTape() as tape:
        loss = patch_nce(blank, tf.zeros([1, 3, 4]), 0.07)
    assert float(loss[0]) == pytest.approx(np.log(3))
    assert np.isfinite(tape.gradient(loss, blank)).all()


def test_places_differ_by_step_seed_layer_and_purpose_and_none_comes_twice():
    config = find_method("cut").settings(**TINY)
    model, other = build(config), build(dataclasses.replace(config, seed=1))
    drawn = [model.places(1, 0, 99), model.places(2, 0, 99), model.places(1, 1, 99)]
    drawn += [other.places(1, 0, 99)]
    again = model.places(1, 0, 99)
    model.step.assign(1)
    drawn += [model.places(1, 0, 99)]
    np.testing.assert_array_equal(again, drawn[0])
    assert len({tuple(places.numpy()) for places in drawn}) == len(drawn)
    for places in drawn:
        assert len({*places.numpy()}) == 40 and min(places) >= 0 and max(places) < 99
    assert sorted(model.places(1, 0, 30).numpy()) == list(range(30))


OTHERS = [
    {"seed": 1},
    {"lambda_nce": 2.0},
    {"nce_layers": "0,8"},
    {"nce_patches": 39},
    {"nce_temperature": 0.1},
    {"nce_features": 7},
    {"nce_identity": False},
    {"flip_equivariance": True},
    {"initial_kernels": "xavier"},
]
OF_DCLGAN = [
    {"lambda_identity": 0.0},
    {"lambda_identity": 2.0},
    {"projection_learning_rate": 2e-3},
    {"projection_beta_1": 0.5},
]


@pytest.mark.parametrize(("method", "settings"), [("cut", OTHERS), ("dclgan", OF_DCLGAN)])
def test_every_setting_changes_what_is_learnt(method, settings):
    batch = np.random.default_rng(0).uniform(-1, 1, [2, 2, 32, 32, 3]).astype(np.float32)

    def learnt(**others):
        model = build(find_method(method).settings(**TINY | {"nce_layers": "0,12"} | others), 4)
        while method == "cut" and not model.is_flipped():
            model.step.assign_add(1)
        for _ in range(3):  # the first step of Adam is the same for every beta_1
            yield [float(value) for value in model.train_step(*batch).values()]
            yield float(tf.add_n([tf.reduce_sum(w) for w in model.generator_g.trainable_weights]))

    default = list(learnt())
    for others in settings:
        assert any(a != b for a, b in zip(learnt(**others), default, strict=False)), others


def test_features_of_activations_that_are_computed_twice_are_the_same():
    batch = np.random.default_rng(0).uniform(-1, 1, [2, 2, 32, 32, 3])
    results = []
    with precision("float64"):
        for remat in (False, True):
            model = build(find_method("cut").settings(**TINY, remat=remat), 3)
            model.train_step(*map(tf.constant, batch))
            results.append(np.concatenate([w.numpy().ravel() for w in model.generator_g.weights]))
    np.testing.assert_allclose(results[1], results[0], atol=1e-8)


# --- A run


def test_a_run_goes_on_to_the_bit(image_folder, tmp_path):
    config = find_method("cut").settings(
        **TINY
        | {"flip_equivariance": True, "antialias": True, "upsampling": "blur"}
        | {"dataset": str(image_folder), "steps": 4, "batch_size": 2, "checkpoint_every": 4}
        | {"run_dir": str(tmp_path / "whole"), "sample_every": 4}
    )
    with quick_trainings():
        whole = cg.train(config)
        cut = dataclasses.replace(config, run_dir=str(tmp_path / "cut"))
        with interrupted_at(2):
            cg.train(cut)
        assert checkpoint_hash(cg.train(cut)) == checkpoint_hash(whole)
    assert Run(cut.run_folder).metrics.lines() == Run(whole).metrics.lines()


# --- What is refused


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ({"generator": "unet"}, "takes resnet9 or resnet with any number of blocks"),
        ({"generator": "resnet0"}, "from 1 on"),
        ({"nce_layers": "0,16"}, "names 16; resnet1 has 0, 4, 8 and its blocks 12 to 12"),
        ({"nce_layers": "0,5"}, "names 5"),
        ({"nce_layers": "0;4"}, "numbers with commas between"),
        ({"nce_layers": "4,4"}, "names a layer twice"),
    ],
)
def test_layers_that_are_not_there_are_refused(others, told):
    with pytest.raises(UserError, match=told):
        find_method("cut").settings(**TINY | others)


def test_blurs_are_of_residual_networks():
    for others in ({"antialias": True}, {"upsampling": "blur"}, {"initial_kernels": "xavier"}):
        with pytest.raises(UserError, match=r"is of residual generators .* --generator is unet"):
            find_method("cyclegan").settings(generator="unet", **others)
