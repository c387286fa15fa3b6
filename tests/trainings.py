"""Trainings that are quick, that are interrupted, and that are processes of their own."""

import importlib
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import tensorflow as tf

from tf_cyclegan.methods import method_of
from tf_cyclegan.training.run import Run
from tf_cyclegan.training.trainer import Interrupted, Trainer

TESTS = Path(__file__).parent
TIMEOUT = 900  # seconds for a process, most of them TensorFlow's start on a busy machine


def start(configs, dtype="float64", cpus=1, tf_config=None):
    """Start a process that trains as `configs` say, one after the other."""
    paths = []
    for config in configs:
        path = Path(f"{config.run_dir}_{config.strategy}_{config.steps}.json")
        path.write_text(config.to_json())
        paths.append(str(path))
    environment = os.environ | {"PYTHONPATH": str(TESTS.parent), "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("TF_CONFIG", None)
    if tf_config:
        environment["TF_CONFIG"] = json.dumps(tf_config)
    return subprocess.Popen(
        [sys.executable, str(TESTS / "training" / "train_process.py"), dtype, str(cpus), *paths],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(processes):
    """Wait for processes to end well; whatever happens, none is left."""
    try:
        for process in processes:
            _, errors = process.communicate(timeout=TIMEOUT)
            assert process.returncode == 0, errors
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.communicate()


@contextmanager
def quick_trainings():
    """Trainings in the block make no graph of the step and no SavedModels: the slow parts.

    What a comparison would do in processes, which would know of nothing that is patched here, it does
    in this one.
    """
    tf.config.run_functions_eagerly(True)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tf_cyclegan.translation.translator.export_run", _export_nothing)
            patch.setattr("tf_cyclegan.evaluation.comparison.run_commands", _run_here)
            yield
    finally:
        tf.config.run_functions_eagerly(False)


def _export_nothing(folder, output):
    """Leave but the empty files that say that a training came to its end."""
    for direction in method_of(Run(folder).read_settings()).directions:
        (output / direction).mkdir(parents=True, exist_ok=True)
        (output / direction / "saved_model.pb").touch()
    return []


def _run_here(commands, _jobs):
    for several in commands.values():
        for module, *arguments in several:
            importlib.import_module(f"tf_cyclegan.{module}").main(arguments)


@contextmanager
def interrupted_at(step):
    """The training in the block is told to end (SIGTERM) once the losses of `step` are there."""
    look, sent = Trainer._look_at_losses, []

    def look_and_terminate(self):
        look(self)
        if self.step == step and not sent:
            sent.append(os.kill(os.getpid(), signal.SIGTERM))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_look_at_losses", look_and_terminate)
        with pytest.raises(Interrupted) as caught:
            yield
    assert (caught.value.signal, caught.value.step) == (signal.SIGTERM, step)
