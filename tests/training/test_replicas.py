"""Several devices and several processes against one device, in float64."""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from checkpoints import checkpoint_hash
from conftest import SMALLEST_GENERATOR, TINY_SETTINGS, command_line
from trainings import TIMEOUT, finish, quick_trainings, start

import tf_cyclegan as cg
from tf_cyclegan.errors import UserError
from tf_cyclegan.methods.bigan.settings import Config as BiGANConfig
from tf_cyclegan.methods.cogan.settings import Config as CoGANConfig
from tf_cyclegan.methods.cut.settings import Config as CUTConfig
from tf_cyclegan.methods.cyclegan.settings import Config
from tf_cyclegan.methods.cyclegan.step import CycleGAN
from tf_cyclegan.methods.feature_loss.settings import Config as FeatureLossConfig
from tf_cyclegan.methods.pix2pix.settings import Config as Pix2PixConfig
from tf_cyclegan.training.devices import TPU_VARIABLES, check_tf_config, find_devices
from tf_cyclegan.training.run import Run

TESTS = Path(__file__).parent
STEPS = 8
SHORT = 4  # steps of a method whose way through the replicas is CycleGAN's
PIX2PIX = Pix2PixConfig(
    image_size=32,
    load_size=36,
    unet_levels=3,
    filters=2,
    discriminator_filters=2,
    batch_size=2,
    sample_every=0,
    log_every=1,
    jit="off",
)

COGAN = CoGANConfig(
    image_size=16,
    load_size=18,
    latent_size=4,
    filters=2,
    discriminator_filters=2,
    generator_own_layers=1,
    discriminator_own_layers=1,
    batch_size=4,
    sample_every=0,
    log_every=1,
    jit="off",
)
SMALL = (
    TINY_SETTINGS | SMALLEST_GENERATOR | {"batch_size": 2, "pool_size": 2}
)  # a pool that is full after a step
CONTRASTIVE = SMALL | {"generator": "resnet1", "nce_layers": "4,12", "nce_features": 4}

# All that discriminators may be held back by, at once.
HELD_BACK = {
    "augment": "color,translation,cutout",
    "augment_target": 0.5,
    "augment_images": 20,
    "penalty": "zero",
    "penalty_every": 2,
    "discriminator_norm": "spectral",
    "discriminator_halvings": 2,
    "discriminator_scales": 2,
}
PLATEAU = {"decay": "plateau", "decay_start": 0.0}


def start_workers(configs, dtype="float64"):
    """Start two workers, which join each other on this machine."""
    with contextlib.ExitStack() as sockets:
        free = [sockets.enter_context(socket.socket()) for _ in range(2)]
        for each in free:
            each.bind(("localhost", 0))
        addresses = [f"localhost:{each.getsockname()[1]}" for each in free]
    return [
        start(
            configs,
            dtype,
            tf_config={
                "cluster": {"worker": addresses},
                "task": {"type": "worker", "index": index},
            },
        )
        for index in range(2)
    ]


def copy_until(config, step, name):
    """Copy a run as it was at a checkpoint, to be gone on with."""
    folder = Path(config.run_dir).with_name(name)
    shutil.copytree(config.run_dir, folder)
    for later in folder.glob("checkpoints/ckpt-*"):
        if not later.name.startswith(f"ckpt-{step}."):
            later.unlink()
    state = folder / "checkpoints" / "checkpoint"
    text = f'model_checkpoint_path: "ckpt-{step}"\nall_model_checkpoint_paths: "ckpt-{step}"\n'
    state.write_text(text)
    return dataclasses.replace(config, run_dir=str(folder))


def differences(config, other):
    """The largest difference of a tensor of two runs' checkpoints, relative to its largest value.

    Returns:
        That of what the networks and pools are, and that of what the optimizers remember.
    """
    one, two = (
        tf.train.load_checkpoint(tf.train.latest_checkpoint(f"{c.run_dir}/checkpoints"))
        for c in (config, other)
    )
    shapes = one.get_variable_to_shape_map()
    assert shapes == two.get_variable_to_shape_map()
    worst = [0.0, 0.0]
    for name in shapes:
        # The first counts how often a process saved; the second is no number.
        if not name.startswith(("save_counter", "_CHECKPOINTABLE_OBJECT_GRAPH")):
            a, b = one.get_tensor(name), two.get_tensor(name)
            if not np.array_equal(a, b):
                kind = "_optimizer/" in name
                worst[kind] = max(worst[kind], np.abs(a - b).max() / np.abs(a).max())
    return worst


