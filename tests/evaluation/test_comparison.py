"""Entries, numbers, tables and pages of a comparison; and commands in processes of their own."""

import dataclasses
import json
import os
import re
import shutil
import signal
import statistics
import threading
from pathlib import Path

import keras
import numpy as np
import pytest
from checkpoints import checkpoint_hash
from conftest import SMALLEST_GENERATOR, TINY_SETTINGS
from PIL import Image
from trainings import finish, quick_trainings, start

import tf_cyclegan as cg
from tf_cyclegan import compare
from tf_cyclegan.errors import UserError
from tf_cyclegan.evaluation import comparison
from tf_cyclegan.evaluation.baselines import judge_baselines, median_colour
from tf_cyclegan.evaluation.comparison import Row, data_direction
from tf_cyclegan.evaluation.entries import parse_entries
from tf_cyclegan.evaluation.processes import run_commands
from tf_cyclegan.evaluation.run_comparison import check_same_test_images
from tf_cyclegan.evaluation.translations import ImageSet
from tf_cyclegan.methods.cyclegan.settings import PRESETS, Config
from tf_cyclegan.training.run import Run

OWN = ("steps", "seed")
TINY = {**TINY_SETTINGS, **SMALLEST_GENERATOR, "steps": 2, "checkpoint_every": 2}

ENDLESS = {**SMALLEST_GENERATOR, "steps": 10**6, "checkpoint_every": 10**6}


def entry(name, **settings):
    """An entry as small as the tests' other runs."""
    several = {name: value for name, value in (TINY | settings).items() if name not in compare.OWN}
    return f"{name}=cyclegan:" + ",".join(f"{key}={value}" for key, value in several.items())


def test_a_run_is_what_entries_start_from():
    run = Config(dataset="earth", image_size=32, filters=5, learning_rate=1e-3, run_dir="runs/r")
    names = ["cyclegan", "none=cyclegan:lambda_identity=0", "simgan", "cyclegan/paper"]
    ours, none, simgan, paper = parse_entries(names, {"filters": 6}, OWN, run).values()
    assert ours == dataclasses.replace(run, filters=6, run_dir=None)
    assert none == dataclasses.replace(ours, lambda_identity=0.0)
    assert (simgan.dataset, simgan.filters, simgan.learning_rate) == ("earth", 6, 1e-3)
    # A preset that is named has its own settings, but for the data.
    assert (paper.dataset, paper.image_size, paper.generator) == ("earth", 32, "resnet9")
    assert paper.learning_rate == 2e-4


def test_entries_are_methods_presets_and_variants():
    entries = parse_entries(
        [
            "cyclegan",
            "cyclegan/paper:image-size=64,load_size=64",
            "few=cyclegan:filters=8,mirror=False",
        ],
        {"batch_size": 3, "image_size": 64},
        OWN,
    )
    assert list(entries) == ["cyclegan", "cyclegan_paper_image-size=64_load_size=64", "few"]
    demo, paper, few = entries.values()
    assert demo == dataclasses.replace(PRESETS["demo"], batch_size=3)
    assert paper == dataclasses.replace(PRESETS["paper"], batch_size=3, image_size=64, load_size=64)
    assert few == dataclasses.replace(demo, filters=8, mirror=False)
    # An entry's own value goes before that of all.
    one = parse_entries(["cyclegan:batch_size=5"], {"batch_size": 3}, OWN)
    assert next(iter(one.values())).batch_size == 5
    named = parse_entries(["a=cyclegan:unet_levels=None,lambda_cycle=3,image_size=32x64"], {}, OWN)[
        "a"
    ]
    assert (named.unet_levels, named.lambda_cycle, named.image_size) == (None, 3.0, "32x64")


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (["cyclegn"], "there is no method cyclegn; there are cyclegan"),
        (["cyclegan/demos"], "has no preset demos"),
        (["cyclegan:colour=1"], "cyclegan has no setting --colour"),
        (["cyclegan:filters=many"], "--entries cyclegan:filters=many: --filters is 'many'"),
        (["cyclegan:filters"], "filters is no setting=value"),
        (["cyclegan:steps=3"], "steps=3 cannot be of one entry alone"),
        (["cyclegan", "cyclegan"], "cyclegan twice"),
        (["cyclegan", "cyclegan/paper"], "image shape of cyclegan is (64, 64)"),
        (["cycle gan"], "an entry is METHOD"),
        ([], "nothing to compare"),
    ],
)
def test_entries_that_cannot_be_compared(entries, words):
    with pytest.raises(UserError, match=re.escape(words)):
        parse_entries(entries, {}, OWN)


