import numpy as np
import pytest

from tf_cyclegan import losses


def logits(seed, *shape):
    return np.random.default_rng(seed).normal(0, 3, shape).astype(np.float32)


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_least_squares(target):
    z = logits(0, 2, 3, 3, 1)
    expected = ((z.astype(np.float64) - target) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(losses.least_squares(z, target), expected, rtol=1e-6)


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_cross_entropy(target):
    z = logits(1, 2, 3, 3, 1)
    p = 1 / (1 + np.exp(-z.astype(np.float64)))
    expected = -np.log(p if target else 1 - p).mean((1, 2, 3))
    np.testing.assert_allclose(losses.cross_entropy(z, target), expected, rtol=1e-5)


def test_cross_entropy_of_certain_logits_is_finite():
    z = np.array([1e4, -1e4], np.float32).reshape(2, 1, 1, 1)
    np.testing.assert_allclose(losses.cross_entropy(z, 0.0), [1e4, 0])


def test_the_discriminator_loss_is_halved():
    real, fake = logits(2, 2, 3, 3, 1), logits(3, 2, 3, 3, 1)
    expected = 0.5 * (((real - 1) ** 2).mean((1, 2, 3)) + (fake**2).mean((1, 2, 3)))
    got = losses.discriminator_adversarial(losses.ADVERSARIAL_LOSSES["lsgan"], real, fake)
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_the_generator_wants_its_images_taken_for_real():
    fake = logits(4, 2, 3, 3, 1)
    got = losses.generator_adversarial(losses.least_squares, fake)
    np.testing.assert_allclose(got, ((fake - 1) ** 2).mean((1, 2, 3)), rtol=1e-6)


def test_hinge_and_critic_have_their_own_sides():
    real, fake = (logits(seed, 2, 3, 3, 1).astype(np.float64) for seed in (7, 8))
    hinge, wgan = losses.ADVERSARIAL_LOSSES["hinge"], losses.ADVERSARIAL_LOSSES["wgan"]
    expected = np.maximum(0, 1 - real) + np.maximum(0, 1 + fake)
    got = losses.discriminator_adversarial(hinge, real, fake)
    np.testing.assert_allclose(got, 0.5 * expected.mean((1, 2, 3)), rtol=1e-6)
    got = losses.discriminator_adversarial(wgan, real, fake)
    np.testing.assert_allclose(got, 0.5 * (fake - real).mean((1, 2, 3)), rtol=1e-5)
    for loss in (hinge, wgan):
        wanted = losses.generator_adversarial(loss, fake)
        np.testing.assert_allclose(wanted, -fake.mean((1, 2, 3)), rtol=1e-5)
        unwanted = losses.generator_adversarial(loss, fake, 0.0)
        np.testing.assert_allclose(unwanted, fake.mean((1, 2, 3)), rtol=1e-5)


def test_l1():
    a, b = logits(5, 2, 4, 4, 3), logits(6, 2, 4, 4, 3)
    np.testing.assert_allclose(losses.l1(a, b), np.abs(a - b).mean((1, 2, 3)), rtol=1e-5)
