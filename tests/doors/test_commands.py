"""The mistakes that users make: each gets one sentence and exit code 2."""

import dataclasses
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from conftest import write_images

import tf_cyclegan
from tf_cyclegan import (
    UserError,
    ablate,
    commands,
    convert,
    evaluate,
    export,
    study,
    train,
    translate,
)
from tf_cyclegan.__main__ import COMMANDS
from tf_cyclegan.methods.cyclegan.settings import Config
from tf_cyclegan.translation.load import load_translator

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}


@pytest.fixture
def bad(tmp_path):
    """A folder full of data sets with something wrong."""
    for split in ("trainA", "trainB"):
        write_images(tmp_path / "good" / split, 2)
    write_images(tmp_path / "half" / "trainA", 2)
    write_images(tmp_path / "empty" / "trainA", 2)
    (tmp_path / "empty" / "trainB").mkdir()
    for split in ("trainA", "trainB"):
        write_images(tmp_path / "text" / split, 2)
    (tmp_path / "text" / "trainA" / "000.jpg").write_text("no image")
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../../trainA/0.png", b"")
    (tmp_path / "no.zip").write_text("no zip")
    (tmp_path / "file").write_text("")
    write_images(tmp_path / "holiday", 1)
    return tmp_path


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--dataset {bad}/missing", "there is no folder or .zip {bad}/missing"),
        (
            "--x {bad}/god/trainA --y {bad}/good/trainB",
            "there is no folder or .zip {bad}/god/trainA; did you mean {bad}/good/trainA?",
        ),
        (
            "--dataset emoji --x {bad}/good/trainA --y {bad}/good/trainB",
            "give either --dataset emoji, or --x and --y",
        ),
        ("--dataset {bad}/good --steps", "--steps"),
        ("--dataset ./missing.zip", "there is no folder or .zip ./missing.zip"),
        ("--dataset {bad}/half", "{bad}/half has no trainB"),
        ("--dataset {bad}/empty", "trainB of {bad}/empty holds no image"),
        ("--dataset {bad}/text", "trainA/000.jpg (not an image: "),
        ("--dataset {bad}/evil.zip", "leads out of it: ../../trainA/0.png"),
        ("--dataset {bad}/no.zip", "is not a .zip file"),
        ("--dataset cycle_gan/horse3zebra", "cycle_gan/horse2zebra, cycle_gan/monet2photo"),
        ("--dataset no_such_set", "cycle_gan/horse2zebra"),
        ("--dataset no/such/set", "cycle_gan/horse2zebra"),
        ("--dataset cycle_gan/horse2zebra:9.9.9", "TFDS has no cycle_gan/horse2zebra:9.9.9"),
        ("--dataset mnist", "mnist has no trainA"),
        ("--dataset {bad}/good --batch-size 3", "--batch-size 3 is larger than the data"),
        ("--dataset {bad}/good --image-size 102", "the nearest to 102 are 100 and 104"),
        ("--learning-rate -1", "--learning-rate is -1.0; it must be above 0"),
        ("--generator vae", "it takes unet, resnet9"),
        (
            "--preset plain --generator tensorflow_examples --image-size 256 --load-size 256",
            "pip install git+",
        ),
        ("--run-dir {bad}/file/run", "cannot write {bad}/file/run"),
        ("--run-dir {bad}/holiday", "{bad}/holiday exists and is not a run"),
        ("--epochs many", "many"),
        ("--no-such-option 3", "--no-such-option"),
        ("--preset huge", "huge"),
    ],
)
def test_training(bad, command, monkeypatch, options, words):
    monkeypatch.chdir(bad)
    if "mnist" in options:
        pytest.importorskip("tensorflow_datasets")
        monkeypatch.setattr(
            "tensorflow_datasets.core.DatasetBuilder.download_and_prepare", fake_mnist
        )
    code, errors = command(train.main, *options.format(bad=bad).split())
    assert code == 2
    assert words.format(bad=bad) in re.sub(r"\s+", " ", errors)
    assert "Traceback" not in errors
    assert not (bad / "runs").exists() or not list((bad / "runs").rglob("ckpt*"))


