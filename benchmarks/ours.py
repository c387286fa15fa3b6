"""The package as its users get it."""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tf_cyclegan.data import pipeline, scaled
from tf_cyclegan.data.walk import image_files
from tf_cyclegan.methods import method_of
from tf_cyclegan.methods.adversarial import build_generator
from tf_cyclegan.methods.cyclegan.settings import PRESETS, Config
from tf_cyclegan.methods.cyclegan.step import CycleGAN
from tf_cyclegan.settings import MAX_PIXELS
from tf_cyclegan.training.devices import keep_operations_to_a_core
from tf_cyclegan.training.trainer import xla_pays
from tf_cyclegan.translation import translate_files
from tf_cyclegan.translation.pictures import PictureTranslator
from tf_cyclegan.translation.targets import plan
from tf_cyclegan.translation.translator import Translator, save_translator

from .cases import case
from .tutorial import constant_batch

TOTAL_STEPS = 10**6


def train_step(case_name: str):
    """A contender: a piece of work is a step; the result is the losses of the last."""
    keep_operations_to_a_core()
    config = case(case_name)
    model = method_of(config).build(config, TOTAL_STEPS, None)
    step = tf.function(model.train_step, jit_compile=xla_pays(config), autograph=False)
    batch = constant_batch(config)

    def run(count):
        for _ in range(count):
            losses = step(*batch)
        tf.test.experimental.sync_devices()
        return {name: float(loss) for name, loss in losses.items()}

    return run


def saved_model(size: int, blocks: int, filters: int, batch_size: int):
    """A contender: a piece of work is a batch of uint8 images through an exported generator."""
    with tempfile.TemporaryDirectory() as folder:
        save_translator(paper_generator(blocks, filters), 4, Path(folder, "x_to_y"))
        model = tf.saved_model.load(str(Path(folder, "x_to_y")))
    translate = model.signatures["serving_default"]
    shape = (batch_size, size, size, 3)
    images = tf.constant(np.random.default_rng(0).integers(0, 256, shape, np.uint8))

    def run(count):
        for _ in range(count):
            translate(images=images)
        tf.test.experimental.sync_devices()

    return run


def keras_generator(size: int, blocks: int, filters: int, batch_size: int):
    """A contender: a piece of work is a batch of float images through a Keras generator."""
    generator = paper_generator(blocks, filters)
    shape = (batch_size, size, size, 3)
    images = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)

    def run(count):
        for _ in range(count):
            generator.predict_on_batch(images)  # gives NumPy arrays, so it has finished

    return run


def translate_folder(folder: str, blocks: int, filters: int):
    """A contender: a piece of work is the translation of all pictures in a folder, to files."""
    generator = paper_generator(blocks, filters)
    translator = PictureTranslator(Translator(generator, 4), network=generator, size_multiple=4)
    sources, _ = image_files(Path(folder))
    options = translate_files.Options(max_pixels=MAX_PIXELS)
    warm_up = translator(np.zeros([8, 256, 256, 3], np.uint8))
    assert warm_up.shape == (8, 256, 256, 3)

    def run(count):
        for _ in range(count):
            with tempfile.TemporaryDirectory() as output:
                jobs = plan(sources, Path(folder), Path(output))
                assert not translate_files.translate_files(translator, jobs, options)

    return run


def paper_generator(blocks: int, filters: int) -> keras.Model:
    """The paper's generator, untrained."""
    config = replace(PRESETS["paper"], generator=f"resnet{blocks}", filters=filters)
    return build_generator(config, seed=0)


def train_on_files(case_name: str, folder: str, from_cache: bool):
    """A contender: a piece of work is a step; the result is the share spent waiting for data."""
    keep_operations_to_a_core()
    config = replace(case(case_name), dataset=folder)
    model = CycleGAN(config, TOTAL_STEPS)
    step = tf.function(model.train_step, jit_compile=xla_pays(config), autograph=False)
    batches = _batches(config, from_cache)

    def run(count):
        start, waited = time.perf_counter(), 0.0
        for _ in range(count):
            asked = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - asked
            step(*batch)
        tf.test.experimental.sync_devices()
        return waited / (time.perf_counter() - start)

    return run


def batches_decoding(folder: str):
    """A contender: a piece of work is a batch, decoded anew."""
    return _give_batches(folder, from_cache=False)


def batches_cached(folder: str):
    """A contender: a piece of work is a batch of images that were decoded before."""
    return _give_batches(folder, from_cache=True)


def _give_batches(folder: str, from_cache: bool):
    batches = _batches(replace(PRESETS["paper"], dataset=folder), from_cache)

    def run(count):
        for _ in range(count):
            next(batches)

    return run


def _batches(config: Config, from_cache: bool) -> Iterator:
    if not from_cache:
        scaled.CACHE_BYTES = 0
    return iter(pipeline.load_dataset(config).train_batches(0, TOTAL_STEPS))
