import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import TINY_SETTINGS

from tf_cyclegan.errors import UserError
from tf_cyclegan.methods.cyclegan.settings import Config
from tf_cyclegan.methods.cyclegan.step import CycleGAN
from tf_cyclegan.optimization.schedules import LinearDecay

TINY = Config(**TINY_SETTINGS)
TERMS = ["generator_g", "generator_f", "cycle_x", "cycle_y", "identity_x", "identity_y"]


def random_batch(seed, count=2):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, [2, count, 32, 32, 3]).astype(np.float32)


def weights(model):
    names = ("generator_g", "generator_f", "discriminator_x", "discriminator_y")
    return {name: [w.numpy() for w in getattr(model, name).weights] for name in names}


def changed(before, after):
    return {
        name
        for name in before
        if any(not np.array_equal(a, b) for a, b in zip(before[name], after[name], strict=True))
    }


def step_losses(config, steps=1):
    """The losses of one step after the other, each done when it is asked for."""
    return step_losses_of(config, [random_batch(i) for i in range(steps)])


def step_losses_of(config, batches):
    """The losses of a step on each batch, likewise."""
    model = CycleGAN(config, len(batches))
    for batch in batches:
        yield {name: float(value) for name, value in model.train_step(*batch).items()}


@pytest.fixture(scope="module")
def default_losses():
    # The pool of 4 is full after two batches of 2; a decaying rate shows from the second step.
    return list(step_losses(TINY, 4))


def test_a_step_changes_all_four_networks_and_counts():
    model = CycleGAN(TINY, 1)
    before = weights(model)
    terms = model.train_step(*random_batch(0))
    assert changed(before, weights(model)) == set(before)
    assert model.step.numpy() == 1
    assert set(terms) == {*TERMS, "discriminator_x", "discriminator_y"}


class WithoutACycle(CycleGAN):
    """The objective changed as the notebook says: generators that are judged, and no more."""

    def losses_and_gradients(self, real_x, real_y):
        with tf.GradientTape() as tape:
            fake_y, fake_x = self.generator_g(real_x), self.generator_f(real_y)
            judged = self.discriminator_y(fake_y), self.discriminator_x(fake_x)
            terms = {
                name: tf.reduce_mean((logits - 1) ** 2)
                for name, logits in zip(("generator_g", "generator_f"), judged, strict=True)
            }
            loss = terms["generator_g"] + terms["generator_f"]
        return terms, self.generators.gradients(tape, loss)


def test_a_subclass_with_an_objective_of_its_own_trains_the_networks_it_is_given():
    reference = CycleGAN(dataclasses.replace(TINY, lambda_cycle=0.0, lambda_identity=0.0), 1)
    given = CycleGAN(TINY, None)
    names = ("generator_g", "generator_f", "discriminator_x", "discriminator_y")
    networks = {name: getattr(given, name) for name in names}
    own = WithoutACycle(dataclasses.replace(TINY, seed=5), 1, networks=networks)
    before = weights(own)
    for name in names:
        assert getattr(own, name) is networks[name]
    reference.train_step(*random_batch(0)), own.train_step(*random_batch(0))
    assert changed(before, weights(own)) == {"generator_g", "generator_f"}
    for name in ("generator_g", "generator_f"):
        for one, other in zip(weights(own)[name], weights(reference)[name], strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_without_an_adversarial_loss_the_generators_learn_alone():
    model = CycleGAN(dataclasses.replace(TINY, lambda_adversarial=0.0), 1)
    before = weights(model)
    model.train_step(*random_batch(0))
    assert changed(before, weights(model)) == {"generator_g", "generator_f"}


def test_the_terms_are_the_papers():
    # Each computed here from the networks of before the step, in NumPy.
    model = CycleGAN(TINY, 1)
    x, y = random_batch(1)
    g, f = (lambda i, net=net: net(i).numpy() for net in (model.generator_g, model.generator_f))
    d_x, d_y = (
        lambda i, net=net: net(i).numpy() for net in (model.discriminator_x, model.discriminator_y)
    )
    expected = {
        "generator_g": ((d_y(g(x)) - 1) ** 2).mean(),
        "generator_f": ((d_x(f(y)) - 1) ** 2).mean(),
        "cycle_x": np.abs(f(g(x)) - x).mean(),
        "cycle_y": np.abs(g(f(y)) - y).mean(),
        "identity_x": np.abs(f(x) - x).mean(),
        "identity_y": np.abs(g(y) - y).mean(),
        "discriminator_x": (((d_x(x) - 1) ** 2).mean() + (d_x(f(y)) ** 2).mean()) / 2,
        "discriminator_y": (((d_y(y) - 1) ** 2).mean() + (d_y(g(x)) ** 2).mean()) / 2,
    }
    terms = model.train_step(x, y)
    for name, value in expected.items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-4, err_msg=name)