def fake_mnist(self, *args, **kwargs):
    """A data set that is there but has no trainA: mnist, not downloaded."""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            "--model {bad}/missing --input {bad}/good",
            "no SavedModel and no run folder {bad}/missing",
        ),
        ("--model {bad}/good --input {bad}/good", "{bad}/good is not the folder of a run"),
        ("--model {bad}/begun --input {bad}/good", "{bad}/begun has no checkpoint yet"),
        ("--model {bad}/begun --input {bad}/missing", "no picture and no folder {bad}/missing"),
        ("--model {bad}/begun --input {bad}/empty/trainB", "holds no image"),
        ("--model {bad}/begun --input {bad}/good --direction a_to_b", "a_to_b"),
    ],
)
def test_translating(bad, command, options, words):
    (bad / "begun").mkdir()
    (bad / "begun" / "config.json").write_text(Config().to_json())
    options = f"{options} --output {bad}/out"
    code, errors = command(translate.main, *options.format(bad=bad).split())
    assert code == 2
    assert words.format(bad=bad) in re.sub(r"\s+", " ", errors)


@pytest.mark.parametrize(
    ("variable", "settings", "words"),
    [
        ("jax", {}, ["KERAS_BACKEND is jax", "KERAS_BACKEND=tensorflow"]),
        (
            None,
            {"backend": "torch"},
            ["keras.json has another backend", "KERAS_BACKEND=tensorflow"],
        ),
        (None, {"image_data_format": "channels_first"}, ["keras.json", "channels_last"]),
    ],
)
@pytest.mark.parametrize("door", [train, translate, evaluate, export])
def test_keras_set_to_what_cannot_work(door, variable, settings, words, bad, command, monkeypatch):
    for name, value in {"KERAS_HOME": str(bad), "KERAS_BACKEND": variable}.items():
        monkeypatch.delenv(name, raising=False)
        if value:
            monkeypatch.setenv(name, value)
    (bad / "keras.json").write_text(json.dumps(settings))
    options = {
        train: ["--dataset", bad / "good", "--run-dir", bad / "run"],
        translate: ["--model", bad, "--input", bad / "holiday", "--output", bad / "out"],
        evaluate: ["--run", bad / "run"],
        export: ["--run", bad / "run"],
    }
    code, errors = command(door.main, *options[door])
    assert code == 2
    assert all(word in errors for word in words), errors
    with pytest.raises(UserError, match=words[-1]):
        load_translator(bad)


def test_exporting_what_is_no_run(bad, command):
    code, errors = command(export.main, "--run", bad / "good")
    assert code == 2 and "is not the folder of a run" in errors


@pytest.mark.parametrize(
    ("door", "options"),
    [
        (ablate, "--dataset missing"),
        (convert, "missing.pth"),
        (evaluate, "--run missing"),
        (export, "--run missing"),
        (export, "--run missing --format keras"),
        (study, "--real missing --fake missing"),
        (translate, "--model missing --input {bad}/good"),
    ],
)
def test_where_to_write_is_looked_at_before_all_else(bad, command, door, options):
    output = bad / "file" / "out"
    code, errors = command(door.main, *options.format(bad=bad).split(), "--output", output)
    assert code == 2
    assert errors.startswith(f"error: cannot write {output}") and f"{bad}/file is no" in errors


def test_an_evaluation_does_not_replace_the_folder_that_it_runs_in(tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, errors = command(evaluate.main, "--run", "missing", "--output", ".")
    assert code == 2 and errors.startswith("error: . is the folder that this command runs in")


def test_translating_does_not_replace_a_folder(bad, command):
    (bad / "out" / "000.png").mkdir(parents=True)
    options = f"--model missing --input {bad}/holiday --output {bad}/out --overwrite"
    code, errors = command(translate.main, *options.split())
    assert code == 2 and "000.png should become a file and is a folder" in errors


def run(*arguments, **kwargs):
    return subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, **kwargs
    )


def test_help_shows_every_setting():
    help_ = run("tf_cyclegan.train", "--help", env=os.environ | {"COLUMNS": "100"})
    assert help_.returncode == 0
    for field in dataclasses.fields(Config):
        assert f"--{field.name.replace('_', '-')}" in help_.stdout, field.name
    assert run("tf_cyclegan.train", "--help", "--preset", "paper").stdout != help_.stdout


def test_one_name_for_all_commands():
    listing = run("tf_cyclegan")
    assert listing.returncode == 0 and "translate" in listing.stdout
    unknown = run("tf_cyclegan", "trian")
    assert unknown.returncode == 2 and "there is no command trian" in unknown.stderr
    assert run("tf_cyclegan", "export").returncode == 2


@pytest.mark.parametrize(
    ("imports", "heavy"),
    [
        (
            "tf_cyclegan, tf_cyclegan.train",
            "tensorflow keras numpy PIL matplotlib tensorflow_datasets tyro",
        ),
        # What a training has imported by its first step; Keras itself brings matplotlib and scipy.
        (
            "tf_cyclegan.training.trainer, tf_cyclegan.methods.cyclegan.step, "
            "tf_cyclegan.translation.translator",
            "tensorflow_datasets onnx tf2onnx",
        ),
    ],
)
def test_importing_loads_nothing_before_it_is_needed(imports, heavy):
    script = f"import sys, {imports}; print([m for m in '{heavy}'.split() if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.stdout.strip() == "[]"


