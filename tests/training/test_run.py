"""What a run's folder goes through: damaged files, kills, full disks, a second training, lost data."""

import dataclasses
import json
import os
import resource
import shutil
import signal
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from checkpoints import checkpoint_hash
from conftest import SMALLEST_GENERATOR, TINY_SETTINGS, write_images
from PIL import Image
from trainings import quick_trainings

import tf_cyclegan as cg
from tf_cyclegan import train
from tf_cyclegan.data import scaled
from tf_cyclegan.errors import CannotWrite, UserError
from tf_cyclegan.methods.cyclegan.settings import Config
from tf_cyclegan.methods.cyclegan.step import CycleGAN
from tf_cyclegan.training import checkpoints, trainer
from tf_cyclegan.training.run import Run
from tf_cyclegan.training.trainer import Interrupted, Trainer
from tf_cyclegan.translation import translator
from tf_cyclegan.translation.translator import export_run

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "cyclegan_6_steps"


@pytest.fixture(scope="module", autouse=True)
def quick():
    with quick_trainings():
        yield


@pytest.fixture(scope="module")
def trained(image_folder, tmp_path_factory):
    """A run of 6 steps with checkpoints of steps 2, 4 and 6."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    settings = TINY_SETTINGS | SMALLEST_GENERATOR | {"checkpoint_every": 2}
    config = Config(dataset=str(image_folder), run_dir=str(folder), **settings)
    cg.train(config)
    return config


@pytest.fixture
def config(trained, tmp_path):
    """The settings of a copy of that run."""
    shutil.copytree(trained.run_dir, tmp_path / "run")
    return dataclasses.replace(trained, run_dir=str(tmp_path / "run"))


@contextmanager
def files_no_larger_than(size):
    """Stands in for a full disk: writing beyond it fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "data cut off": lambda folder: cut(folder / "ckpt-6.data-00000-of-00001"),
    "data gone": lambda folder: (folder / "ckpt-6.data-00000-of-00001").unlink(),
    "a bit of the data": lambda folder: flip(folder / "ckpt-6.data-00000-of-00001"),
    "empty index": lambda folder: (folder / "ckpt-6.index").write_bytes(b""),
    "index cut off": lambda folder: cut(folder / "ckpt-6.index"),
    "a bit of the index": lambda folder: flip(folder / "ckpt-6.index"),
    "index gone": lambda folder: (folder / "ckpt-6.index").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_of_a_damaged_checkpoint_the_one_before_is_taken(config, capsys, damage):
    run = Run(config.run_folder)
    damage(config.run_folder / "checkpoints")
    checkpoint = run.trained()
    assert checkpoint.step == 4
    said = capsys.readouterr().err
    assert "ckpt-6 cannot be read (" in said and "; taking ckpt-4" in said
    # What translates says it, too.
    translator.restore_translator(run, "x_to_y")
    assert "taking ckpt-4" in capsys.readouterr().err


def test_going_on_from_the_one_before_ends_with_the_same_bits(config, trained, capsys):
    DAMAGES["data cut off"](config.run_folder / "checkpoints")
    cg.train(config)
    assert "continuing at step 4" in capsys.readouterr().err
    assert checkpoint_hash(config.run_folder) == checkpoint_hash(trained.run_folder)
    metrics = Run(trained.run_folder).metrics.path.read_bytes()
    assert Run(config.run_folder).metrics.path.read_bytes() == metrics


def test_a_run_at_a_constant_rate_may_go_on_for_longer(config, trained):
    run = Run(config.run_folder)
    for path in (config.run_folder / "checkpoints").glob("ckpt-6.*"):
        path.unlink()
    run.write_settings(dataclasses.replace(config, steps=4))  # it was complete there
    cg.train(config)
    assert checkpoint_hash(config.run_folder) == checkpoint_hash(trained.run_folder)
    with pytest.raises(UserError, match="--decay-start"):
        cg.train(dataclasses.replace(config, steps=9, decay_start=0.5))


def test_another_config_is_refused_and_named(config):
    other = dataclasses.replace(config, filters=3, seed=5, sample_every=2)
    with pytest.raises(UserError) as caught:
        cg.train(other)
    message = str(caught.value)
    assert "--filters (was 2, now 3)" in message and "--seed (was 0, now 5)" in message
    assert "sample-every" not in message


def test_the_options_of_a_run_need_not_be_repeated(config, command):
    code, errors = command(train.main, "--run-dir", config.run_dir)
    assert code == 0 and "complete at step 6" in errors
    code, errors = command(train.main, "--run-dir", config.run_dir, "--filters", 5)
    assert code == 2 and "--filters (was 2, now 5)" in errors


