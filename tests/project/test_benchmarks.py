"""The comparisons: what they count, how they take turns, and that each runs from end to end."""

import functools
import importlib
import json
import sys
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from benchmarks import (
    inference,
    input_pipeline,
    large_pictures,
    memory,
    peers,
    scaling,
    startup,
    train_step,
    translate,
    tuning_split,
    turns,
    tutorial,
)
from benchmarks.cases import case
from benchmarks.flops import network_flops, step_flops
from benchmarks.report import number
from tf_cyclegan.errors import UserError
from tf_cyclegan.methods.adversarial import build_discriminator, build_generator
from tools import scaling_table


def test_flops_of_convolutions():
    inputs = keras.Input([12, 10, 5])
    x = keras.layers.Conv2D(7, 3, strides=2, padding="same")(inputs)
    outputs = keras.layers.Conv2DTranspose(4, 4, strides=2, padding="same")(x)
    flops = network_flops(keras.Model(inputs, outputs), batch_size=2)
    first = 2 * 6 * 5 * (3 * 3 * 5 * 7) * 2  # every output pixel, a multiplication and an addition
    second = 2 * 6 * 5 * (4 * 4 * 7 * 4) * 2  # every input pixel of the transposed one
    assert (flops.forward, flops.first) == (first + second, first)
    assert flops.trained(of_image=True) == 3 * (first + second)
    assert flops.trained(of_image=False) == 2 * first + 3 * second


def test_flops_of_the_papers_step():
    config = case("resnet9_128")
    generator, discriminator = tutorial.generator(config), tutorial.discriminator(config)
    side = 128 * 128
    first = side * 7 * 7 * 3 * 64
    halvings = side // 4 * 9 * 64 * 128 + side // 16 * 9 * 128 * 256
    blocks = 18 * side // 16 * 9 * 256 * 256
    macs = first + 2 * halvings + blocks + first  # doubling costs what halving does
    g = network_flops(generator)
    assert g.forward == 2 * macs == pytest.approx(24.8e9, rel=2e-3)

    d_first = 64 * 64 * 16 * 3 * 64
    d_macs = d_first + 16 * (32 * 32 * 64 * 128 + 16 * 16 * 128 * 256 + 15 * 15 * 256 * 512)
    d_macs += 14 * 14 * 16 * 512
    d = network_flops(discriminator)
    assert d.forward == 2 * d_macs == pytest.approx(1.5e9, rel=1e-2)

    # 18 and 16 passes, less the gradients of real images, which nobody wants.
    wanted = 18 * g.forward - 4 * g.first + 16 * d.forward - 4 * d.first
    assert step_flops(config, generator, discriminator) == wanted


def test_flops_without_a_pool_and_identity():
    config = case("tiny_unet")
    generator, discriminator = tutorial.generator(config), tutorial.discriminator(config)
    g, d = network_flops(generator), network_flops(discriminator)
    # The generated image has been judged before: one pass less of each discriminator.
    wanted = 18 * g.forward - 4 * g.first + 14 * d.forward - 4 * d.first
    assert step_flops(config, generator, discriminator) == wanted


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_the_tutorials_networks_are_ours(network):
    config = case("tiny_unet")
    build = {"generator": build_generator, "discriminator": build_discriminator}[network]
    ours, theirs = build(config, seed=1), getattr(tutorial, network)(config)
    theirs.set_weights(ours.get_weights())
    images = np.random.default_rng(0).uniform(-1, 1, [2, 32, 32, 3]).astype(np.float32)
    np.testing.assert_allclose(ours(images), theirs(images), atol=1e-5)


@pytest.mark.parametrize("name", ["resnet9_128", "demo_64"])
def test_the_residual_networks_have_our_parameters(name):
    config = case(name)
    for build, plain in (
        (build_generator, tutorial.generator),
        (build_discriminator, tutorial.discriminator),
    ):
        assert build(config, seed=0).count_params() == plain(config).count_params()


