"""What a run goes on with: images that came or moved, and a learning rate that had fallen to 0."""

import dataclasses
import shutil
from pathlib import Path

import pytest
import tensorflow as tf
from conftest import TINY_SETTINGS, write_images
from trainings import quick_trainings

import tf_cyclegan as cg
from tf_cyclegan.errors import UserError
from tf_cyclegan.training.run import Run


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    """A run of two steps on three images of each domain, its rate falling to 0."""
    root = tmp_path_factory.mktemp("short")
    for split in ("trainA", "trainB"):
        write_images(root / "data" / split, 3)
    settings = TINY_SETTINGS | {"steps": 2, "decay_start": 0.5}
    config = cg.Config(dataset=str(root / "data"), run_dir=str(root / "run"), **settings)
    with quick_trainings():
        cg.train(config)
    return root, config


@pytest.fixture
def own_run(short_run, tmp_path):
    """A copy of it, to change."""
    root, config = short_run
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    paths = {"dataset": str(tmp_path / "data"), "run_dir": str(tmp_path / "run")}
    config = dataclasses.replace(config, **paths)
    Run(config.run_folder).write_settings(config)
    with quick_trainings():
        yield config


def test_with_one_more_image_a_run_goes_on_and_says_what_is_lost(own_run, capsys):
    write_images(Path(own_run.dataset) / "trainB", 4)
    cg.train(own_run)
    told = capsys.readouterr().err
    assert "(3 in trainB, now 4): it goes on with these, in another order from here" in told
    assert Run(own_run.run_folder).read_data_facts()["trainB"] == 4


def test_what_counts_of_data_is_what_they_hold(own_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert own_run.has_data_of(dataclasses.replace(own_run, dataset="run/../data"))
    Path("data").rename("elsewhere")
    cg.train(dataclasses.replace(own_run, dataset="elsewhere"))
    assert Run(own_run.run_folder).read_settings().dataset == "elsewhere"
    shutil.copytree("elsewhere", "other")
    Path("other/trainA/000.png").rename("other/trainA/another.png")
    with pytest.raises(UserError, match=r"other holds other images \(other names in trainA\)"):
        cg.train(dataclasses.replace(own_run, dataset="other"))


def test_a_run_whose_rate_has_fallen_is_lengthened(own_run, capsys):
    def weights():
        reader = tf.train.load_checkpoint(Run(own_run.run_folder).trained().prefix)
        names = sorted(reader.get_variable_to_shape_map())
        return [reader.get_tensor(name) for name in names if name.startswith("generator_g/")]

    before = weights()
    with pytest.raises(UserError, match=r"--steps \(was 2, now 9\).* lengthen it .* --more-epochs"):
        cg.train(dataclasses.replace(own_run, steps=9))
    cg.train(own_run, more_epochs=1)
    assert "goes on to step 5; from here its learning rate is that" in capsys.readouterr().err
    longer = Run(own_run.run_folder).read_settings()
    assert (longer.steps, Run(own_run.run_folder).trained().step) == (5, 5)
    assert all((old != new).any() for old, new in zip(before, weights(), strict=True))
    # The same command, typed again after Ctrl-C on the way, does not lengthen it once more.
    Run(own_run.run_folder).write_settings(longer := dataclasses.replace(longer, steps=8))
    with pytest.raises(UserError, match="is at step 5 of 8: go on without it"):
        cg.train(longer, more_epochs=1)