def test_a_cell_is_mean_and_sample_deviation():
    numbers = [{"l1 x→y": 0.25}, {"l1 x→y": 0.5}, {"l1 x→y": 0.3}]
    row = Row("one", numbers, 500, [2.0, 2.1, 2.2])
    deviation = statistics.stdev([0.25, 0.5, 0.3])
    assert row.cell("l1 x→y") == f"0.3500 ± {deviation:.2g}"
    assert Row("one", numbers[:1]).cell("l1 x→y") == "0.2500"
    assert row.cell("ssim x→y") == "-"
    cells = comparison.cells_of([Row("none", numbers[:1]), row], {"l1 x→y": "L1 x→y"}, "method")
    assert cells == [
        ["method", "L1 x→y", "steps", "minutes"],
        ["none", "0.2500", "-", "-"],
        ["one", f"0.3500 ± {deviation:.2g}", "500", "2.10 ± 0.1"],
    ]
    assert comparison.markdown(cells).splitlines()[1:3] == [
        "|---|---|---|---|",
        "| none | 0.2500 | - | - |",
    ]


def test_the_direction_of_a_method_that_goes_back_is_that_of_the_data():
    @dataclasses.dataclass(frozen=True)
    class Back(Config):
        @property
        def domains(self):
            return "B", "A"

    assert data_direction(Config(), "x_to_y") == "x_to_y"
    assert data_direction(Back(), "x_to_y") == "y_to_x"