def test_ratio():
    ratio = turns.Ratio.of([2.0, 6.0, 4.0], [1.0, 2.0, 1.0])
    assert (ratio.median, ratio.low, ratio.high) == (3.0, 2.0, 4.0)
    assert ratio.spread == pytest.approx(2 / 3)
    assert str(ratio) == "3.00 (2.00 to 4.00)"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0"),
        (3.6149, "3.61"),
        (0.26749, "0.267"),
        (123.45, "123"),
        (0.0123, "0.0123"),
    ],
)
def test_number(value, text):
    assert number(value) == text


def test_a_contender_lives_in_its_own_process():
    contender = turns.Contender("operator", "methodcaller", "bit_length")
    try:
        assert contender.work(8) < contender.setup_seconds + 10
        assert contender.result == 4
        contender.work(1)
        assert contender.result == 1
        assert contender.peak_bytes > 2**20  # Linux counts the process that it was forked from
    finally:
        contender.close()
    assert contender._process.returncode == 0


def test_a_contender_that_fails_says_why():
    with pytest.raises(RuntimeError, match="No module named 'no_such_module'"):
        turns.Contender("no_such_module", "function")


def test_turns_alternate(monkeypatch):
    order = []

    def start(name, seconds):
        def work(count=1):
            order.append((name, count))
            return seconds

        return SimpleNamespace(work=work, close=lambda: order.append((name, "closed")))

    makers = {"a": lambda: start("a", 0.3), "b": lambda: start("b", 2.0)}
    times = turns.take_turns(makers, rounds=2, seconds=1.0, what="a and b")
    assert times == {"a": [0.3, 0.3], "b": [2.0, 2.0]}
    # Warm-up and a first measurement each, then turns of a second at least, the order changing.
    assert order[:4] == [("a", 1), ("a", 1), ("b", 1), ("b", 1)]
    assert order[4:8] == [("a", 4), ("b", 1), ("b", 1), ("a", 4)]
    assert sorted(order[8:]) == [("a", "closed"), ("b", "closed")]


def test_torch_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="cannot be run"):
        turns.find_torch(str(tmp_path / "python"))
    without = tmp_path / "without"
    without.write_text("#!/bin/sh\nexit 1\n")
    without.chmod(0o755)
    with pytest.raises(UserError, match="cannot import torch"):
        turns.find_torch(str(without))


