"""Training on several devices, through what `--strategy` uses."""

from dataclasses import replace

import tensorflow as tf

from tf_cyclegan.data.pipeline import load_dataset
from tf_cyclegan.errors import UserError
from tf_cyclegan.methods.cyclegan.step import CycleGAN
from tf_cyclegan.training.devices import find_devices
from tf_cyclegan.training.trainer import xla_pays

from .cases import case
from .ours import TOTAL_STEPS


def train_step(case_name: str, batch_size: int, replicas: int, folder: str):
    """A contender: a piece of work is a step on files, its batch shared by so many devices.

    Without GPUs they are logical devices on the cores that there are.
    """
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    physical = tf.config.list_physical_devices(kind)
    if kind == "CPU":
        parts = [tf.config.LogicalDeviceConfiguration()] * replicas
        tf.config.set_logical_device_configuration(physical[0], parts)
    else:
        tf.config.set_visible_devices(physical[:replicas], kind)
    strategy = "mirrored" if replicas > 1 else "one"
    config = replace(case(case_name), batch_size=batch_size, dataset=folder, strategy=strategy)
    devices = find_devices(config.strategy, config.batch_size)
    if devices.count != replicas:
        raise UserError(f"there are {devices.count} {kind}s, not {replicas}; lower --replicas")
    data = load_dataset(config)
    with devices.scope():
        model = CycleGAN(config, TOTAL_STEPS, devices.replicas(xla_pays(config)))
    step = devices.function(model.train_step, xla_pays(config))
    batches = devices.batches(data, 0, TOTAL_STEPS)

    def run(count):
        for _ in range(count):
            losses = step(*next(batches))
        tf.test.experimental.sync_devices()
        return {name: float(loss) for name, loss in losses.items()}

    return run