def test_the_one_colour_is_the_median_of_the_training_images(image_folder):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, [7, 5, 4, 3], np.uint8)
    expected = np.sort(images.reshape(-1, 3), axis=0)[(7 * 5 * 4 - 1) // 2]
    np.testing.assert_array_equal(median_colour(images), expected)

    config = Config(dataset=str(image_folder), **TINY)
    test = {}
    for split in ("testA", "testB", "trainB"):
        files = sorted((image_folder / split).iterdir())
        test[split] = np.stack(
            [np.asarray(Image.open(f).resize((32, 32), Image.Resampling.NEAREST)) for f in files]
        )
    sets = [ImageSet(["0", "1"], test[split]) for split in ("testA", "testB")]
    results = judge_baselines(config, *sets)
    colour = np.sort(test["trainB"].reshape(-1, 3), axis=0)[(7 * 32 * 32 - 1) // 2]
    truth = test["testB"].astype(float)
    l1 = results["one colour"]["x_to_y"]["paired"]["l1"]["translated"]
    assert l1 == pytest.approx(np.abs(truth - colour).mean() / 127.5, rel=1e-5)
    untranslated = results["not translated"]["x_to_y"]["paired"]["l1"]["translated"]
    assert untranslated == pytest.approx(np.abs(truth - test["testA"]).mean() / 127.5, rel=1e-5)


@pytest.fixture(scope="module")
def compared(image_folder, tmp_path_factory):
    """Two entries compared in this process; the folder, and the options."""
    folder = tmp_path_factory.mktemp("comparison") / "out"
    options = ["--dataset", str(image_folder), "--steps", "2", "--output", str(folder)]
    options += ["--seed", "4", "--entries", entry("whole"), entry("alone", lambda_adversarial=0)]
    with quick_trainings():
        compare.main([*options, "--seeds", "1", "--jobs", "2"])
    return folder, options


def test_a_comparison_is_a_table_a_page_and_runs(compared, image_folder, tmp_path):
    folder, _ = compared
    told = json.loads((folder / "table.json").read_text())
    assert list(told["rows"]) == ["not translated", "one colour", "whole", "alone"]
    row = told["rows"]["alone"]
    metrics = json.loads((folder / "alone" / "seed_4" / "evaluation" / "metrics.json").read_text())
    l1 = metrics["directions"]["y_to_x"]["paired"]["l1"]["translated"]
    assert row["numbers"][0]["l1 y→x"] == row["mean"]["l1 y→x"] == l1
    assert (row["steps"], row["seeds"], row["method"]) == (2, [4], "cyclegan")
    (line,) = Run(folder / "alone" / "seed_4").times.lines()
    assert line["step"] == 2 and line["steps"] == 1  # the first, which traces, does not count
    assert row["minutes"] == [pytest.approx(2 * line["processor_seconds"] / 60)]

    heading, _, *lines = (folder / "table.md").read_text().splitlines()
    cells = dict(zip(heading.split(" | "), lines[3].split(" | "), strict=True))
    assert float(cells["L1 y→x"]) == pytest.approx(l1, abs=1e-4)

    page = (folder / "index.html").read_text()
    sources = re.findall(r'(?:src|href)="(.{0,11})', page)
    assert set(sources) == {"data:image/"} and len(sources) == 2 * 2 * 4
    columns = re.findall(r"<th scope=col>([^<]*)</th>", page.split("<section>")[1])
    assert columns == ["x", "whole", "alone", "true y"]
    assert Image.open(folder / "x_to_y.png").width > 4 * 128


def test_the_bits_are_those_of_the_run_alone(image_folder, tmp_path):
    options = ["--dataset", str(image_folder), "--steps", "2", "--output", str(tmp_path / "out")]
    compare.main([*options, "--entries", entry("tiny", lambda_identity=0), "--seeds", "1"])
    assert (tmp_path / "out" / "index.html").is_file()
    run = Run(tmp_path / "out" / "tiny" / "seed_0")
    alone = dataclasses.replace(run.read_settings(), run_dir=str(tmp_path / "alone"))
    finish([start([alone], dtype="float32")])
    assert checkpoint_hash(alone.run_folder) == checkpoint_hash(run.folder)


def test_data_sets_of_other_test_images_are_refused(image_folder, tmp_path):
    config = Config(dataset=str(image_folder), **TINY)
    same, other = tmp_path / "same", tmp_path / "other"
    for folder in (same, other):
        shutil.copytree(image_folder, folder)
    shutil.copy(other / "testA" / "001.png", other / "testA" / "000.png")
    (same / "trainA" / "000.png").unlink()  # of the training images nothing is said
    entries = {"one": config, "two": dataclasses.replace(config, dataset=str(same))}
    check_same_test_images(entries)
    with pytest.raises(UserError, match="one and three have different test images"):
        check_same_test_images(entries | {"three": dataclasses.replace(config, dataset=str(other))})


def test_what_is_done_is_not_done_again(compared, command):
    folder, options = compared[0], list(compared[1])
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("ckpt-*")}
    table = (folder / "table.md").read_text()
    code, errors = command(compare.main, *options, "--seeds", "1")
    assert code == 0 and "whole is done" in errors and "alone is done" in errors
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("ckpt-*")} == before
    assert (folder / "table.md").read_text() == table
    options[-1] = entry("alone", lambda_adversarial=0, filters=3)
    code, errors = command(compare.main, *options, "--seeds", "1")
    assert code == 2 and "--filters (was 2, now 3)" in errors


def test_features_of_a_network_are_judged_by_too(compared, tmp_path, command):
    _, options = compared
    folder = tmp_path / "out"
    shutil.copytree(compared[0], folder)
    options = [*options, "--seeds", "1"]
    options[options.index("--output") + 1] = str(folder)
    code, errors = command(compare.main, *options, "--judge-features", tmp_path / "missing.keras")
    assert code == 2 and "missing.keras" in errors
    keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(2, 3, kernel_initializer="orthogonal")]
    ).save(tmp_path / "network.keras")
    for judged in (True, False):  # what is judged by them is not judged again
        with quick_trainings():
            code, errors = command(
                compare.main, *options, "--judge-features", tmp_path / "network.keras"
            )
        assert code == 0 and ("alone is done" in errors) != judged, errors
    told = json.loads((folder / "table.json").read_text())["rows"]
    assert all("kid y→x" in row["mean"] for row in told.values())
    assert told["not translated"]["mean"]["kid y→x"] != told["one colour"]["mean"]["kid y→x"]
    assert "KID y→x" in (folder / "table.md").read_text()


