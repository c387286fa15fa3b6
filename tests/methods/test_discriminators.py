"""What discriminators see, how they are held back, and how fast all networks learn."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import TINY_SETTINGS

from tf_cyclegan.errors import UserError
from tf_cyclegan.methods.cyclegan.settings import Config
from tf_cyclegan.methods.cyclegan.step import CycleGAN
from tf_cyclegan.models.dropout import BatchDropout
from tf_cyclegan.models.layers import SpectralConv2D, spectral_layers
from tf_cyclegan.optimization.augmentation import augmented
from tf_cyclegan.optimization.penalties import between, gradient_penalty
from tf_cyclegan.optimization.plateau import Plateau
from tf_cyclegan.optimization.schedules import CosineDecay, StepDecay, Warmup, learning_rate

TINY = Config(**TINY_SETTINGS | {"batch_size": 2, "pool_size": 0, "lambda_identity": 0.0})


def with_(**settings):
    return dataclasses.replace(TINY, **settings)


def batch(seed, dtype=np.float32):
    return np.random.default_rng(seed).uniform(-1, 1, [2, 2, 32, 32, 3]).astype(dtype)


# The policies, pixel by pixel as DiffAugment defines them.


def draws(*numbers):
    """One image's, applied in any case."""
    return tf.constant([[[0.0]] + [[n] for n in (*numbers, 0, 0, 0)[:3]]], tf.float64)


def test_color_is_brightness_then_saturation_then_contrast():
    x = batch(0, np.float64)[0][:1]
    b, s, c = 0.2, 0.9, 0.3
    expected = x + (b - 0.5)
    grey = expected.mean(3, keepdims=True)
    expected = (expected - grey) * (2 * s) + grey
    mean = expected.mean()
    expected = (expected - mean) * (c + 0.5) + mean
    found = augmented(tf.constant(x), ["color"], draws(b, s, c), 1.0)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(("draw", "by"), [(0.0, -4), (0.5, 0), (0.99, 4)])
def test_translation_moves_by_up_to_an_eighth_and_fills_with_zeros(draw, by):
    x = batch(0, np.float64)[0][:1]
    expected = np.zeros_like(x)
    for row in range(32):
        for column in range(32):
            if 0 <= row + by < 32 and 0 <= column + 1 < 32:
                expected[0, row, column] = x[0, row + by, column + 1]
    found = augmented(tf.constant(x), ["translation"], draws(draw, 0.6), 1.0)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("draw", [0.0, 0.31, 0.999])
def test_cutout_is_half_a_side_and_may_reach_over_the_edge(draw):
    x = batch(0, np.float64)[0][:1]
    expected, first = x.copy(), int(draw * 33) - 8
    expected[0, max(first, 0) : first + 16, 0:8] = 0
    found = augmented(tf.constant(x), ["cutout"], draws(draw, 0.0), 1.0)
    np.testing.assert_array_equal(found, expected)


