"""What discriminators make of images that they were not trained on."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_cyclegan.data.decode import resized
from tf_cyclegan.data.pipeline import load_dataset
from tf_cyclegan.data.sources import open_source
from tf_cyclegan.errors import UserError
from tf_cyclegan.methods.bigan.settings import Config as BiGANConfig
from tf_cyclegan.methods.bigan.step import BiGAN
from tf_cyclegan.methods.cyclegan.step import CycleGAN
from tf_cyclegan.training.devices import Devices
from tf_cyclegan.training.held_out import HeldOut, known_since
from tf_cyclegan.training.run import Run
from tf_cyclegan.training.trainer import Trainer


@pytest.fixture
def config(tiny_config):
    return dataclasses.replace(tiny_config, held_out=0.3, steps=5, checkpoint_every=5)


def test_held_out_images_are_looked_at_and_not_trained_on(config):
    data = load_dataset(config)
    names = open_source(config.dataset)["trainA"].names
    assert set(data.train_x.names) | set(data.held_out_x.names) == set(names)
    assert len(data.held_out_x) == 2 and len(data.train_x) == 3
    assert not set(data.train_x.names) & set(data.held_out_x.names)

    model = CycleGAN(config, 5)
    tf.config.run_functions_eagerly(True)
    try:
        Trainer(model, data, config, 5).run()
    finally:
        tf.config.run_functions_eagerly(False)
    (line,) = Run(config.run_folder).called_real.lines()
    assert line["step"] == 5
    for domain, judge in (("x", model.discriminator_x), ("y", model.discriminator_y)):
        source = open_source(config.dataset)[{"x": "trainA", "y": "trainB"}[domain]]
        for kind in ("train", "held_out"):
            found = []
            for name in getattr(data, f"{kind}_{domain}").names:
                with Image.open(name) as image:
                    pixels = resized(image.convert("RGB"), (36, 36), config.resize_method)
                middle = np.asarray(pixels)[2:34, 2:34].astype(np.float32) / 127.5 - 1
                found.append(judge(middle[None]).numpy() > 0.5)
            assert line[f"{kind}_{domain}"] == pytest.approx(np.mean(found), abs=1e-6), source
    assert Image.open(Run(config.run_folder).losses_picture).height > 2.5 * 400  # a third diagram


def test_a_discriminator_of_pairs_has_none_to_look_at(config):
    settings = BiGANConfig(image_size=32, load_size=36, filters=2, discriminator_filters=2)
    with pytest.raises(UserError, match="--held-out does not fit this run of bigan"):
        HeldOut(BiGAN(settings), None, settings, Devices())


def lines(*gaps):
    return [
        {"step": 10 * (i + 1), "train_y": 0.5 + gap, "held_out_y": 0.5}
        for i, gap in enumerate(gaps)
    ]


@pytest.mark.parametrize(
    ("gaps", "since"),
    [
        ([0.0] * 20, None),
        ([0.0] * 10 + [0.4] * 10, 140),  # four of five looks at 0.4 are 0.32
        ([0.4] * 10 + [0.0] * 10, None),  # mended itself
        ([0.4] * 4, None),  # too few to say
    ],
)
def test_known_by_heart_is_a_gap_that_stays(gaps, since):
    assert known_since(lines(*gaps)) == since