def test_minutes_become_steps_once(compared, tmp_path, monkeypatch):
    _, options = compared
    entries = parse_entries(options[-2:], {"dataset": options[1]}, compare.OWN)
    measured = []

    def measure(commands, _jobs):
        for name in commands:
            measured.append(name)
            folder = tmp_path / name.removeprefix("speed of ") / "speed"
            Run(folder).times.add([{"step": 21, "steps": 20, "processor_seconds": 10}])

    monkeypatch.setattr(comparison, "run_commands", measure)
    for _ in range(2):
        steps = comparison.steps_in_minutes(entries, tmp_path, 1.5, 1)
        assert steps == {"whole": 180, "alone": 180}  # 90 seconds of half a second each
    assert measured == ["speed of whole", "speed of alone"]
    assert not (tmp_path / "whole" / "speed").exists()
    assert comparison.steps_in_minutes(entries, tmp_path, 3, 1)["whole"] == 360


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--entries cyclegan", "the same --steps, or the same --minutes"),
        ("--entries cyclegan --steps 1 --minutes 1", "the same --steps, or the same --minutes"),
        ("--entries cyclegan --steps 1 --seeds 0", "--seeds is 0; it must be above 0"),
        ("--entries cyclegan --minutes nan", "--minutes is nan"),
        ("--entries cyclegan --steps 1 --search-steps 3", "no entry has a setting --search-steps"),
        ("--entries cyclegan --steps 1 --dataset ./missing", "there is no folder or .zip"),
    ],
)
def test_mistakes(options, words, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    code, errors = command(compare.main, *options.split())
    assert code == 2 and words in errors and "Traceback" not in errors


def test_a_commands_error_is_told_and_the_others_are_stopped(tiny_config):
    config = dataclasses.replace(tiny_config, **ENDLESS)
    run = Run(config.run_folder)
    run.write_settings(config)
    commands = {
        "long": [["train", "--run-dir", str(run)]],
        "wrong": [["export", "--run", "missing"]],
    }
    with pytest.raises(UserError, match="wrong: there is no folder of a run missing"):
        run_commands(commands, 2)
    with run.held():  # nobody is at work there any more
        pass


def test_a_signal_stops_what_is_at_work_after_a_checkpoint(tiny_config):
    config = dataclasses.replace(tiny_config, **ENDLESS)
    run = Run(config.run_folder)
    run.write_settings(config)

    ended = threading.Event()

    def interrupt():
        while not ended.wait(0.05):
            if run.metrics.path.exists() and len(run.metrics.lines()) > 2:
                os.kill(os.getpid(), signal.SIGINT)
                return

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run_commands({"long": [["train", "--run-dir", str(run)]]}, 1)
    finally:
        ended.set()
        thread.join()
    assert run.trained().step > 2


def test_commands_find_this_package_wherever_it_was_found(monkeypatch):
    """In a notebook of a checkout only its own sys.path leads to it."""
    monkeypatch.setenv("PYTHONPATH", "others")
    monkeypatch.setenv("FORCE_COLOR", "1")  # as Jupyter does; it would draw live bars into a pipe
    started = []

    def start(arguments, env, **_):
        started.append(env["PYTHONPATH"].split(os.pathsep))
        assert "FORCE_COLOR" not in env
        raise FileNotFoundError

    monkeypatch.setattr("subprocess.Popen", start)
    with pytest.raises(FileNotFoundError):
        run_commands({"one": [["export"]]}, 1)
    assert started == [[str(Path(cg.__file__).parents[1]), "others"]]
