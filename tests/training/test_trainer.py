import dataclasses
import json
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
import tensorflow as tf
from checkpoints import checkpoint_hash
from conftest import SMALLEST_GENERATOR, command_line
from PIL import Image
from trainings import TIMEOUT, finish, interrupted_at, quick_trainings, start

import tf_cyclegan as cg
from tf_cyclegan.methods import read_settings
from tf_cyclegan.training.run import Run
from tf_cyclegan.training.trainer import Trainer

LITTLE_TO_TRACE = SMALLEST_GENERATOR | {"lambda_identity": 0.0}


def test_a_run_leaves_behind_what_it_should(tiny_config):
    config = dataclasses.replace(tiny_config, sample_every=4, log_every=2)
    shown = []
    folder = cg.train(config, on_sample=lambda path: shown.append((path.name, path.stat().st_size)))
    assert folder == config.run_folder
    assert [line["step"] for line in Run(folder).metrics.lines()] == [1, 2, 4, 6]
    pixels = {"channels": 3, "type": "uint8", "range": "0,255"}
    found = {f"{name}_{of}": value for name, value in pixels.items() for of in "xy"}
    assert read_settings(folder / "config.json") == dataclasses.replace(config, **found)
    samples = sorted(path.name for path in (folder / "samples").iterdir())
    assert samples == ["step_000004.png", "step_000006.png"]
    assert [name for name, size in shown if size] == samples
    grid = Image.open(folder / "samples" / "step_000006.png")
    assert grid.width > 6 * 128 and grid.height > 2 * 128  # six columns, two test images
    assert Image.open(folder / "losses.png").width > 500
    assert list((folder / "tensorboard").glob("events*"))
    for direction in ("x_to_y", "y_to_x"):
        assert (folder / "saved_model" / direction / "saved_model.pb").is_file()
    assert not [path for path in folder.rglob("*") if path.name.endswith((".part", ".old"))]


# All that a step keeps beside networks and optimizers, and all that is random about its images.
HELD_BACK = {
    "ema": 4.0,
    "ema_ramp": 0.5,
    "augment": "color,translation",
    "augment_target": 0.5,
    "augment_images": 20,
    "penalty": "r1",
    "penalty_every": 2,
    "discriminator_norm": "spectral",
    "warmup_steps": 3,
    "decay": "plateau",
    "decay_start": 0.0,
    "rotate": 5.0,
    "color_jitter": 0.1,
    "held_out": 0.3,
}


def test_an_interrupted_run_goes_on_with_the_same_bits(tiny_config, tmp_path):
    config = dataclasses.replace(tiny_config, steps=4, **LITTLE_TO_TRACE | HELD_BACK)
    with quick_trainings():
        whole = cg.train(dataclasses.replace(config, run_dir=str(tmp_path / "whole")))
        with interrupted_at(2):
            cg.train(config)
        folder = cg.train(config)
    assert checkpoint_hash(folder) == checkpoint_hash(whole)
    assert (folder / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


def test_killed_at_random_moments_a_run_ends_with_the_same_bits(tiny_config, tmp_path):
    config = dataclasses.replace(tiny_config, checkpoint_every=4, batch_size=2, **LITTLE_TO_TRACE)
    endless = dataclasses.replace(
        config, steps=100_000
    )  # so that it never ends before it is killed
    metrics = config.run_folder / "metrics.jsonl"
    rng = random.Random(0)
    for _ in range(2):
        process = subprocess.Popen(
            command_line(endless), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        lines = len(metrics.read_bytes().splitlines()) if metrics.exists() else 0
        wanted = lines + rng.randrange(2, 12)
        while not metrics.exists() or len(metrics.read_bytes().splitlines()) < wanted:
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(rng.random() * 0.2)
        process.kill()
        assert process.wait() == -signal.SIGKILL

    steps = len(metrics.read_bytes().splitlines()) + 5
    config = dataclasses.replace(config, steps=steps)
    whole = dataclasses.replace(config, run_dir=str(tmp_path / "whole"))
    finish([start([config, whole], dtype="float32")])
    assert checkpoint_hash(config.run_folder) == checkpoint_hash(whole.run_folder)
    assert metrics.read_bytes() == (whole.run_folder / "metrics.jsonl").read_bytes()


def test_several_steps_a_call_are_the_same_steps(tiny_config, tmp_path):
    config = dataclasses.replace(
        tiny_config, steps=11, checkpoint_every=5, sample_every=3, log_every=2, **LITTLE_TO_TRACE
    )
    calls = []
    do_steps = Trainer._do_steps

    def counted(self, batches, count):
        calls.append(count)
        return do_steps(self, batches, count)

    folders = []
    for steps_per_call in (1, 8):
        one = dataclasses.replace(
            config, run_dir=str(tmp_path / f"by{steps_per_call}"), steps_per_call=steps_per_call
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Trainer, "_do_steps", counted)
            patch.setattr("tf_cyclegan.translation.translator.export_run", lambda *_: [])
            folders.append(cg.train(one))
    # Cut where a picture or a checkpoint is due.
    assert calls == [1] * 11 + [3, 2, 1, 3, 1, 1]
    one, eight = folders
    assert checkpoint_hash(one) == checkpoint_hash(eight)
    assert (one / "metrics.jsonl").read_bytes() == (eight / "metrics.jsonl").read_bytes()
    for picture in (one / "samples").iterdir():
        assert picture.read_bytes() == (eight / "samples" / picture.name).read_bytes()


def test_ctrl_c_writes_a_checkpoint_and_says_how_to_go_on(tiny_config):
    config = dataclasses.replace(tiny_config, steps=100_000, **LITTLE_TO_TRACE)
    process = subprocess.Popen(command_line(config), stderr=subprocess.PIPE, text=True)
    metrics = Path(config.run_dir) / "metrics.jsonl"
    while not (metrics.exists() and metrics.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 128 + signal.SIGINT
    assert f"go on with: python -m tf_cyclegan.train --run-dir {config.run_dir}" in errors
    assert "Traceback" not in errors
    last = json.loads(metrics.read_text().splitlines()[-1])["step"]
    assert tf.train.latest_checkpoint(f"{config.run_dir}/checkpoints").endswith(f"ckpt-{last}")