class InProcess:
    """A contender in the process of the tests, so that TensorFlow is imported once."""

    def __init__(self, module, function, *arguments, python=sys.executable):
        assert python == sys.executable
        arguments = json.loads(json.dumps(arguments))
        self._run = getattr(importlib.import_module(module), function)(*arguments)
        self.libraries_bytes, self.peak_bytes = 2**19, 2**20

    def work(self, count=1):
        start = time.perf_counter(), time.process_time()
        self.result = json.loads(json.dumps(self._run(count)))
        self.cpu_seconds = (time.process_time() - start[1]) / count
        return (time.perf_counter() - start[0]) / count

    def close(self):
        pass


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run a comparison without PyTorch; returns its JSON and the rows of its tables."""

    def run(module, *options, start=InProcess):
        for user in (module, train_step):
            monkeypatch.setattr(user, "Contender", start)
        monkeypatch.setattr(train_step, "BestOf", InProcess)
        monkeypatch.setattr("benchmarks.report.find_torch", lambda python: None)
        file = tmp_path / "results.json"
        module.main([*options, "--json", str(file)])
        rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows[:3]}) == 1
        return json.loads(file.read_text()), rows

    return run


def test_train_step(run):
    results, rows = run(train_step, "--cases", "tiny_unet", "--rounds", "2", "--seconds", "0.01")
    assert len(rows) == 3
    (result,) = results
    assert {"case", "ours_s", "tutorial_s", "pytorch_s", "roofline_s", "spread"} <= set(result)
    assert result["case"] == "tiny_unet"
    assert result["pytorch_s"] is None
    assert min(result["ours_s"], result["tutorial_s"], result["roofline_s"]) > 0
    assert result["spread"] >= 0
    assert set(result["ratios"]) == {"tutorial", "roofline"}
    assert all(len(seconds) == 2 for seconds in result["rounds"].values())
    config = case("tiny_unet")
    flops = step_flops(config, tutorial.generator(config), tutorial.discriminator(config))
    assert result["step_gflop"] == flops / 1e9


def test_memory(run, monkeypatch):
    class Contender(InProcess):
        def __init__(self, libraries_bytes, peak_bytes):
            super().__init__("operator", "methodcaller", "bit_length")
            self.libraries_bytes, self.peak_bytes = libraries_bytes, peak_bytes

    makers = {
        "ours": functools.partial(Contender, 6e8, 1.8e9),
        "tutorial": functools.partial(Contender, 6e8, 2.4e9),
        "pytorch": functools.partial(Contender, 2e8, 1.7e9),
    }
    monkeypatch.setattr(memory, "contenders", lambda name, setting: makers)
    results, rows = run(memory, "--cases", "tiny_unet")
    assert results[0]["ours_bytes"] == 1.8e9
    assert results[0]["libraries_bytes"] == {"ours": 6e8, "tutorial": 6e8, "pytorch": 2e8}
    assert results[0]["ratios"]["tutorial"]["median"] == 0.75
    assert results[0]["ratios_without_libraries"]["pytorch"]["median"] == 0.8
    assert "1.80 (0.6)" in rows[2] and "106%" in rows[2] and "80%" in rows[2]


def test_inference(run):
    network = [
        "--rounds",
        "1",
        "--batch-sizes",
        "1",
        "2",
        "--size",
        "16",
        "--blocks",
        "1",
        "--filters",
        "2",
    ]
    results, _ = run(inference, *network, "--seconds", "0.01")
    assert [result["batch_size"] for result in results] == [1, 2]
    assert all(result["saved_model_images_s"] > 0 for result in results)


def test_translate(run):
    options = ["--count", "2", "--mixed", "2", "--rounds", "1", "--blocks", "1", "--filters", "2"]
    results, rows = run(translate, *options)
    assert [result["folder"] for result in results] == ["256x256", "mixed"]
    assert results[0]["megapixels"] == 2 * 256**2 / 1e6
    assert all(result["seconds"]["ours"] > 0 for result in results)
    assert len(rows) == 4


def test_large_pictures(tmp_path, capsys):
    options = ["--side", "160", "--tile", "96", "--blocks", "1", "--filters", "2"]
    large_pictures.main(["tiles", *options, "--json", str(tmp_path / "results.json")])
    (result,) = json.loads((tmp_path / "results.json").read_text())
    names = [row["statistics"] for row in result["differences"]]
    assert names == ["thumbnail", "each tile"]
    assert all(row["mean"] > 0 for row in result["differences"])
    assert capsys.readouterr().out.count("\n|") == 4


class Mean:
    """A method whose step is traced in no time."""

    def __init__(self, config, total_steps):
        pass

    def train_step(self, real_x, real_y):
        return {"mean": tf.reduce_mean(real_x + real_y)}


def test_input_pipeline(run, monkeypatch):
    monkeypatch.setattr("tf_cyclegan.data.scaled.CACHE_BYTES", 2**20)  # put back at the end
    monkeypatch.setattr("benchmarks.ours.CycleGAN", Mean)
    options = ["--cases", "tiny_resnet", "--images", "3", "--rounds", "2", "--seconds", "0.01"]
    results, _ = run(input_pipeline, *options)
    assert [result.get("files") or result["case"] for result in results] == [
        "jpg",
        "png",
        "tiny_resnet",
    ]
    assert results[0]["decoding_images_s_core"] > 0
    assert 0 <= results[2]["waiting"] <= 1


def test_startup(run, monkeypatch):
    monkeypatch.setattr(startup, "COMMANDS", {"nothing": ["-c", ""]})
    monkeypatch.setattr(startup, "ours", lambda case_name, data: 1.0)  # test_first_step_of_ours
    results, rows = run(startup, "--cases", "tiny_unet", "--images", "2", "--rounds", "1")
    assert results[0]["case"] == "tiny_unet"
    assert results[0]["tutorial_s"] > 0
    assert results[1]["command"] == "nothing"
    assert len(rows) == 6


def test_first_step_of_ours(image_folder):
    assert 1 < startup.ours("tiny_unet", image_folder) < 300


def test_scaling(run):
    def start(_module, _function, case_name, batch_size, replicas, folder):
        assert batch_size % replicas == 0
        assert len(list(Path(folder, "trainA").iterdir())) >= batch_size
        return InProcess("operator", "methodcaller", "bit_length")

    options = ["--case", "tiny_unet", "--batch-sizes", "2", "4", "--rounds", "3", "--seconds", "1"]
    results, _ = run(scaling, *options, start=start)
    assert [(result["batch_size"], result["replicas"]) for result in results] == [(2, 2), (4, 2)]
    assert all(result["several_s"] > 0 for result in results)


def test_no_such_case():
    with pytest.raises(UserError, match="there is no case huge; there are resnet9_128"):
        train_step.main(["--cases", "huge"])


def test_the_tables_of_the_scaling_page_are_up_to_date(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["scaling_table.py", "--check"])
    with pytest.raises(SystemExit) as ended:
        scaling_table.main()
    assert ended.value.code == 0


def test_pictures_to_tune_on_are_no_test_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr(tuning_split, "HELD_OUT", 2)
    folders = {
        "embedded": {"trainA": "abcde", "trainB": "fghij", "testA": "xy", "testB": "xy"},
        "pairs": {"trainA": "abcdefghij", "trainB": "abcdefghij", "testA": "xy", "testB": "xy"},
    }
    for name, splits in folders.items():
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            for split, letters in splits.items():
                for letter in letters:
                    archive.writestr(f"{split}/{letter}.png", f"{split[-1]} {letter}")
    written = tmp_path / "tuning.zip"
    tuning_split.write_split(tmp_path / "embedded.zip", tmp_path / "pairs.zip", written)
    with zipfile.ZipFile(written) as archive:
        found = {}
        for path in archive.namelist():
            split, name = path.split("/")
            assert archive.read(path).decode() == f"{split[-1]} {name[0]}"
            found.setdefault(split, set()).add(name[0])
    assert found["testA"] == found["testB"] and len(found["testA"]) == 4
    assert found["trainA"] | found["trainB"] | found["testA"] == set("abcdefghij")
    assert not (found["trainA"] | found["trainB"]) & found["testA"]
    assert len(found["trainA"]) == len(found["trainB"]) == 3


def test_what_pytorch_translated_is_judged_by_its_pairs(tmp_path):
    rng, archive = np.random.default_rng(0), tmp_path / "data.zip"
    truth = {name: rng.integers(0, 256, [32, 32, 3], np.uint8) for name in "cab"}
    translated = tmp_path / "cyclegan" / "seed_0" / "x_to_y"
    translated.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as written:
        for name, pixels in truth.items():
            Image.fromarray(pixels).save(translated / f"{name}.png")
            written.writestr(f"testB/{name}.png", (translated / f"{name}.png").read_bytes())
    numbers = peers.judged(translated.parent, archive)
    assert numbers.pop("sliced wasserstein x→y") > 0  # of patches from other places
    assert numbers == pytest.approx({"l1 x→y": 0, "ssim x→y": 1, "total variation x→y": 1})
    Image.fromarray(truth["b"]).save(translated / "a.png")
    off = np.abs(truth["a"].astype(float) - truth["b"]).mean() / 127.5 / 3
    assert peers.judged(translated.parent, archive)["l1 x→y"] == pytest.approx(off)
    (translated.parent / "run.json").write_text('{"steps": 7, "minutes": 0.5}')
    row = peers.row_of("cyclegan", [translated.parent], archive)
    assert (row.steps, row.minutes, row.cell("l1 y→x")) == (7, [0.5], "-")
