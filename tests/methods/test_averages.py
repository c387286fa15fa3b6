"""Moving averages of the generators: what they are, and that they translate."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import TINY_SETTINGS

from tf_cyclegan import translate
from tf_cyclegan.errors import UserError
from tf_cyclegan.methods import methods
from tf_cyclegan.methods.cyclegan.settings import Config
from tf_cyclegan.methods.cyclegan.step import CycleGAN
from tf_cyclegan.optimization.averages import copy_of, ema_decay
from tf_cyclegan.optimization.precision import computing_in
from tf_cyclegan.training.run import Run
from tf_cyclegan.translation.load import load_translator
from tf_cyclegan.translation.translator import export_run, restore_translators

TINY = Config(**TINY_SETTINGS | {"batch_size": 2, "pool_size": 0})
AVERAGED = dataclasses.replace(TINY, ema=10, ema_ramp=0.5)


def batch(seed):
    return np.random.default_rng(seed).uniform(-1, 1, [2, 2, 32, 32, 3]).astype(np.float32)


def test_the_average_is_the_published_one_and_changes_nothing_that_is_trained():
    plain, averaged = CycleGAN(TINY, 5), CycleGAN(AVERAGED, 5)
    expected = None
    for step in range(3):
        plain.train_step(*batch(step))
        averaged.train_step(*batch(step))
        weights = [w.numpy().astype(np.float64) for w in averaged.generator_g.weights]
        # Half-life 10 images, but at most half of those seen: StyleGAN2's training loop, by hand.
        half_life = min(10, 0.5 * 2 * step)
        decay = 0.5 ** (2 / half_life) if half_life else 0.0
        expected = expected or weights
        expected = [decay * e + (1 - decay) * w for e, w in zip(expected, weights, strict=True)]
    average = averaged.translators["x_to_y"]
    for own, wanted in zip(average.weights, expected, strict=True):
        np.testing.assert_allclose(own, wanted, rtol=1e-5, atol=1e-7)
    for name in ("generator_g", "generator_f", "discriminator_x", "discriminator_y"):
        for a, b in zip(getattr(plain, name).weights, getattr(averaged, name).weights, strict=True):
            np.testing.assert_array_equal(a, b)
    # Both domains' columns are the averages' work.
    columns = averaged.samples(*batch(9))
    g, f = averaged.translators["x_to_y"], averaged.translators["y_to_x"]
    np.testing.assert_allclose(columns["G(x)"], g(batch(9)[0]), atol=1e-5)
    np.testing.assert_allclose(columns["G(F(y))"], g(f(batch(9)[1])), atol=1e-5)
    assert np.abs(columns["G(x)"] - averaged.generator_g(batch(9)[0])).max() > 1e-4


def test_half_of_an_image_is_left_after_the_half_life():
    late = 10**6
    assert float(ema_decay(40, 0.05, 4, late)) ** 10 == pytest.approx(0.5, rel=1e-5)
    assert float(ema_decay(40, 0.05, 4, 0)) == 0  # the first network is its own average
    assert float(ema_decay(1e6, 0.05, 4, 100)) == pytest.approx(0.5 ** (4 / 20), rel=1e-6)


def test_a_copy_computes_what_the_network_computes_in_half_precision_too():
    with computing_in("mixed_bfloat16") as complete:
        network = complete(CycleGAN(dataclasses.replace(TINY, generator="unet"), 1).generator_g)
    copy, images = copy_of(network), batch(0)[0]
    assert copy(images).dtype == tf.float32
    np.testing.assert_array_equal(copy(images), network(images))
    assert not {id(w) for w in copy.weights} & {id(w) for w in network.weights}


@pytest.mark.parametrize("method", methods().values(), ids=methods())
def test_every_method_translates_by_averages(method):
    settings = {"image_size": 32, "load_size": 36, "filters": 2, "discriminator_filters": 2}
    names = {field.name for field in dataclasses.fields(method.settings)}
    assert "ema" in names
    settings |= {"ema": 5.0, "batch_size": 2, "unet_levels": 2, "search_steps": 1}
    settings = {name: value for name, value in settings.items() if name in names}
    built = method.build(method.settings(**settings), None, None)
    averages = {name for name in built.checkpoint_items if name.endswith("_average")}
    assert averages
    for name in averages:  # far from the networks, so that it shows which of them translates
        average = built.checkpoint_items[name]
        average.set_weights([w * 0 for w in average.get_weights()])
    images = batch(3)[0]
    for translator in built.translators.values():
        translated = np.asarray(translator(images))
        np.testing.assert_allclose(translated, np.broadcast_to(translated[:1], translated.shape))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run with averages that are far from its networks."""
    run = Run(tmp_path_factory.mktemp("averaged") / "run")
    method = CycleGAN(AVERAGED, None)
    average = method.translators["x_to_y"]
    average.set_weights([w + 0.1 for w in average.get_weights()])
    run.write_settings(AVERAGED)
    run.save_checkpoint(tf.train.Checkpoint(**method.checkpoint_items), 3, 1)
    return run.folder


def test_a_run_translates_by_its_average_and_by_the_last_step_if_asked(folder, tmp_path):
    found = {
        weights: restore_translators(Run(folder), weights=weights)[0]["x_to_y"].get_weights()
        for weights in (None, "average", "raw")
    }
    for default, average, raw in zip(*found.values(), strict=True):
        np.testing.assert_array_equal(default, average)
        np.testing.assert_allclose(average, raw + 0.1, atol=1e-6)
    pictures = np.random.default_rng(0).integers(0, 256, [1, 32, 32, 3], np.uint8)
    images = [load_translator(folder, weights=weights)(pictures) for weights in (None, "raw")]
    assert (images[0] != images[1]).any()
    path, _ = export_run(folder, tmp_path, "keras", weights="raw")
    raw, _ = restore_translators(Run(folder), weights="raw")
    exported = keras.models.load_model(path)
    np.testing.assert_allclose(exported(batch(0)[0]), raw["x_to_y"](batch(0)[0]), atol=1e-4)


def test_averages_that_are_not_there_are_named(tmp_path, command):
    run = Run(tmp_path / "run")
    run.write_settings(TINY)
    run.save_checkpoint(tf.train.Checkpoint(**CycleGAN(TINY).checkpoint_items), 1, 1)
    with pytest.raises(UserError, match="without --ema"):
        restore_translators(Run(run.folder), weights="average")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").write_bytes(b"")
    (tmp_path / "in").mkdir()
    code, told = command(
        translate.main, "--model", tmp_path / "model", "--weights", "raw", "--output",
        tmp_path / "out", "--input", tmp_path / "model" / "saved_model.pb",
    )  # fmt: skip
    assert code == 2 and "leave out --weights" in told
