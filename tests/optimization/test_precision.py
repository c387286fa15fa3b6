import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from checkpoints import checkpoint_hash
from conftest import TINY_SETTINGS
from trainings import quick_trainings

import tf_cyclegan as cg
from tf_cyclegan.errors import UserError
from tf_cyclegan.methods.cyclegan.settings import Config
from tf_cyclegan.methods.cyclegan.step import CycleGAN
from tf_cyclegan.optimization.loss_scale import STEPS_TO_GROW, LossScale
from tf_cyclegan.training.run import Run
from tf_cyclegan.translation.translator import restore_translator, save_translator

TINY = Config(**TINY_SETTINGS)
WIDER = dataclasses.replace(TINY, filters=4)


def batch(seed):
    return np.random.default_rng(seed).uniform(-1, 1, [2, 2, 32, 32, 3]).astype(np.float32)


def avoid_overflow(gan):
    """Begin with scales at which no gradient of these networks overflows."""
    for network in ("generator", "discriminator"):
        scale = gan.checkpoint_items[f"{network}_loss_scale"].scale
        assert scale.numpy() == 2.0**15
        scale.assign(256.0)


def train(config, steps=3):
    gan = CycleGAN(config, steps)
    if config.precision == "mixed_float16":
        avoid_overflow(gan)
    step = tf.function(gan.train_step, autograph=False)
    return gan, [{name: float(v) for name, v in step(*batch(i)).items()} for i in range(steps)]


# The longest way to a loss is through G, F and a discriminator: 8 + 8 + 5 convolutions of these small
# networks, each with three roundings to half precision (its kernel, its sum, what follows its norm).
ROUNDINGS = 3 * (8 + 8 + 5)


@pytest.fixture(scope="module")
def single():
    """The losses of three steps in single precision."""
    return train(WIDER)[1]


@pytest.mark.parametrize(
    ("precision", "unit_roundoff"), [("mixed_float16", 2**-11), ("mixed_bfloat16", 2**-8)]
)
def test_half_precision_trains_as_single_does(precision, unit_roundoff, single):
    half, losses = train(dataclasses.replace(WIDER, precision=precision))
    assert keras.config.dtype_policy().name == "float32"
    assert {variable.dtype for variable in half.generator_g.weights} == {"float32"}
    assert half.generator_g.layers[-2].compute_dtype == precision.removeprefix("mixed_")
    assert (
        half.generator_g(batch(0)[0]).dtype == half.discriminator_x(batch(0)[0]).dtype == "float32"
    )
    differences = [
        abs(line[name] - other[name]) / max(abs(line[name]), 0.1)
        for line, other in zip(single, losses, strict=True)
        for name in line
    ]
    assert 0 < max(differences) < ROUNDINGS * unit_roundoff


def test_a_step_whose_gradients_overflow_is_skipped_and_the_scale_halved():
    gan = CycleGAN(dataclasses.replace(TINY, precision="mixed_float16"), 3)
    step = tf.function(gan.train_step, autograph=False)
    scale = gan.checkpoint_items["generator_loss_scale"].scale
    avoid_overflow(gan)
    step(*batch(0))
    assert scale.numpy() == 256.0

    def weights(network):
        return [weight.numpy() for weight in network.weights]

    scale.assign(2.0**40)
    generator, discriminator = weights(gan.generator_g), weights(gan.discriminator_x)
    losses = step(*batch(1))
    assert all(np.isfinite(value) for value in losses.values())
    assert scale.numpy() == 2.0**39
    for before, after in zip(generator, weights(gan.generator_g), strict=True):
        np.testing.assert_array_equal(before, after)
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(discriminator, weights(gan.discriminator_x), strict=True)
    )
    assert gan.checkpoint_items["generator_g_optimizer"].iterations.numpy() == 1
    assert gan.checkpoint_items["discriminator_x_optimizer"].iterations.numpy() == 2


def test_the_scale_grows_after_many_good_steps_and_never_falls_below_one():
    loss_scale = LossScale()
    loss_scale.steps.assign(STEPS_TO_GROW - 1)
    gradients = {"network": [tf.constant([2.0**15, 2.0**16])]}
    unscaled, usable = loss_scale.unscaled(gradients)
    assert usable
    np.testing.assert_array_equal(unscaled["network"][0], [1.0, 2.0])
    assert (loss_scale.scale.numpy(), loss_scale.steps.numpy()) == (2.0**16, 0)
    loss_scale.scale.assign(1.5)
    _, usable = loss_scale.unscaled({"network": [tf.constant([1.0, np.nan])]})
    assert not usable and loss_scale.scale.numpy() == 1.0


def test_a_run_in_half_precision_resumes_with_the_same_bits_and_exports_single(
    tiny_config, tmp_path
):
    config = dataclasses.replace(
        tiny_config, precision="mixed_float16", generator="unet", unet_levels=2, steps=3
    )
    with quick_trainings():
        whole = cg.train(dataclasses.replace(config, run_dir=str(tmp_path / "whole")))
        cg.train(dataclasses.replace(config, steps=2))
        folder = cg.train(config)
        assert checkpoint_hash(folder) == checkpoint_hash(whole)
        with pytest.raises(UserError, match="--precision"):
            cg.train(dataclasses.replace(config, precision="float32"))
    generator, _ = restore_translator(Run(folder), "x_to_y")
    save_translator(generator, config.size_multiple, tmp_path / "exported")
    signature = tf.saved_model.load(str(tmp_path / "exported")).signatures["serving_float"]
    assert signature.structured_outputs["images"].dtype == tf.float32
    assert "DT_HALF" not in str(signature.graph.as_graph_def())
