"""Small data sets and small runs for all tests."""

import dataclasses
import gc
import os
import signal
import sys
from collections import Counter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
from PIL import Image

from tf_cyclegan.commands import run_command
from tf_cyclegan.methods.cyclegan.settings import Config

# A process of many tests holds a million objects. To look through all of them for garbage took a
# twentieth of its time.
gc.set_threshold(700, 10, 100)

# What runs in the background may have been told to ignore Ctrl-C or the end of its terminal, and
# passes that on to the commands that tests send them to.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """`pytest -n 2`: the tests of a file stay in one process, so that what they share is made once."""
    from xdist.scheduler import LoadFileScheduling

    config.option.loadscopereorder = False
    return LoadFileScheduling(config, log)


def pytest_collection_modifyitems(items):
    """Large files first, so that no process has a long one left when the other is done."""
    items.sort(key=lambda item: (-item.path.stat().st_size, item.path))


INSTALL = "pip install -c constraints.txt -e '.[dev]'"


def pytest_terminal_summary(terminalreporter):
    """Say at the very end what was not tested, and the command that would make it possible."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
    )
    if not reasons:
        return
    terminalreporter.section("not tested")
    for reason, count in reasons.most_common():
        if reason.startswith("could not import"):
            reason = f"{reason}: {INSTALL}"
        terminalreporter.write_line(f"{count} test{'s' if count > 1 else ''}: {reason}")


TINY_SETTINGS = {
    "image_size": 32,
    "load_size": 36,
    "generator": "resnet1",
    "filters": 2,
    "discriminator_filters": 2,
    "adversarial_loss": "lsgan",
    "pool_size": 4,
    "steps": 6,
    "checkpoint_every": 3,
    "sample_every": 0,
    "log_every": 1,
    "jit": "off",
}
# The generator that is traced and compiled fastest; it has dropout.
SMALLEST_GENERATOR = {"generator": "unet", "unet_levels": 2}


def write_images(folder, count, size=(40, 40), seed=0, suffix=".png"):
    """Write random pictures of (width, height) `size` to a folder."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        # Smooth pictures: noise would not survive JPEG.
        pixels = rng.integers(0, 256, [4, 4, 3], np.uint8)
        image = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)
        image.save(folder / f"{index:03}{suffix}")


def command_line(config):
    """The command that trains with `config`."""
    arguments = [sys.executable, "-m", "tf_cyclegan.train"]
    for name, value in dataclasses.asdict(config).items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            arguments.append(f"--{option}" if value else f"--no-{option}")
        elif value is not None:
            arguments += [f"--{option}", str(value)]
    return arguments


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory):
    """A data set of 5 and 7 training images and 2 test images a domain, sizes mixed."""
    root = tmp_path_factory.mktemp("images")
    write_images(root / "trainA", 5, seed=1)
    write_images(root / "trainB", 7, size=(50, 44), seed=2, suffix=".jpg")
    write_images(root / "testA", 2, seed=3)
    write_images(root / "testB", 2, seed=4)
    return root


@pytest.fixture(scope="session")
def paired_folder(tmp_path_factory):
    """A data set of 6 training and 3 test pairs, each a file with both, the right half inverted."""
    root = tmp_path_factory.mktemp("pairs")
    for folder, count in (("train", 6), ("test", 3)):
        write_images(root / folder, count, seed=count)
        for path in (root / folder).iterdir():
            left = np.asarray(Image.open(path))
            Image.fromarray(np.hstack([left, 255 - left])).save(path)
    return root


@pytest.fixture
def tiny_config(image_folder, tmp_path):
    """A run of seconds on `image_folder`."""
    return Config(dataset=str(image_folder), run_dir=str(tmp_path / "run"), **TINY_SETTINGS)


@pytest.fixture
def command(capsys):
    """Run a command in this process: returns its exit code and what it wrote to stderr."""

    def run(main, *arguments):
        try:
            run_command(lambda: main([str(argument) for argument in arguments]))
            code = 0
        except SystemExit as exit_:
            code = exit_.code or 0
        return code, capsys.readouterr().err

    return run