def test_the_generators_begin_as_copies():
    """In those steps nothing that a discriminator says counts, and none learns; then all is as ever."""
    models = [
        CycleGAN(dataclasses.replace(TINY, copy_steps=2, lambda_adversarial=weight), 9)
        for weight in (1.0, 100.0)
    ]
    before = weights(models[0])
    x, y = random_batch(0)
    g, f = (
        network(images).numpy()
        for network, images in zip(
            (models[0].generator_g, models[0].generator_f), (x, y), strict=True
        )
    )
    for i in range(2):
        terms, _ = (model.train_step(*random_batch(i)) for model in models)
        if i == 0:
            np.testing.assert_allclose(terms["copy_x"], np.abs(g - x).mean(), rtol=1e-5)
            np.testing.assert_allclose(terms["copy_y"], np.abs(f - y).mean(), rtol=1e-5)
    assert changed(before, weights(models[0])) == {"generator_g", "generator_f"}
    assert not changed(weights(models[0]), weights(models[1]))
    before = weights(models[0])
    for model in models:
        model.train_step(*random_batch(2))
    assert len(changed(before, weights(models[0]))) == 4
    assert changed(weights(models[0]), weights(models[1])) == {"generator_g", "generator_f"}


def test_a_run_of_copies_alone_is_told():
    config = dataclasses.replace(TINY, copy_steps=4)
    assert "--copy-steps 4" in config.cautions(4)[0]
    assert not config.cautions(5) and not TINY.cautions(1)


def test_copies_are_learnt():
    model = CycleGAN(dataclasses.replace(TINY, copy_steps=40, learning_rate=0.01), 40)
    step = tf.function(model.train_step, autograph=False)
    terms = [step(*random_batch(0)) for _ in range(40)]
    for name in ("copy_x", "copy_y"):
        assert terms[-1][name] < 0.95 * terms[0][name]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"lambda_cycle": 0.0}, "--copy-steps weighs its loss as the cycle's"),
        (
            {"channels_x": 1, "channels_y": 3, "lambda_identity": 0.0},
            "--copy-steps compares G.x. with x, which needs as many channels",
        ),
    ],
)
def test_copies_need_a_cycle_and_equal_channels(settings, words):
    with pytest.raises(UserError, match=words):
        dataclasses.replace(TINY, copy_steps=2, **settings)


def test_only_the_way_back_sees_the_noise():
    """Bashkirova et al. 2019: noise of a given deviation, another for every image, way and step."""

    class Watched(CycleGAN):
        def noisy(self, translated, purpose):
            seen.append((translated, super().noisy(translated, purpose)))
            return seen[-1][1]

    seen = []
    model = Watched(dataclasses.replace(TINY, cycle_noise=0.1), 2)
    batches = [random_batch(i, count=4) for i in range(2)]
    terms = model.train_step(*batches[0])
    plain = next(step_losses_of(TINY, batches))
    for name in set(TERMS) - {"cycle_x", "cycle_y"}:
        assert float(terms[name]) == plain[name]
    assert abs(float(terms["cycle_x"]) - plain["cycle_x"]) > 1e-5
    model.train_step(*batches[1])
    noises = [image for before, after in seen for image in (after - before).numpy()]
    assert len(noises) == 16
    for noise in noises:
        assert abs(noise.mean()) < 0.01
        assert abs(noise.std() - 0.1) < 0.005
    assert np.abs(np.corrcoef([noise.ravel() for noise in noises]) - np.eye(16)).max() < 0.1


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({"lambda_identity": 0.0}, {"identity_x", "identity_y"}),
        ({"cycle_terms": "forward"}, {"cycle_y"}),
        ({"cycle_terms": "backward"}, {"cycle_x"}),
        ({"lambda_cycle": 0.0}, {"cycle_x", "cycle_y", "identity_x", "identity_y"}),
        (
            {"lambda_adversarial": 0.0},
            {"generator_g", "generator_f", "discriminator_x", "discriminator_y"},
        ),
    ],
)
def test_terms_that_are_off_are_not_computed(settings, missing):
    (terms,) = step_losses(dataclasses.replace(TINY, **settings))
    assert {*TERMS, "discriminator_x", "discriminator_y"} - set(terms) == missing