def test_a_loss_that_is_not_finite_stops_the_run(config, monkeypatch):
    real_step = CycleGAN.train_step

    def step_with_nan(self, real_x, real_y):
        losses = real_step(self, real_x, real_y)
        losses["cycle_x"] = tf.where(self.step == 8, float("nan"), losses["cycle_x"])
        return losses

    monkeypatch.setattr(CycleGAN, "train_step", step_with_nan)
    # Seen at step 9, where the losses are looked at.
    longer = dataclasses.replace(config, steps=9, checkpoint_every=10, log_every=10)
    with pytest.raises(UserError, match=r"loss cycle_x is nan at step 8.*ckpt-6;"):
        cg.train(longer)
    assert Run(config.run_folder).trained().step == 6


def test_a_full_disk_keeps_the_last_checkpoint(config):
    with (
        files_no_larger_than(10_000),
        pytest.raises(UserError, match=r"cannot write a checkpoint of step 8.*ckpt-6"),
    ):
        cg.train(dataclasses.replace(config, steps=9))
    kept = tf.train.latest_checkpoint(str(config.run_folder / "checkpoints"))
    assert kept.endswith("ckpt-6")


def test_where_no_checkpoint_can_be_read_nothing_is_begun_anew(config):
    run = Run(config.run_folder)
    for path in (config.run_folder / "checkpoints").glob("*.index"):
        path.write_bytes(b"")
    before = run.metrics.path.read_bytes()
    for read in (run.trained, lambda: cg.train(config)):
        with pytest.raises(UserError, match=r"ckpt-6 .*ckpt-2 .*there is no other checkpoint"):
            read()
    assert run.metrics.path.read_bytes() == before


@pytest.mark.parametrize("content", [None, b"", b"\0" * 300, b"model_checkpoint_path: 5"])
def test_checkpoints_are_found_by_their_files(config, content):
    """Whatever is in the small file that names the newest one."""
    state = config.run_folder / "checkpoints" / "checkpoint"
    state.unlink()
    if content is not None:
        state.write_bytes(content)
    run = Run(config.run_folder)
    before = run.metrics.lines()
    assert run.trained().step == 6
    if content is None:
        cg.train(dataclasses.replace(config, steps=7))
        assert run.metrics.lines()[:-1] == before
        assert tf.train.latest_checkpoint(str(state.parent)).endswith("ckpt-7")


def test_a_run_whose_checkpoints_are_gone_is_not_begun_anew(config):
    shutil.rmtree(config.run_folder / "checkpoints")
    run = Run(config.run_folder)
    before = run.metrics.path.read_bytes()
    with pytest.raises(UserError, match=r"has logged 6 steps and all its checkpoints are gone"):
        cg.train(config)
    assert run.metrics.path.read_bytes() == before
    # Before the first checkpoint there is nothing to lose.
    run.metrics.cut_after(2)
    cg.train(dataclasses.replace(config, steps=2))
    assert [line["step"] for line in run.metrics.lines()] == [1, 2]


def test_without_its_settings_a_run_is_not_begun_anew(config):
    (config.run_folder / "config.json").unlink()
    with pytest.raises(UserError, match=r"has checkpoints, but its config.json is gone"):
        cg.train(config)


def test_what_a_kill_at_the_very_start_leaves_is_a_new_folder(tmp_path):
    run = Run(tmp_path / "run")
    assert run.is_new
    run.folder.mkdir()
    for name in (".lock", ".config.json.123.part", ".config.json.123-1a2b3c4d.part"):
        (run.folder / name).write_text("")
    trainer.check_run_folder(run, Config())
    (run.folder / "holiday.jpg").write_text("")
    with pytest.raises(UserError, match="exists and is not a run"):
        trainer.check_run_folder(run, Config())


@pytest.mark.parametrize(
    "content", [None, "", '{"trainA": 5,', "[5]", '{"trainA": "5"}', "[" * 9999]
)
def test_without_its_count_of_images_a_run_goes_on_and_says_so(config, content, capsys):
    path = config.run_folder / "data.json"
    before = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_text(content)
    cg.train(config)
    assert f"{path} is gone or damaged" in capsys.readouterr().err
    assert path.read_bytes() == before


@pytest.mark.parametrize("line", [b"{", b"123", b"{}", b'{"step": "4"}', b"\xff\xfe", b"[" * 9999])
def test_a_damaged_line_of_a_log_is_named(config, line):
    run = Run(config.run_folder)
    lines = run.metrics.path.read_bytes().splitlines(keepends=True)
    content = b"".join([*lines[:3], line + b"\n", *lines[3:]])
    run.metrics.path.write_bytes(content)
    for read in (run.metrics.lines, lambda: cg.train(dataclasses.replace(config, steps=7))):
        with pytest.raises(UserError, match=rf"line 4 of {run.metrics.path} is damaged: remove"):
            read()
    assert run.metrics.path.read_bytes() == content


