"""On JAX, with no TensorFlow, the networks compute what they do on TensorFlow, from its files."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from on_jax import NETWORKS, loss_of

HERE = Path(__file__).resolve().parent
WITHOUT_TENSORFLOW = """
import pathlib, sys
sys.modules["tensorflow"] = None  # as if it were not installed
import on_jax
on_jax.main(pathlib.Path(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """For each network what TensorFlow made: output, the gradient by the images, those by weights."""
    pytest.importorskip("jax")
    folder = tmp_path_factory.mktemp("jax")
    random = np.random.default_rng(0)
    images = tf.constant(random.uniform(-1, 1, [2, 24, 24, 3]), tf.float32)
    np.save(folder / "images.npy", images)
    on_tensorflow = {}
    for name, (build, suffix) in NETWORKS.items():
        network = build()
        for weight in network.weights:
            centre = 1.0 if weight.name in ("scale", "gamma", "moving_variance") else 0.0
            weight.assign(random.normal(centre, 0.2, weight.shape))
        file = folder / f"{name}{suffix}"
        if suffix == ".keras":
            network.save(file)
        elif suffix == ".npz":
            np.savez(file, *network.get_weights())
        else:
            network.save_weights(file)
        weights = [variable.value for variable in network.trainable_variables]
        with tf.GradientTape() as tape, tf.device("CPU"):
            tape.watch(images)
            output = network(images, training=False)
            loss = loss_of(output)
        on_tensorflow[name] = [output, *tape.gradient(loss, [images, *weights])]
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0"  # it compiles in half the time
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    subprocess.run([sys.executable, "-c", WITHOUT_TENSORFLOW, folder], env=environment, check=True)
    return {
        name: (values, list(np.load(folder / f"{name}_on_jax.npz").values()))
        for name, values in on_tensorflow.items()
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_output_and_gradients_are_those_of_tensorflow(name, computed):
    expected, on_jax = computed[name]
    assert np.std(expected[0]) > 0.1
    for one, other in zip(expected, on_jax, strict=True):
        scale = max(1.0, np.abs(one).max())
        np.testing.assert_allclose(other / scale, one / scale, rtol=0, atol=1e-5)
