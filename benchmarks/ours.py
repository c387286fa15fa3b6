"""The package as its users get it."""

import tensorflow as tf

from tf_cyclegan.cyclegan import CycleGAN
from tf_cyclegan.trainer import xla_pays

from .cases import case
from .tutorial import constant_batch

TOTAL_STEPS = 10**6


def train_step(case_name: str):
    """A contender: a piece of work is a step; the result is the losses of the last."""
    config = case(case_name)
    model = CycleGAN(config, TOTAL_STEPS)
    step = tf.function(model.train_step, jit_compile=xla_pays(config), autograph=False)
    batch = constant_batch(config)

    def run(count):
        for _ in range(count):
            losses = step(*batch)
        tf.test.experimental.sync_devices()
        return {name: float(loss) for name, loss in losses.items()}

    return run
