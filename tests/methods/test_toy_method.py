"""A method of another package, in one file: the commands take it as they take those here."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from checkpoints import checkpoint_hash
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]

# All there is to a method. This one repaints X in the colours of Y: it knows no pairs, no
# discriminator and no way back, only the mean and the deviation of every colour channel.
TOY = """
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tf_cyclegan.methods.method import Method
from tf_cyclegan.settings import RunSettings, setting


# Its settings, on top of those that every run has; TensorFlow must not be needed to read them.
@dataclass(frozen=True)
class ToySettings(RunSettings):
    method: ClassVar[str] = "toy"

    noise: float = setting(0.01, "objective", "deviation of what is added to X in training", lowest=0)


# TensorFlow is imported when one is built.
def build(config, total_steps, replicas):
    import keras
    import tensorflow as tf

    from tf_cyclegan.methods.adversarial import AdversarialMethod

    # Optimizers, precision, checkpoints and replicas come with it.
    class Toy(AdversarialMethod):
        def __init__(self):
            super().__init__(config, total_steps, replicas)
            start = keras.initializers.RandomNormal(stddev=0.5, seed=config.seed)

            def colours():
                images = keras.Input([None, None, 3])
                repainted = keras.layers.Conv2D(3, 1, kernel_initializer=start)(images)
                return keras.Model(images, repainted)

            # Networks that one backward pass teaches are a group: this one has but one.
            self.generators = self.group("generator", generator_g=colours)
            self.generator_g = self.generators.networks["generator_g"]
            self.translators = {"x_to_y": self.generator_g}

        def losses_and_gradients(self, real_x, real_y):
            # Whatever is random follows from the seed and the step.
            seed = tf.random.fold_in([config.seed, 9], self.step)
            noise = config.noise * tf.random.stateless_normal(tf.shape(real_x), seed)
            with tf.GradientTape() as tape:
                fake_y = self.generator_g(real_x + noise, training=True)
                mean, wanted_mean = (tf.reduce_mean(i, [1, 2]) for i in (fake_y, real_y))
                std, wanted_std = (tf.math.reduce_std(i, [1, 2]) for i in (fake_y, real_y))
                terms = {
                    "colour_mean": self.batch_mean(tf.abs(mean - wanted_mean)),
                    "colour_deviation": self.batch_mean(tf.abs(std - wanted_std)),
                }
                loss = self.generators.scaled(sum(terms.values()))
            return terms, self.generators.gradients(tape, loss)

        # What a sample picture shows, and under which headings.
        def samples(self, real_x, real_y):
            return {"x": real_x, "repainted": self.generator_g(real_x, training=False), "y": real_y}

    return Toy()


# What the entry point names.
METHOD = Method(
    settings=ToySettings,
    presets={
        "small": ToySettings(
            image_size=32, load_size=32, learning_rate=0.05, batch_size=2, steps=4, log_every=1
        ),
    },
    build=build,
    about="repaints X in the colours of Y",
    directions=("x_to_y",),
)
"""

# The commands one after the other, in one process.
COMMANDS = """
import sys
from tf_cyclegan import compare, evaluate, export, train, translate

data, help_path = sys.argv[1:]
toy = ["--method", "toy", "--dataset", data, "--sample-every", "2"]
train.main([*toy, "--run-dir", "whole"])
train.main([*toy, "--run-dir", "part", "--steps", "2"])
train.main(["--run-dir", "part", "--steps", "4"])
evaluate.main(["--run", "whole"])
export.main(["--run", "whole", "--format", "keras", "--output", "keras"])
translate.main(["--model", "whole", "--input", data + "/testA", "--output", "translated"])
compare.main(["--dataset", data, "--steps", "2", "--seeds", "1", "--output", "compared",
              "--entries", "silent=toy:noise=0"])
with open(help_path, "w") as sys.stdout:
    train.main(["--method", "toy", "--help"])
"""


@pytest.fixture(scope="module")
def toy(image_folder, tmp_path_factory):
    """The folder in which all commands were run, with the toy's package beside them."""
    folder = tmp_path_factory.mktemp("toy")
    package = folder / "package"
    (package / "toy-1.0.dist-info").mkdir(parents=True)
    (package / "toy.py").write_text(TOY)
    entry_points = "[tf_cyclegan.methods]\ntoy = toy:METHOD\n"
    (package / "toy-1.0.dist-info" / "entry_points.txt").write_text(entry_points)
    (package / "toy-1.0.dist-info" / "METADATA").write_text("Name: toy\nVersion: 1.0\n")
    (folder / "commands.py").write_text(COMMANDS)
    ended = subprocess.run(
        [sys.executable, "commands.py", str(image_folder), "help.txt"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(package), str(ROOT)])},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    return folder


def test_help_shows_it_with_its_own_settings(toy):
    told = re.sub(r"[\s│]+", " ", (toy / "help.txt").read_text())
    assert "toy: repaints X in the colours of Y" in told and "cyclegan: " in told
    assert "--noise FLOAT deviation of what is added to X in training (default: 0.01)" in told
    assert "--lambda-cycle" not in told


def test_it_learns_and_goes_on_with_the_same_bits(toy):
    lines = [json.loads(line) for line in (toy / "whole" / "metrics.jsonl").open()]
    assert set(lines[0]) == {"step", "colour_mean", "colour_deviation"}
    assert lines[-1]["colour_mean"] < lines[0]["colour_mean"]
    assert checkpoint_hash(toy / "part") == checkpoint_hash(toy / "whole")
    assert (toy / "part" / "metrics.jsonl").read_bytes() == (
        toy / "whole" / "metrics.jsonl"
    ).read_bytes()


def test_it_is_sampled_exported_translated_with_and_judged(toy):
    assert Image.open(toy / "whole" / "samples" / "step_000004.png").width > 3 * 128
    exports = sorted(path.name for path in (toy / "whole" / "saved_model").iterdir())
    assert exports == ["x_to_y"]
    assert (toy / "keras" / "x_to_y.keras").is_file()
    assert len(list((toy / "translated").iterdir())) == 2
    metrics = json.loads((toy / "whole" / "evaluation" / "metrics.json").read_text())
    assert metrics["method"] == "toy" and list(metrics["directions"]) == ["x_to_y"]


def test_it_is_compared(toy, image_folder):
    rows = json.loads((toy / "compared" / "table.json").read_text())["rows"]
    assert list(rows) == ["not translated", "one colour", "silent"]
    assert rows["silent"]["settings"]["noise"] == 0
    # Its picture is the network's, which the comparison shows beside the input and the truth.
    path = toy / "compared" / "silent" / "seed_0" / "evaluation" / "x_to_y" / "000.png"
    grid = np.asarray(Image.open(toy / "compared" / "x_to_y.png"))
    cell = np.asarray(Image.open(path)).repeat(4, 0).repeat(4, 1)
    left = 8 + 1 * (128 + 4)
    np.testing.assert_array_equal(grid[8 + 24 : 8 + 24 + 128, left : left + 128], cell)
