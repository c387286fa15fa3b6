"""`--evaluate-every`: a run that is measured while it is trained."""

import dataclasses
import json

import pytest
import tensorflow as tf
from checkpoints import checkpoint_hash
from conftest import TINY_SETTINGS
from trainings import quick_trainings

import tf_cyclegan as cg
from tf_cyclegan import evaluate
from tf_cyclegan.methods.cyclegan.settings import Config
from tf_cyclegan.training.run import Log, Run


@pytest.fixture(scope="module", autouse=True)
def quick():
    with quick_trainings():
        yield


@pytest.fixture(scope="module")
def config(image_folder, tmp_path_factory):
    """A run of 4 steps; the U-Net draws its dropout in every step."""
    folder = tmp_path_factory.mktemp("runs") / "measured"
    settings = TINY_SETTINGS | {"generator": "unet", "unet_levels": 2, "steps": 4}
    settings |= {"checkpoint_every": 2}
    return Config(dataset=str(image_folder), run_dir=str(folder), evaluate_every=2, **settings)


@pytest.fixture(scope="module")
def run_folder(config):
    return cg.train(config)


def test_the_numbers_are_those_of_evaluate(config, run_folder, tmp_path):
    lines = Run(run_folder).evaluations.lines()
    assert [line["step"] for line in lines] == [2, 4]

    # The run as it was at step 2, and at its end.
    early = dataclasses.replace(config, steps=2, run_dir=str(tmp_path / "early"), evaluate_every=0)
    for folder, line in ((cg.train(early), lines[0]), (run_folder, lines[1])):
        output = evaluate.evaluate(evaluate.Options(run=folder, output=tmp_path / "out"))
        directions = json.loads((output / "metrics.json").read_text())["directions"]
        expected = {"step": line["step"]}
        for direction, result in directions.items():
            for name in ("sliced_wasserstein", "total_variation"):
                for part, number in result["distribution"][name]["translated"].items():
                    expected[f"{direction}/distribution/{name}/{part}"] = number
            for name in ("l1", "psnr", "ssim"):
                expected[f"{direction}/paired/{name}"] = result["paired"][name]["translated"]
                expected[f"{direction}/cycle/{name}"] = result["cycle"][name]
        assert line == expected

    events = tf.data.TFRecordDataset([str(f) for f in (run_folder / "tensorboard").glob("events*")])
    tags = {v.tag for e in events for v in tf.compat.v1.Event.FromString(e.numpy()).summary.value}
    assert "evaluation/x_to_y/paired/l1" in tags


def test_measuring_changes_no_bit_and_resuming_repeats_no_line(config, run_folder, tmp_path):
    apart = dataclasses.replace(config, run_dir=str(tmp_path / "apart"), evaluate_every=0)
    folder = cg.train(apart)
    assert checkpoint_hash(folder) == checkpoint_hash(run_folder)
    assert not (folder / "evaluations.jsonl").exists()

    # Killed at step 8, after an evaluation that the checkpoint of step 4 knows nothing of.
    path = run_folder / "evaluations.jsonl"
    before = path.read_text()
    path.write_text(before + '{"step": 8, "x_to_y/paired/l1": 0.5}\n{"step": 9, "x_')
    cg.train(dataclasses.replace(config, steps=7, evaluate_every=3))
    lines = Log(path).lines()
    assert [line["step"] for line in lines] == [2, 4, 6, 7]
    assert path.read_text().startswith(before)