def test_one_training_holds_the_folder(config):
    run = Run(config.run_folder)
    with run.held(), pytest.raises(UserError, match=rf"training .* \(process {os.getpid()} on "):
        cg.train(config)
    cg.train(config)
    assert not (run.folder / ".lock").exists()


def test_a_checkpoint_counts_when_it_is_on_the_disk(tmp_path, monkeypatch):
    """Every file is flushed before the index has its name; only then do old ones go."""
    events = []
    fsync, replace, unlink = os.fsync, Path.replace, Path.unlink

    def flushed(descriptor):
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        events.append(f"flush {name}")
        fsync(descriptor)

    if not Path("/proc/self/fd").exists():
        pytest.skip("this system does not say which file a descriptor is of")
    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(
        Path, "replace", lambda self, to: (events.append(f"name {to.name}"), replace(self, to))[1]
    )
    monkeypatch.setattr(
        Path,
        "unlink",
        lambda self, missing_ok=False: (
            events.append(f"remove {self.name}") if self.exists() else None,
            unlink(self, missing_ok),
        )[1],
    )
    objects = tf.train.Checkpoint(step=tf.Variable(1))
    checkpoints.save_checkpoint(tmp_path / "checkpoints", objects, 1, keep=1)
    events.clear()
    checkpoints.save_checkpoint(tmp_path / "checkpoints", objects, 2, keep=1)
    order = [
        "flush ckpt-2.data-00000-of-00001",
        "flush ckpt-2.index",
        "name ckpt-2.data-00000-of-00001",
        "name ckpt-2.index",
        "flush checkpoints",
        "remove ckpt-1.index",
        "remove ckpt-1.data-00000-of-00001",
    ]
    kept = [event for event in events if event in order]
    kept = list(dict.fromkeys(kept))  # the folder is flushed for the state file, too
    assert sorted(kept[:2]) == sorted(order[:2]) and kept[2:] == order[2:]


@pytest.mark.parametrize("fails_at", ["data-00000-of-00001", "index"])
def test_a_checkpoint_cut_off_leaves_the_one_before(tmp_path, monkeypatch, fails_at):
    folder = tmp_path / "checkpoints"
    value = tf.Variable(1)
    objects = tf.train.Checkpoint(value=value)
    checkpoints.save_checkpoint(folder, objects, 1, keep=1)
    replace = Path.replace

    def fail(self, target):
        if self.name.endswith(fails_at):
            raise OSError(5, "input/output error")
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(CannotWrite, match="ckpt-2: input/output error"):
            checkpoints.save_checkpoint(folder, objects, 2, keep=1)
    assert checkpoints.newest_readable(folder).step == 1
    value.assign(3)
    checkpoints.save_checkpoint(folder, objects, 3, keep=1)
    assert [each.step for each in checkpoints.find_checkpoints(folder)] == [3]
    value.assign(0)
    checkpoints.newest_readable(folder).restore(objects)
    assert value.numpy() == 3


def test_other_networks_than_a_checkpoint_has_are_a_sentence(tmp_path):
    objects = tf.train.Checkpoint(value=tf.Variable([1, 2]))
    saved = checkpoints.save_checkpoint(tmp_path, objects, 1, keep=1)
    for other in ({"value": tf.Variable(1)}, {"another": tf.Variable([1, 2])}):
        with pytest.raises(UserError, match="ckpt-1 holds other networks than the settings"):
            saved.restore(tf.train.Checkpoint(**other))


def no_space(*_args, **_kwargs):
    raise tf.errors.ResourceExhaustedError(None, None, "no space left on device")


@pytest.mark.parametrize("what", ["scalar", "image"])
def test_a_full_disk_under_tensorboard_loses_no_step(config, monkeypatch, what, capsys):
    longer = dataclasses.replace(config, steps=9, checkpoint_every=100, log_every=7, sample_every=7)
    with monkeypatch.context() as patch:
        patch.setattr(tf.summary, what, no_space)
        with pytest.raises(CannotWrite, match="tensorboard: no space left on device"):
            cg.train(longer)
    run = Run(config.run_folder)
    assert run.trained().step == 7
    assert "wrote a checkpoint of step 7 first" in capsys.readouterr().err
    cg.train(longer)
    assert run.trained().step == 9
    assert [line["step"] for line in run.metrics.lines()] == [1, 2, 3, 4, 5, 6, 7]
    assert run.sample(7).exists() and run.sample(9).exists()


def test_tensorboards_own_file_on_a_full_disk(config, monkeypatch):
    monkeypatch.setattr(tf.summary, "create_file_writer", no_space)
    with pytest.raises(CannotWrite, match="tensorboard: no space left on device"):
        cg.train(dataclasses.replace(config, steps=7))
    assert Run(config.run_folder).trained().step == 6


