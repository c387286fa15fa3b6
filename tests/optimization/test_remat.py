import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from conftest import TINY_SETTINGS

from tests.fidelity.checks import precision
from tf_cyclegan.methods.cyclegan.settings import Config
from tf_cyclegan.methods.cyclegan.step import CycleGAN
from tf_cyclegan.models import resnet_generator, unet_generator
from tf_cyclegan.optimization.remat import Rematerialised


def images(seed=0):
    return tf.random.stateless_uniform([2, 32, 32, 3], [seed, 0], -1.0, 1.0)


def output_and_gradients(call, network, training):
    with tf.GradientTape() as tape:
        output = call(images(), training=training)
        loss = tf.reduce_sum(output * images(1))
    return output, tape.gradient(loss, network.trainable_variables)


@pytest.mark.parametrize(
    ("build", "parts"),
    [
        # c7s1, d, d, two residual blocks, u, u, the last layers.
        (lambda: resnet_generator(blocks=2, filters=2), 8),
        # Three levels down and two up, what joins them to the skips, the last layer.
        (lambda: unet_generator(filters=2, levels=3), 7),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_the_same_images_and_gradients_come_out(build, parts, training):
    network, same = build(), build()
    computed_twice = Rematerialised(same)
    assert len(computed_twice._parts) == parts
    one, gradients = output_and_gradients(network, network, training)
    two, same_gradients = output_and_gradients(computed_twice, same, training)
    np.testing.assert_allclose(one, two, atol=1e-6)
    for a, b in zip(gradients, same_gradients, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(a).max() + 1e-7)


def test_random_numbers_are_drawn_once():
    network = unet_generator(filters=2, levels=3)
    states = [v.value for v in network.variables if "seed" in v.path]
    assert states and all(state.numpy()[1] == 0 for state in states)
    output_and_gradients(Rematerialised(network), network, training=True)
    assert all(state.numpy()[1] == 1 for state in states)


def test_what_is_computed_twice_is_not_kept():
    network = resnet_generator(blocks=6, filters=2)
    kept = []
    for call in (network, Rematerialised(network)):
        calls = tf.function(lambda x, call=call: call(x, training=True), autograph=False)
        graph = calls.get_concrete_function(images())
        # The forward function returns, beyond the images, what its backward function wants.
        forward, _ = graph._delayed_rewrite_functions.forward_backward()
        shapes = [output.shape for output in forward.function_type.flat_outputs]
        kept.append(sum(shape.num_elements() for shape in shapes if shape.rank == 4))
    # What goes from part to part is counted twice here, as an output and as an input.
    assert kept[1] < 0.7 * kept[0]


def test_a_step_changes_its_networks_alike():
    with precision("float64"):
        config = Config(**TINY_SETTINGS)
        plain, twice = CycleGAN(config, 2), CycleGAN(dataclasses.replace(config, remat=True), 2)
        for gan in (plain, twice):
            for seed in range(2):
                batch = (tf.cast(images(seed + domain), tf.float64) for domain in (0, 5))
                gan.losses = gan.train_step(*batch)
    for name, value in plain.losses.items():
        np.testing.assert_allclose(value, twice.losses[name], rtol=1e-10, err_msg=name)
    assert plain.checkpoint_items.keys() == twice.checkpoint_items.keys()