@pytest.mark.parametrize(
    "settings",
    [
        {"seed": 1},
        {"generator": "resnet2"},
        {"filters": 3},
        {"upsampling": "resize"},
        {"norm_affine": False},
        {"discriminator_filters": 3},
        {"leaky_slope": 0.1},
        {"adversarial_loss": "bce"},
        {"lambda_adversarial": 2.0},
        {"lambda_cycle": 5.0},
        {"cycle_terms": "forward"},
        {"lambda_identity": 1.0},
        {"cycle_noise": 0.1},
        {"copy_steps": 1},
        {"pool_size": 0},
        {"learning_rate": 1e-3},
        {"beta_1": 0.9},
        {"decay_start": 0.0},
        {"generator": "unet", "unet_levels": 2},
    ],
)
def test_every_setting_changes_what_is_learnt(settings, default_losses):
    others = step_losses(dataclasses.replace(TINY, **settings), 4)
    assert any(other != default for other, default in zip(others, default_losses, strict=False))


def test_the_pool_feeds_the_discriminators_alone():
    model = CycleGAN(dataclasses.replace(TINY, pool_size=2), 2)
    model.train_step(*random_batch(0))
    first = model.pool_y.images.numpy()
    np.testing.assert_allclose(first, CycleGAN(TINY, 1).generator_g(random_batch(0)[0]), atol=1e-5)


def test_the_discriminators_see_what_the_pools_return():
    model = CycleGAN(dataclasses.replace(TINY, pool_size=2), 1)
    x, y = random_batch(1)
    shown = {"x": np.full_like(x, 0.25), "y": np.full_like(y, -0.5)}  # no generator makes these
    model.pool_x.query = lambda images, seed: tf.constant(shown["x"])
    model.pool_y.query = lambda images, seed: tf.constant(shown["y"])
    expected = {
        f"discriminator_{name}": (
            np.mean((network(real).numpy() - 1) ** 2) + np.mean(network(shown[name]).numpy() ** 2)
        )
        / 2
        for name, network, real in (
            ("x", model.discriminator_x, x),
            ("y", model.discriminator_y, y),
        )
    }
    fooled = np.mean((model.discriminator_y(model.generator_g(x)).numpy() - 1) ** 2)
    terms = model.train_step(x, y)
    for name, value in expected.items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-4, err_msg=name)
    # The generators are judged by their own images, not by those of the pool.
    np.testing.assert_allclose(terms["generator_g"], fooled, rtol=1e-4)


def test_every_heading_has_its_picture():
    model = CycleGAN(TINY)
    x, y = random_batch(1)
    model.translators = {
        "x_to_y": lambda images, training: images + 1,
        "y_to_x": lambda images, training: images * 3,
    }
    expected = {
        "x": x,
        "G(x)": x + 1,
        "F(G(x))": (x + 1) * 3,
        "y": y,
        "F(y)": y * 3,
        "G(F(y))": y * 3 + 1,
    }
    columns = model.samples(x, y)
    assert list(columns) == list(expected)
    for heading, images in expected.items():
        np.testing.assert_array_equal(columns[heading], images, err_msg=heading)


def test_the_perceptual_distance_is_one_of_features(tmp_path):
    images = keras.Input([None, None, 3])
    start = keras.initializers.RandomNormal(seed=0)
    seen = keras.layers.Conv2D(4, 3, name="seen", kernel_initializer=start)(images)
    path = tmp_path / "features.keras"
    keras.Model(images, seen).save(path)
    settings = {"perceptual": str(path), "perceptual_layer": "seen", "perceptual_size": 20}
    model, plain = CycleGAN(dataclasses.replace(TINY, **settings), 1), CycleGAN(TINY, 1)
    x, y = random_batch(1)
    cycled = model.generator_f(model.generator_g(x))
    expected = np.abs(model.features(x) - model.features(cycled)).mean()
    terms, without = model.train_step(x, y), plain.train_step(x, y)
    np.testing.assert_allclose(terms["perceptual_cycle_x"], expected, rtol=1e-4)
    assert set(terms) - set(without) == {
        f"perceptual_{name}" for name in ("cycle_x", "cycle_y", "identity_x", "identity_y")
    }
    np.testing.assert_array_equal(terms["cycle_x"], without["cycle_x"])
    changes = changed(weights(model), weights(plain))
    assert changes == {"generator_g", "generator_f"}  # discriminators are taught as ever
    assert "features" in model.checkpoint_items


def test_the_rate_is_constant_then_falls_to_zero():
    rate = LinearDecay(0.2, 0.5, 200)
    for step, factor in [(0, 1), (99, 1), (100, 1), (150, 0.5), (199, 0.01), (200, 0), (300, 0)]:
        np.testing.assert_allclose(rate(step), 0.2 * factor, atol=1e-8)
    assert float(LinearDecay(0.2, 1.0, 200)(1000)) == pytest.approx(0.2)


def test_the_tutorials_own_networks_are_asked_for_in_one_sentence():
    with pytest.raises(
        UserError, match=r"pip install git\+https://github\.com/tensorflow/examples"
    ):
        CycleGAN(Config(generator="tensorflow_examples"), 1)
