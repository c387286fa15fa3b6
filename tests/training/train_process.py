"""Train as config files say, one after the other: a process of its own, for tests that need one.

python train_process.py DTYPE CPUS CONFIG.json...
"""

import functools
import sys
from pathlib import Path

import keras
import tensorflow as tf

from tf_cyclegan import train
from tf_cyclegan.commands import run_command
from tf_cyclegan.data import pipeline
from tf_cyclegan.methods import read_settings
from tf_cyclegan.training import devices
from tf_cyclegan.training.trainer import Interrupted
from tf_cyclegan.translation import translator


def main(dtype, cpus, *paths):
    cpu = tf.config.list_physical_devices("CPU")[0]
    logical = [tf.config.LogicalDeviceConfiguration()] * int(cpus)
    tf.config.set_logical_device_configuration(cpu, logical)
    keras.config.set_floatx(dtype)
    pipeline.normalise = lambda images, pixels=None: tf.cast(images, dtype) / 127.5 - 1.0
    translator.export_run = lambda *_: []  # of float32 networks
    # TensorFlow mixes up the reductions of two strategies in one process.
    devices._BY_NAME["mirrored"] = functools.cache(devices._mirrored)
    for path in paths:
        settings = read_settings(Path(path))
        # What several devices do is traced; that of one is what they are measured by.
        tf.config.run_functions_eagerly(settings.strategy == "one" and settings.jit == "off")
        try:
            train.train(settings)
        except Interrupted as interruption:
            sys.exit(128 + interruption.signal)


if __name__ == "__main__":
    run_command(lambda: main(*sys.argv[1:]))