@pytest.fixture(scope="module")
def base(image_folder, tmp_path_factory):
    settings = TINY_SETTINGS | {"steps": STEPS, "checkpoint_every": STEPS // 2, "batch_size": 2}
    settings |= {"lambda_identity": 0.0}  # a third less to trace
    settings |= {"ema": 8, "ema_ramp": 0.5, "cycle_noise": 0.1, "copy_steps": 2}
    folder = tmp_path_factory.mktemp("replicas")
    return Config(dataset=str(image_folder), run_dir=str(folder / "run"), **settings)


def variant(base, name, **changes):
    folder = Path(base.run_dir).with_name(name)
    return dataclasses.replace(base, run_dir=str(folder), **changes)


@pytest.fixture(scope="module")
def runs(base):
    """One config on one device, on two logical CPUs, in two processes, compiled, resumed."""
    workers = variant(base, "workers", strategy="multiworker")
    finish(start_workers([workers]))
    one = variant(base, "one", strategy="one")
    mirrored = variant(base, "mirrored", strategy="mirrored", steps_per_call=3)
    other_ways = variant(base, "other_ways", jit="on", steps_per_call=3)
    resumed = dataclasses.replace(
        copy_until(workers, STEPS // 2, "workers_then_one"), strategy="one"
    )
    finish([start([one, mirrored, other_ways, resumed], cpus=2)])
    return locals()


@pytest.mark.parametrize("name", ["mirrored", "workers", "other_ways", "resumed"])
def test_however_it_is_divided_a_run_trains_the_same_networks(runs, name):
    weights, moments = differences(runs["one"], runs[name])
    print(name, weights, moments)
    assert weights < 1e-10
    assert moments < 1e-9
    lines, others = (Run(runs[n].run_dir).metrics.lines() for n in ("one", name))
    assert len(lines) == len(others) == STEPS
    for line, other in zip(lines, others, strict=True):
        np.testing.assert_allclose(list(line.values()), list(other.values()), rtol=1e-10)


OTHERS = {  # simgan's step is feature_loss's but for features, and dclgan's goes cut's way
    "pix2pix": PIX2PIX,
    "cogan": COGAN,
    "bigan": BiGANConfig(**SMALL | HELD_BACK),
    "feature_loss": FeatureLossConfig(feature_layer="conv", feature_size=20, **SMALL | PLATEAU),
    "cut": CUTConfig(**CONTRASTIVE, flip_equivariance=True),
}


@pytest.fixture(scope="module")
def on_one_and_two(image_folder, paired_folder, tmp_path_factory):
    """The other methods on one device and on two, trained by one process: two settings of each."""
    folder = tmp_path_factory.mktemp("others")
    images = keras.Input([None, None, 3], dtype="float64")
    features = keras.layers.Conv2D(4, 3, name="conv", dtype="float64")(images)
    keras.Model(images, features).save(folder / "features.keras")
    pairs = {}
    for name, config in OTHERS.items():
        data = paired_folder if name == "pix2pix" else image_folder
        config = dataclasses.replace(config, dataset=str(data), steps=SHORT, checkpoint_every=SHORT)
        if name == "feature_loss":
            config = dataclasses.replace(config, features=str(folder / "features.keras"))
        pairs[name] = tuple(
            dataclasses.replace(
                config, strategy=strategy, jit=jit, run_dir=str(folder / name / strategy)
            )
            # Compiled where that takes no longer.
            for strategy, jit in (
                ("one", "off"),
                ("mirrored", "on" if name == "cogan" else "off"),
            )
        )
        (folder / name).mkdir()
    finish([start([config for pair in pairs.values() for config in pair], cpus=2)])
    return pairs


@pytest.mark.parametrize("name", OTHERS)
def test_other_methods_train_the_same_networks_on_two_devices(name, on_one_and_two):
    one, two = on_one_and_two[name]
    weights, moments = differences(one, two)
    print(weights, moments)
    assert weights < 1e-10
    assert moments < 1e-9
    lines, others = (Run(each.run_dir).metrics.lines() for each in (one, two))
    assert len(lines) == len(others) == SHORT
    for line, other in zip(lines, others, strict=True):
        np.testing.assert_allclose(list(line.values()), list(other.values()), rtol=1e-10)


def train_workers_until(config, is_time, dtype="float64"):
    """Start two workers and wait until something has happened."""
    processes = start_workers([config], dtype)
    deadline = time.monotonic() + TIMEOUT
    try:
        while not is_time():
            assert processes[0].poll() is None, processes[0].communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.1)
    except BaseException:
        for process in processes:
            process.kill()
        raise
    return processes


def ends_of(processes):
    """What the processes write and return when they end by themselves."""
    try:
        errors = [process.communicate(timeout=TIMEOUT)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return errors, [process.returncode for process in processes]


def test_when_a_worker_dies_the_other_says_so_and_the_run_goes_on(runs):
    # Goes on where the workers ended, which shows that they can.
    config = dataclasses.replace(runs["workers"], steps=100_000, checkpoint_every=2)
    checkpoints = Path(config.run_dir) / "checkpoints"
    is_time = (checkpoints / f"ckpt-{STEPS + 4}.index").exists
    chief, other = train_workers_until(config, is_time)
    other.kill()
    other.communicate()
    (errors,), (code,) = ends_of([chief])
    assert code == 2, errors
    assert "another worker of this run has gone" in errors and "Traceback" not in errors
    kept = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(checkpoints)))
    step = int(kept.get_tensor("step/.ATTRIBUTES/VARIABLE_VALUE"))
    assert step >= STEPS + 4
    logged = [line for line in Run(config.run_folder).metrics.lines() if line["step"] <= step]
    finish([start([dataclasses.replace(config, strategy="one", steps=step + 1)])])
    *before, last = Run(config.run_folder).metrics.lines()
    assert before == logged and last["step"] == step + 1