def test_both_images_of_a_pair_are_changed_alike_and_only_as_often_as_asked():
    x = batch(1)[0]
    pair = tf.constant(np.concatenate([x, x], -1))
    numbers = tf.random.stateless_uniform([2, 4, 2], [0, 1])
    found = augmented(pair, ["color", "translation"], numbers, 1.0)
    np.testing.assert_array_equal(found[..., :3], found[..., 3:])
    assert (np.abs(found - pair) > 0.01).any(axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(augmented(pair, ["color", "translation"], numbers, 0.0), pair)


def test_generators_learn_through_what_discriminators_see():
    model = CycleGAN(with_(augment="color,translation,cutout"), 1)
    x = tf.constant(batch(0)[0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        seen = model.seen(x)
    assert (np.abs(seen - x) > 0.01).any()
    slope = np.abs(tape.gradient(seen, x))
    assert np.isfinite(slope).all() and slope.max() > 0
    np.testing.assert_array_equal(model.seen(x), seen)  # for real and generated images the same
    model.step.assign_add(1)
    assert (model.seen(x) != seen).numpy().any()


def test_the_probability_follows_what_is_called_real_and_is_kept():
    model = CycleGAN(
        with_(augment="color", augment_probability=0.2, augment_target=0.8, augment_images=40), 4
    )
    expected = 0.2
    for step in range(2):
        terms = model.train_step(*batch(step))
        share = (terms["called_real_x"] + terms["called_real_y"]) / 2
        expected = np.clip(expected + np.sign(share - 0.8) * 2 / 40, 0, 1)
        np.testing.assert_allclose(terms["augment_probability"], expected, rtol=1e-5)
    assert "augment_probability" in model.checkpoint_items


# Penalties.


def judge(x):
    """A discriminator whose gradient is known: 2 a x at every pixel, its logits those of patches."""
    return 0.5 * tf.nn.avg_pool2d(tf.reduce_sum(x * x, -1, keepdims=True), 4, 4, "VALID") * 16


def test_penalties_are_those_of_their_papers():
    x, y = (tf.constant(one) for one in batch(2, np.float64))
    norm = np.sqrt((x.numpy() ** 2).sum((1, 2, 3)))  # the gradient of sum x^2 / 2 is x
    np.testing.assert_allclose(gradient_penalty(judge, x, 0.0), norm**2, rtol=1e-12)
    np.testing.assert_allclose(gradient_penalty(judge, x, 1.0), (norm - 1) ** 2, rtol=1e-10)
    mixed = between(x, y, tf.constant([0.25, 1.0], tf.float64)).numpy()
    np.testing.assert_allclose(mixed[0], 0.25 * x[0] + 0.75 * y[0])
    np.testing.assert_array_equal(mixed[1], x[1])


def test_the_slope_of_a_penalty_is_right_through_instance_norms():
    # Second derivatives of the networks as they are, against differences.
    before = keras.config.dtype_policy()
    keras.config.set_floatx("float64")  # of inputs
    keras.config.set_dtype_policy("float64")  # of layers
    try:
        network = CycleGAN(with_(discriminator_halvings=1), None).discriminator_x
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy(before)
    x = tf.constant(batch(3, np.float64)[0])
    kernel = network.trainable_variables[1]  # before a norm

    def penalty():
        return tf.reduce_mean(gradient_penalty(network, x, 0.0))

    with tf.GradientTape() as tape:
        value = penalty()
    slope = tape.gradient(value, kernel).numpy()
    before, place = kernel.numpy(), np.unravel_index(np.abs(slope).argmax(), slope.shape)
    ends = []
    for by in (-1e-6, 1e-6):
        moved = before.copy()
        moved[place] += by
        kernel.assign(moved)
        ends.append(float(penalty()))
    assert (ends[1] - ends[0]) / 2e-6 == pytest.approx(slope[place], rel=1e-5)


@pytest.fixture(scope="module")
def plain():
    """Networks after a step without a penalty."""
    model = CycleGAN(TINY, 2)
    model.train_step(*batch(0))
    return model


@pytest.mark.parametrize("kind", ["r1", "zero", "wgan-gp"])
def test_a_penalty_is_logged_and_changes_the_discriminators_alone(kind, plain):
    held = CycleGAN(with_(penalty=kind, penalty_weight=5.0), 2)
    terms = held.train_step(*batch(0))
    assert terms["penalty_x"] > 0 and terms["penalty_y"] > 0
    for name, same in (("generator_g", True), ("discriminator_x", False)):
        pairs = zip(getattr(plain, name).weights, getattr(held, name).weights, strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs) is same


def test_a_penalty_in_intervals_is_so_much_larger():
    model = CycleGAN(with_(penalty="r1", penalty_every=2), 3)
    real, fake = batch(0)
    expected = gradient_penalty(model.discriminator_x, tf.constant(real), 0.0).numpy().mean()
    assert float(model.penalty(model.discriminator_x, tf.constant(real), tf.constant(fake))) == 0
    model.step.assign_add(1)
    found = model.penalty(model.discriminator_x, tf.constant(real), tf.constant(fake))
    np.testing.assert_allclose(found, 2 * 0.5 * expected, rtol=1e-5)  # R1 is halved


def test_a_penalty_begins_after_its_share_of_the_run():
    never = CycleGAN(TINY, 4)
    late = CycleGAN(with_(penalty="r1", penalty_weight=5.0, penalty_start=0.5), 4)
    for step in range(3):
        never.train_step(*batch(step))
        penalty = late.train_step(*batch(step))["penalty_x"]
        pairs = zip(never.discriminator_x.weights, late.discriminator_x.weights, strict=True)
        is_free = step < 2
        assert (penalty == 0) == is_free
        assert all(np.array_equal(a, b) for a, b in pairs) == is_free


# Spectral norm, patches, rates.


def test_a_spectral_kernel_has_norm_one():
    layer = SpectralConv2D(5, 4, u_seed=1)
    images = tf.constant(batch(0)[0])
    found = layer(images)
    for _ in range(50):
        layer.u.assign(layer.next_u())
    kernel = layer.kernel.numpy().astype(np.float64)
    norm = np.linalg.svd(kernel.reshape(-1, 5), compute_uv=False)[0]
    plain = tf.nn.conv2d(images, kernel.astype(np.float32) / np.float32(norm), 1, "VALID")
    np.testing.assert_allclose(layer(images), plain, atol=1e-5)
    np.testing.assert_allclose(found, plain, atol=0.05 * np.abs(plain).max())  # from the start
    again = SpectralConv2D.from_config(layer.get_config())
    again.build(images.shape)
    assert again.u.shape == (5,)


def test_discriminators_are_spectral_and_their_vectors_follow():
    model = CycleGAN(with_(discriminator_norm="spectral"), 2)
    layers = spectral_layers(model.discriminator_x)
    assert len(layers) == 5
    assert not any("norm" in type(layer).__name__.lower() for layer in model.discriminator_x.layers)
    before = layers[0].u.numpy()
    model.train_step(*batch(0))
    np.testing.assert_array_equal(layers[0].u, layers[0].u)
    assert (layers[0].u.numpy() != before).any()


@pytest.mark.parametrize(("halvings", "patches"), [(3, 2), (2, 6), (1, 14)])
def test_halvings_are_the_size_of_a_patch(halvings, patches):
    network = CycleGAN(with_(discriminator_halvings=halvings), None).discriminator_x
    assert network(batch(0)[0]).shape == (2, patches, patches, 1)


def test_scales_are_trained_together():
    model = CycleGAN(with_(discriminator_halvings=1, discriminator_scales=2), 2)
    before = [weight.numpy() for weight in model.discriminator_x.trainable_weights]
    model.train_step(*batch(0))
    after = model.discriminator_x.trainable_weights
    assert all((old != new.numpy()).any() for old, new in zip(before, after, strict=True))


def test_dropout_is_the_generators_and_may_be_none():
    def dropouts(**settings):
        network = CycleGAN(with_(**settings), None).generator_g
        return [
            layer.rate for layer in network._flatten_layers() if isinstance(layer, BatchDropout)
        ]

    unet = {"generator": "unet", "unet_levels": 3}
    assert dropouts(**unet) == [0.5, 0.5]
    assert dropouts(**unet, dropout=0.2) == [0.2, 0.2]
    assert dropouts(**unet, dropout=0.0) == dropouts(generator="resnet1") == []
    assert dropouts(generator="resnet1", dropout=0.1) == [0.1]


def test_rates_fall_and_rise_as_they_are_named():
    cosine, step = CosineDecay(0.2, 0.5, 200), StepDecay(0.2, 0.5, 200)
    for done, share in [(0, 1), (100, 1), (150, 0.5), (125, np.cos(np.pi / 8) ** 2), (200, 0)]:
        np.testing.assert_allclose(cosine(done), 0.2 * share, atol=1e-7)
    for done, share in [(0, 1), (100, 1), (101, 0.1), (149, 0.1), (151, 0.01), (200, 0.01)]:
        np.testing.assert_allclose(step(done), 0.2 * share, rtol=1e-6)
    warm = learning_rate(0.2, "linear", 0.5, 200, 10)
    for done, share in [(0, 0.1), (4, 0.5), (9, 1), (50, 1), (150, 0.5)]:
        np.testing.assert_allclose(warm(done), 0.2 * share, rtol=1e-6)
    again = Warmup.from_config(warm.get_config())
    np.testing.assert_allclose(again(4), warm(4))
    assert learning_rate(0.2, "linear", 1.0, 200, 0) == 0.2


def test_a_plateau_is_where_a_loss_has_not_fallen_by_a_hundredth_for_long():
    plateau = Plateau(total_steps=200, start=0.1)  # windows of 4 steps, from step 20 on
    rng = np.random.default_rng(0)
    losses = 1 / (1 + np.arange(200) / 4) + 0.3 + rng.normal(0, 0.02, 200)
    shares = []
    for step, loss in enumerate(losses.astype(np.float32)):
        terms = {"cycle_x": loss / 2, "identity_y": loss / 2, "discriminator_x": np.float32(step)}
        plateau.observe({name: tf.constant(term) for name, term in terms.items()}, step)
        shares.append(float(plateau.share))
    # As PyTorch's ReduceLROnPlateau(factor=0.2, threshold=0.01, patience=5) does.
    expected, share, best, bad = [1.0] * 20, 1.0, np.inf, 0
    for mean in losses[20:].reshape(-1, 4).mean(1):
        expected += [share] * 3
        bad = 0 if mean < best * 0.99 else bad + 1
        best = mean if bad == 0 else best
        if bad > 5:
            share, bad = share * 0.2, 0
        expected.append(share)
    assert 3 <= len(set(expected)) <= 6
    np.testing.assert_allclose(shares, expected, rtol=1e-6)


def test_a_plateau_slows_all_networks_and_is_kept():
    model = CycleGAN(with_(decay="plateau", decay_start=0.5), 100)
    optimizer = model.checkpoint_items["generator_g_optimizer"]
    assert float(optimizer.learning_rate) == pytest.approx(2e-4)
    model.checkpoint_items["plateau"]["share"].assign(0.04)
    assert float(optimizer.learning_rate) == pytest.approx(8e-6)
    with pytest.raises(UserError, match="--decay plateau watches"):
        model._plateau.observe({"generator_g": tf.constant(1.0)}, 0)


def test_discriminators_may_have_a_rate_of_their_own():
    model = CycleGAN(with_(discriminator_learning_rate=1e-3), 2)
    rates = {
        name: float(model.checkpoint_items[f"{name}_optimizer"].learning_rate)
        for name in ("generator_g", "discriminator_y")
    }
    assert rates == pytest.approx({"generator_g": 2e-4, "discriminator_y": 1e-3})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"augment": "color,blur"}, "--augment has 'blur'"),
        ({"augment_target": 0.8}, "say what to --augment"),
        ({"discriminator_halvings": 4}, "fewer --discriminator-halvings"),
        ({"discriminator_scales": 3}, "in 3 scales: it needs"),
        ({"adversarial_loss": "wgan"}, "--penalty wgan-gp"),
        (
            {"adversarial_loss": "wgan", "penalty": "wgan-gp", "penalty_start": 0.1},
            "from the first step on",
        ),
        ({"decay": "cosine"}, "--decay-start below 1"),
    ],
)
def test_what_does_nothing_or_cannot_be_is_named(settings, words):
    with pytest.raises(UserError, match=words):
        with_(**settings)