def test_help_loads_nothing_that_it_does_not_show():
    script = """
import importlib, sys
from tf_cyclegan.__main__ import COMMANDS
loaded = {}
for name in sorted(COMMANDS, key=["train"].__contains__, reverse=True):
    try:
        importlib.import_module(f"tf_cyclegan.{name}").main(["--help"])
    except SystemExit:
        loaded[name] = {"tensorflow", "numpy", "PIL"} & sys.modules.keys()
    if name == "train":
        loaded[name] |= {"typeguard"} & sys.modules.keys()
print(loaded, file=sys.stderr)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.stderr.strip() == str({name: set() for name in ["train", *COMMANDS]})


def test_who_reads_no_further_ends_the_help_without_a_traceback():
    words = [sys.executable, "-m", "tf_cyclegan.train", "--help"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 1


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_within_a_callback_ends_the_command_too(name, code):
    script = f"""
import signal, time
from tf_cyclegan.commands import run_command

class Callback:
    def __del__(self):
        signal.raise_signal(signal.{name})

def main():
    Callback()
    time.sleep(30)

run_command(main)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == code
    assert result.stderr == ("interrupted\n" if name == "SIGINT" else "")


def test_a_bug_keeps_its_traceback(command):
    def main(_):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError):
        command(main)


ENDED = """
import os, signal, sys, time
from pathlib import Path
from tf_cyclegan.commands import run_command

def main():
    try:
        Path(sys.argv[1]).write_text("begun")
        time.sleep(600)
    finally:
        Path(sys.argv[1]).write_text("cleaned up")

run_command(main)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_signals_end_a_command_and_it_cleans_up(tmp_path, name):
    process = start(ENDED, tmp_path / "state")
    process.send_signal(getattr(signal, name))
    assert process.wait(timeout=300) == 128 + getattr(signal, name)
    assert (tmp_path / "state").read_text() == "cleaned up"


def test_what_runs_on_without_its_terminal_does_so(tmp_path):
    """Under nohup, that is."""
    ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    process = start(ignoring + ENDED.replace("600", "3"), tmp_path / "state")
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=300) == 0


def start(script, state):
    """Start a process and wait until it has begun."""
    process = subprocess.Popen([sys.executable, "-c", script, str(state)], env=ENVIRONMENT)
    while not (state.exists() and state.read_text()):
        assert process.poll() is None
        time.sleep(0.02)
    return process


@pytest.mark.parametrize(
    ("line", "is_note"),
    [
        (
            "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
            1,
        ),
        ("I0000 00:00:1732 port.cc:153] oneDNN custom operations are on.", 1),
        ("E0000 00:00:1732 cuda_dnn.cc:8579] Unable to register cuDNN factory: Attempting to", 1),
        ("E0000 00:00:1732 cuda_blas.cc:1407] Unable to register cuBLAS factory: Attempting to", 1),
        ("W0000 00:00:1732 computation_placer.cc:177] computation placer already registered.", 1),
        ("W0000 00:00:1732 gpu_device.cc:2344] Cannot dlopen some GPU libraries.", 0),
        ("E0000 00:00:1732 cuda_diagnostics.cc:152] no CUDA-capable device is detected", 0),
    ],
)
def test_of_what_tensorflow_says_at_its_start_the_notes_are_left_out(line, is_note):
    assert bool(commands.NOTES.match(line)) == bool(is_note)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_each_default_once_and_every_command_its_version(name, capsys):
    main = importlib.import_module(f"tf_cyclegan.{name}").main
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    words = " ".join(re.sub("[│╭╮╰╯─]", " ", capsys.readouterr().out).split())
    assert "None" not in words
    assert not re.search(r"\(default: [^)]*\) \(default", words)
    assert not exit_.value.code
    with pytest.raises(SystemExit) as exit_:
        main(["--version"])
    assert capsys.readouterr().out == f"tf-cyclegan {tf_cyclegan.__version__}\n"
    assert not exit_.value.code


def test_the_word_none_takes_away_what_a_preset_sets():
    config, _ = train.parse_config(["--load-size", "None", "--image-size", "64x32"])
    assert (config.load_size, config.image_size, config.steps) == (None, "64x32", 2000)
    config, more_epochs = train.parse_config(["--epochs", "3", "--more-epochs", "2"])
    assert (config.steps, config.epochs, more_epochs) == (None, 3, 2)
