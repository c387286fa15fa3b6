import dataclasses
import json

import pytest
from conftest import SMALLEST_GENERATOR, TINY_SETTINGS
from trainings import quick_trainings

from tf_cyclegan import ablate
from tf_cyclegan.methods.cyclegan.settings import PRESETS, Config
from tf_cyclegan.training.run import Run

# The terms that each variant of the paper's section 5.1.4 is left with.
GAN = {"generator_g", "generator_f", "discriminator_x", "discriminator_y"}
TERMS = {
    "cycle_alone": {"cycle_x", "cycle_y"},
    "gan_alone": GAN,
    "gan_forward": GAN | {"cycle_x"},
    "gan_backward": GAN | {"cycle_y"},
    "cyclegan": GAN | {"cycle_x", "cycle_y"},
    "cyclegan_identity": GAN | {"cycle_x", "cycle_y", "identity_x", "identity_y"},
}


@pytest.fixture
def tiny_run(image_folder, tmp_path):
    """The folder of a run that has but begun, for its settings."""
    settings = TINY_SETTINGS | SMALLEST_GENERATOR | {"steps": 1}
    Run(tmp_path / "base").write_settings(Config(dataset=str(image_folder), **settings))
    return tmp_path / "base"


def test_variants_of_a_run_in_a_table_and_resumable(tiny_run, tmp_path, command):
    options = ("--run", tiny_run, "--filters", "3", "--output", tmp_path / "out", "--variants")
    with quick_trainings():
        code, errors = command(ablate.main, *options, "cycle_alone", "gan_alone", "--jobs", 2)
    assert code == 0, errors
    runs = {name: tmp_path / "out" / name for name in ("cycle_alone", "gan_alone")}
    trained = {name: (run / "config.json").stat().st_mtime_ns for name, run in runs.items()}

    # Again with one more: only that is trained.
    with quick_trainings():
        code, errors = command(ablate.main, *options, "gan_alone", "cyclegan")
    assert "WARNING" not in errors
    assert (tmp_path / "out" / "x_to_y.png").is_file() and "x_to_y.png" in errors
    assert Run(runs["gan_alone"]).read_settings().filters == 3
    assert code == 0 and "gan_alone is done" in errors and "cyclegan is done" not in errors
    assert trained == {name: (run / "config.json").stat().st_mtime_ns for name, run in runs.items()}

    lines = (tmp_path / "out" / "table.md").read_text().splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| not translated",
        "| one colour",
        "| gan_alone",
        "| cyclegan",
    ]
    metrics = json.loads((runs["gan_alone"] / "evaluation" / "metrics.json").read_text())
    cells = dict(zip(lines[0].split(" | "), lines[4].split(" | "), strict=True))
    expected = metrics["directions"]["y_to_x"]["paired"]["l1"]["translated"]
    assert float(cells["l1 y→x"]) == pytest.approx(expected, rel=1e-3)

    for name in ("cycle_alone", "gan_alone", "cyclegan"):
        logged = json.loads((tmp_path / "out" / name / "metrics.jsonl").read_text())
        assert set(logged) - {"step"} == TERMS[name]


def test_the_variants_differ_in_their_terms_alone(tmp_path):
    base = Config(**TINY_SETTINGS)
    assert list(ablate.VARIANTS) == list(TERMS)
    objective = {"run_dir", "lambda_adversarial", "lambda_cycle", "lambda_identity", "cycle_terms"}
    for name in TERMS:
        config = ablate.variant_config(base, name, tmp_path)
        before, after = (dataclasses.asdict(one) for one in (base, config))
        assert {key for key in before if before[key] != after[key]} <= objective
        assert config.run_folder == tmp_path / name


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_every_variant(preset, tmp_path):
    for name in TERMS:
        config = ablate.variant_config(PRESETS[preset], name, tmp_path)
        assert not config.copy_steps or config.lambda_cycle


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--variants gan_alone gan_alone", "each of"),
        ("--variants vae", "vae"),
        ("--dataset ./missing", "there is no folder or .zip"),
    ],
)
def test_mistakes(tmp_path, monkeypatch, command, options, words):
    monkeypatch.chdir(tmp_path)
    code, errors = command(ablate.main, *options.split())
    assert code == 2 and words in errors