def test_workers_end_together_when_one_is_told_to(base):
    config = variant(base, "told", strategy="multiworker", steps=100_000)
    metrics = Path(config.run_dir) / "metrics.jsonl"
    processes = train_workers_until(
        config, lambda: metrics.exists() and metrics.read_text(), "float32"
    )
    processes[1].send_signal(signal.SIGTERM)
    errors, codes = ends_of(processes)
    assert codes == [128 + signal.SIGTERM] * 2, errors
    lines = Run(config.run_dir).metrics.lines()
    last = lines[-1]["step"]
    assert tf.train.latest_checkpoint(f"{config.run_dir}/checkpoints").endswith(f"ckpt-{last}")

    # In single precision the losses are those of one device, to rounding.
    alone = variant(base, "alone", strategy="one", steps=min(last, 3))
    with quick_trainings():
        cg.train(alone)
    for line, other in zip(Run(alone.run_dir).metrics.lines(), lines, strict=False):
        np.testing.assert_allclose(list(line.values()), list(other.values()), rtol=1e-3)


def test_a_batch_that_cannot_be_divided_is_named(monkeypatch):
    monkeypatch.setattr("tf_cyclegan.training.devices._BY_NAME", {"mirrored": lambda: TwoDevices()})

    class TwoDevices:
        name, count = "2 CPUs, 2 replicas", 2

    with pytest.raises(UserError, match=r"--batch-size 3 cannot be divided among 2 replicas"):
        find_devices("mirrored", 3)
    assert find_devices("mirrored", 4).count == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "needs the variable TF_CONFIG, for two workers"),
        ("{", "JSONDecodeError"),
        ('{"cluster": {"worker": ["a:1"]}}', "KeyError: 'task'"),
        ("[1]", "TypeError"),
        ('{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}', "tasks of type ps"),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
            "worker 1, which its cluster lacks",
        ),
    ],
)
def test_a_wrong_tf_config_is_named(text, words):
    with pytest.raises(UserError, match=re.escape(words)):
        check_tf_config(text)


def test_devices_that_are_not_there_are_named(monkeypatch):
    for name in TPU_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="needs several devices and there is one CPU"):
        find_devices("mirrored", 1)
    with pytest.raises(UserError, match=r"there is no TPU to train on .*TPU_NAME"):
        find_devices("tpu", 1)