def test_at_the_end_the_checkpoint_comes_before_all_that_can_fail(config, monkeypatch):
    longer = dataclasses.replace(config, steps=7, sample_every=100, evaluate_every=100)
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "png_bytes", lambda _: b"x" * 10**7)
        with (
            files_no_larger_than(5 * 10**6),
            pytest.raises(CannotWrite, match=r"step_000007\.png"),
        ):
            cg.train(longer)
    run = Run(config.run_folder)
    assert run.trained().step == 7 and not run.sample(7).exists()
    cg.train(longer)  # makes up for what is missing
    assert Image.open(run.sample(7)).width > 100
    assert [line["step"] for line in run.evaluations.lines()] == [7]
    cg.train(longer)
    assert [line["step"] for line in run.evaluations.lines()] == [7]


def test_an_export_on_a_full_disk_keeps_the_old_one(config, monkeypatch, tmp_path):
    (tmp_path / "out" / "x_to_y").mkdir(parents=True)
    (tmp_path / "out" / "x_to_y" / "old").write_text("old")

    def half(_translator, path, _signatures):
        Path(path).mkdir()
        (Path(path) / "saved_model.pb").write_text("half")
        no_space()

    monkeypatch.setattr(tf.saved_model, "save", half)
    with pytest.raises(CannotWrite, match="out/x_to_y: no space left on device"):
        export_run(config.run_folder, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x_to_y"]
    assert (tmp_path / "out" / "x_to_y" / "old").read_text() == "old"


def test_data_that_vanish_end_a_run_after_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(scaled, "CACHE_BYTES", 0)
    for seed, split in enumerate(("trainA", "trainB")):
        write_images(tmp_path / "data" / split, 3, seed=seed)
    settings = TINY_SETTINGS | {"checkpoint_every": 100, "steps": 40}
    config = Config(dataset=str(tmp_path / "data"), run_dir=str(tmp_path / "run"), **settings)
    lost, look = tmp_path / "data" / "trainB" / "001.png", Trainer._look_at_losses
    content = lost.read_bytes()

    def look_and_lose(self):
        look(self)
        lost.unlink(missing_ok=True)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_look_at_losses", look_and_lose)
        with pytest.raises(UserError, match=rf"cannot be read any more: {lost} \(.*put it back"):
            cg.train(config)
    run = Run(config.run_folder)
    saved = run.trained().step
    assert saved == run.metrics.last_step() >= 1
    lost.write_bytes(content)
    cg.train(dataclasses.replace(config, steps=saved + 1))
    assert [line["step"] for line in run.metrics.lines()] == list(range(1, saved + 2))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_end_a_run_after_a_checkpoint(config, monkeypatch, number):
    look, sent = Trainer._look_at_losses, []

    def look_and_end(self):
        look(self)
        if not sent:  # the second time it would end at once
            sent.append(number)
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_look_at_losses", look_and_end)
        with pytest.raises(Interrupted) as caught:
            cg.train(dataclasses.replace(config, steps=20))
    assert (caught.value.signal, caught.value.step) == (number, 7)
    assert Run(config.run_folder).trained().step == 7


def test_a_run_of_an_earlier_version_goes_on(tmp_path):
    """To rounding: it was trained on another processor."""
    shutil.copytree(GOLDEN, tmp_path / "run")
    run = Run(tmp_path / "run")
    config = dataclasses.replace(
        run.read_settings(), run_dir=str(run.folder), steps=12, sample_every=0, strategy="one"
    )
    cg.train(config)
    expected = (GOLDEN / "expected" / "steps_7_to_12.jsonl").read_text().splitlines()
    lines = run.metrics.lines()
    assert lines[:6] == Run(GOLDEN).metrics.lines()
    for line, other in zip(lines[6:], map(json.loads, expected), strict=True):
        assert list(line) == list(other)
        np.testing.assert_allclose(list(line.values()), list(other.values()), rtol=2e-3)


def test_a_run_of_an_earlier_version_translates(tmp_path):
    from tf_cyclegan.data.decode import decode_image
    from tf_cyclegan.data.sources import open_source

    domain = open_source("emoji")["testA"]
    (index,) = (i for i, name in enumerate(domain.names) if "0030-20e3" in name)
    image = np.asarray(decode_image(domain.read(index)))
    expected = np.asarray(Image.open(GOLDEN / "expected" / "x_to_y_0030-20e3.png").convert("RGB"))
    translated = cg.load_translator(GOLDEN, "x_to_y")(image[None])[0]
    assert np.abs(translated.astype(int) - expected).max() <= 1
