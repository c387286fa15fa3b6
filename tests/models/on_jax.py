"""What the networks compute on JAX, for test_jax.py."""

from pathlib import Path

import numpy as np
from keras import ops

from tf_cyclegan import losses
from tf_cyclegan.models import (
    patchgan_discriminator,
    resnet_generator,
    unet_generator,
)
from tf_cyclegan.models.keras_file import read_network

# How to build each, and what its weights come in.
NETWORKS = {
    "resnet": (lambda: resnet_generator(1, filters=2, upsampling="resize"), ".keras"),
    "unet": (lambda: unet_generator(filters=2, levels=2), ".weights.h5"),
    "patchgan": (lambda: patchgan_discriminator(filters=2, norm="batch"), ".npz"),
}


def loss_of(output):
    """A loss that reads every number of the output."""
    return ops.sum(losses.discriminator_adversarial(losses.cross_entropy, output, -output))


def main(folder: Path) -> None:
    """Write for each network its output and the loss's gradients by its images and its weights."""
    import jax

    images = np.load(folder / "images.npy")
    for name, (build, suffix) in NETWORKS.items():
        file = folder / f"{name}{suffix}"
        network = read_network(file) if suffix == ".keras" else build()
        if suffix == ".weights.h5":
            network.load_weights(file)
        elif suffix == ".npz":
            network.set_weights(list(np.load(file).values()))
        others = [variable.value for variable in network.non_trainable_variables]

        def loss_and_output(weights, images, network=network, others=others):
            output, _ = network.stateless_call(weights, others, images, training=False)
            return loss_of(output), output

        gradients = jax.jit(jax.grad(loss_and_output, (0, 1), has_aux=True))
        weights = [variable.value for variable in network.trainable_variables]
        (of_weights, of_images), output = gradients(weights, images)
        np.savez(folder / f"{name}_on_jax.npz", output, of_images, *of_weights)
