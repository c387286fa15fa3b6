import dataclasses
import json
import os
import random
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest
import tensorflow as tf
from checkpoints import checkpoint_hash
from conftest import command_line, write_images
from PIL import Image

import tf_cyclegan as cg
from tf_cyclegan import train
from tf_cyclegan.data.pipeline import load_dataset
from tf_cyclegan.errors import UserError
from tf_cyclegan.methods import read_settings
from tf_cyclegan.methods.cyclegan.step import CycleGAN
from tf_cyclegan.training.run import Run
from tf_cyclegan.training.trainer import Interrupted, Trainer


def test_a_run_leaves_behind_what_it_should(tiny_config):
    config = dataclasses.replace(tiny_config, sample_every=4, log_every=2)
    shown = []
    folder = cg.train(config, on_sample=lambda path: shown.append((path.name, path.stat().st_size)))
    assert folder == config.run_folder
    assert [line["step"] for line in Run(folder).metrics.lines()] == [1, 2, 4, 6]
    assert read_settings(folder / "config.json") == config
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


def test_an_interrupted_run_goes_on_with_the_same_bits(tiny_config, tmp_path, monkeypatch):
    config = dataclasses.replace(tiny_config, generator="unet", unet_levels=2)  # has dropout
    whole = cg.train(dataclasses.replace(config, run_dir=str(tmp_path / "whole")))

    look = Trainer._look_at_losses

    terminated = []

    def look_and_terminate(self):
        look(self)
        if self.step == 2 and not terminated:
            terminated.append(True)
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Trainer, "_look_at_losses", look_and_terminate)
    with pytest.raises(Interrupted) as caught:
        cg.train(config)
    assert (caught.value.signal, caught.value.step) == (signal.SIGTERM, 2)
    monkeypatch.setattr(Trainer, "_look_at_losses", look)

    folder = cg.train(config)
    assert checkpoint_hash(folder) == checkpoint_hash(whole)
    assert (folder / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


def test_killed_at_random_moments_a_run_ends_with_the_same_bits(tiny_config, tmp_path):
    steps = 60
    config = dataclasses.replace(tiny_config, steps=steps, checkpoint_every=4, batch_size=2)
    whole = dataclasses.replace(config, run_dir=str(tmp_path / "whole"))
    subprocess.run(command_line(whole), check=True, capture_output=True)

    rng = random.Random(0)
    metrics = config.run_folder / "metrics.jsonl"
    kills = 0
    for _ in range(3):
        process = subprocess.Popen(
            command_line(config), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        lines = len(metrics.read_text().splitlines()) if metrics.exists() else 0
        wanted = lines + rng.randrange(2, 12)
        while process.poll() is None:
            if metrics.exists() and len(metrics.read_text().splitlines()) >= wanted:
                time.sleep(rng.random() * 0.2)
                process.kill()
                kills += process.wait() == -signal.SIGKILL
            time.sleep(0.01)
    assert kills >= 2
    subprocess.run(command_line(config), check=True, capture_output=True)
    assert checkpoint_hash(config.run_folder) == checkpoint_hash(whole.run_folder)
    assert metrics.read_bytes() == (whole.run_folder / "metrics.jsonl").read_bytes()


def test_several_steps_a_call_are_the_same_steps(tiny_config, tmp_path):
    config = dataclasses.replace(
        tiny_config, steps=11, checkpoint_every=5, sample_every=3, log_every=2
    )
    config = dataclasses.replace(config, generator="unet", unet_levels=2)  # has dropout
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
            folders.append(cg.train(one))
    # Cut where a picture or a checkpoint is due.
    assert calls == [1] * 11 + [3, 2, 1, 3, 1, 1]
    one, eight = folders
    assert checkpoint_hash(one) == checkpoint_hash(eight)
    assert (one / "metrics.jsonl").read_bytes() == (eight / "metrics.jsonl").read_bytes()
    for picture in (one / "samples").iterdir():
        assert picture.read_bytes() == (eight / "samples" / picture.name).read_bytes()


def test_another_config_is_refused_and_named(tiny_config):
    cg.train(tiny_config)
    other = dataclasses.replace(tiny_config, filters=3, seed=5, sample_every=2)
    with pytest.raises(UserError) as caught:
        cg.train(other)
    message = str(caught.value)
    assert "--filters (was 2, now 3)" in message and "--seed (was 0, now 5)" in message
    assert "sample-every" not in message


def test_a_run_at_a_constant_rate_may_go_on_for_longer(tiny_config, tmp_path):
    cg.train(tiny_config)
    longer = cg.train(dataclasses.replace(tiny_config, steps=8))
    at_once = cg.train(dataclasses.replace(tiny_config, steps=8, run_dir=str(tmp_path / "once")))
    assert checkpoint_hash(longer) == checkpoint_hash(at_once)
    with pytest.raises(UserError, match="--decay-start"):
        cg.train(dataclasses.replace(tiny_config, steps=9, decay_start=0.5))


def test_changed_data_is_noticed(tiny_config, tmp_path):
    for split in ("trainA", "trainB"):
        write_images(tmp_path / "data" / split, 3)
    config = dataclasses.replace(tiny_config, dataset=str(tmp_path / "data"))
    cg.train(config)
    (tmp_path / "data" / "trainB" / "002.png").unlink()
    with pytest.raises(UserError, match="with 3 images in trainB, now there are 2"):
        cg.train(dataclasses.replace(config, steps=8))


def test_a_loss_that_is_not_finite_stops_the_run(tiny_config, monkeypatch):
    real_step = CycleGAN.train_step

    def step_with_nan(self, real_x, real_y):
        losses = real_step(self, real_x, real_y)
        losses["cycle_x"] = tf.where(self.step == 5, float("nan"), losses["cycle_x"])
        return losses

    monkeypatch.setattr(CycleGAN, "train_step", step_with_nan)
    with pytest.raises(UserError, match=r"loss cycle_x is nan at step 5.*ckpt-3"):
        cg.train(dataclasses.replace(tiny_config, log_every=4))
    kept = tf.train.latest_checkpoint(str(tiny_config.run_folder / "checkpoints"))
    assert kept.endswith("ckpt-3")


def test_a_full_disk_keeps_the_last_checkpoint(tiny_config):
    """A limit on the size of files stands in for the full disk: writing beyond it fails."""
    data = load_dataset(tiny_config)
    trainer = Trainer(CycleGAN(tiny_config, 6), data, tiny_config, 6)
    trainer._save_checkpoint(0)
    kept = trainer._saved.prefix
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
        with pytest.raises(UserError, match=r"cannot write a checkpoint of step 3.*ckpt-0"):
            trainer.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert tf.train.latest_checkpoint(str(tiny_config.run_folder / "checkpoints")) == kept


def test_the_options_of_a_run_need_not_be_repeated(tiny_config, command):
    cg.train(tiny_config)
    code, errors = command(train.main, "--run-dir", tiny_config.run_dir)
    assert code == 0 and "complete at step 6" in errors
    code, errors = command(train.main, "--run-dir", tiny_config.run_dir, "--filters", 5)
    assert code == 2 and "--filters (was 2, now 5)" in errors


def test_ctrl_c_writes_a_checkpoint_and_says_how_to_go_on(tiny_config):
    config = dataclasses.replace(tiny_config, steps=100_000)
    process = subprocess.Popen(command_line(config), stderr=subprocess.PIPE, text=True)
    metrics = Path(config.run_dir) / "metrics.jsonl"
    while not (metrics.exists() and metrics.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGINT
    assert f"go on with: python -m tf_cyclegan.train --run-dir {config.run_dir}" in errors
    assert "Traceback" not in errors
    last = json.loads(metrics.read_text().splitlines()[-1])["step"]
    assert tf.train.latest_checkpoint(f"{config.run_dir}/checkpoints").endswith(f"ckpt-{last}")