def test_auto_takes_what_there_is(monkeypatch):
    found = []
    monkeypatch.setattr("tf_cyclegan.training.devices._tpu", lambda: found.append("tpu"))
    monkeypatch.setattr("tf_cyclegan.training.devices._workers", lambda: found.append("workers"))
    monkeypatch.setattr("tf_cyclegan.training.devices._mirrored", lambda: found.append("mirrored"))
    monkeypatch.setattr("tf_cyclegan.training.devices.Devices", lambda: found.append("one"))
    gpus = []
    monkeypatch.setattr(
        tf.config, "list_physical_devices", lambda kind: gpus if kind == "GPU" else []
    )
    for name in (*TPU_VARIABLES, "TF_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    from tf_cyclegan.training.devices import _auto

    _auto()
    gpus += [1, 2]
    _auto()
    monkeypatch.setenv("TF_CONFIG", "{}")
    _auto()
    monkeypatch.setenv("TPU_NAME", "local")
    _auto()
    assert found == ["one", "mirrored", "workers", "tpu"]


@pytest.mark.parametrize(("cores", "threads"), [(1, 0), (2, 1), (4, 0)])
def test_two_cores_do_two_operations_at_a_time(cores, threads):
    """TensorFlow divides operations between all cores, which 0 stands for."""
    script = (
        "from tf_cyclegan.training import devices\n"
        f"devices.usable_cores = lambda: {cores}\n"
        "devices.keep_operations_to_a_core()\n"
        "import tensorflow as tf\n"
        "print(tf.config.threading.get_intra_op_parallelism_threads())\n"
        "tf.constant(1)\n"
        "devices.keep_operations_to_a_core()\n"
    )
    done = run_script(script)
    assert int(done.stdout) == threads
    assert "at work before" not in done.stderr


def test_where_tensorflow_was_at_work_before_that_is_said():
    script = (
        "import tensorflow as tf\n"
        "tf.constant(1)\n"
        "from tf_cyclegan.training import devices\n"
        "devices.usable_cores = lambda: 2\n"
        "devices.keep_operations_to_a_core()\n"
    )
    assert "TensorFlow was at work before this training" in run_script(script).stderr


def run_script(script, *arguments):
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=os.environ | {"PYTHONPATH": str(TESTS.parents[1]), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=True,
    )


def test_the_command_and_the_function_give_the_same_bits(base):
    """As on two cores, where TensorFlow would sum in another order if nobody told it not to."""
    configs = [variant(base, name, steps=2) for name in ("by_command", "by_function")]
    script = (
        "import json, sys\n"
        "from tf_cyclegan.training import devices\n"
        "from tf_cyclegan.translation import translator\n"
        "devices.usable_cores = lambda: 2\n"
        "translator.export_run = lambda *_: []\n"
        "START\n"
        "import tensorflow as tf\n"
        "print(tf.config.threading.get_intra_op_parallelism_threads())\n"
    )
    options = command_line(configs[0])[3:]
    by_command = "from tf_cyclegan import train\ntrain.main(sys.argv[1:])"
    by_function = "import tf_cyclegan as cg\ncg.train(cg.Config(**json.loads(sys.argv[1])))"
    by_name = json.dumps(dataclasses.asdict(configs[1]))
    for begin, arguments in ((by_command, options), (by_function, [by_name])):
        done = run_script(script.replace("START", begin), *arguments)
        assert done.stdout.split() == ["1"], done.stderr
    assert checkpoint_hash(configs[0].run_folder) == checkpoint_hash(configs[1].run_folder)


def test_a_tpu_is_reached_by_the_documented_lines(monkeypatch):
    """A stand-in for what only a TPU has: its resolver, its system and its strategy."""
    calls = []
    distribute, experimental = tf.distribute, tf.tpu.experimental
    monkeypatch.setenv("TPU_NAME", "local")
    monkeypatch.setattr(distribute.cluster_resolver, "TPUClusterResolver", lambda name: name)
    monkeypatch.setattr(tf.config, "experimental_connect_to_cluster", calls.append)
    monkeypatch.setattr(experimental, "initialize_tpu_system", calls.append)

    class StandIn(distribute.OneDeviceStrategy):
        def __init__(self, resolver):
            calls.append(resolver)
            super().__init__("/cpu:0")

    monkeypatch.setattr(distribute, "TPUStrategy", StandIn)
    devices = find_devices("auto", 4)
    assert calls == ["local"] * 3
    assert devices.name == "TPU, 1 replica"
    with devices.scope():
        gan = CycleGAN(Config(**TINY_SETTINGS), 1, devices.replicas(jit=True))
    step = devices.function(gan.train_step, jit=True)
    images = np.zeros([2, 32, 32, 3], np.float32)
    losses = step(images, images)
    alone = CycleGAN(Config(**TINY_SETTINGS), 1)
    for name, value in alone.train_step(images, images).items():
        np.testing.assert_allclose(losses[name], value, rtol=1e-3, err_msg=name)
