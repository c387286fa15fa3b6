"""The evaluation of a run and of a SavedModel, from the command to the page."""

import json
import re
import shutil
from html.parser import HTMLParser

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import SMALLEST_GENERATOR, TINY_SETTINGS, write_images
from PIL import Image
from trainings import quick_trainings

import tf_cyclegan as cg
from tf_cyclegan import evaluate
from tf_cyclegan.data.pairs import NO_PAIR
from tf_cyclegan.errors import NotMeasurable
from tf_cyclegan.evaluation.judge import judge
from tf_cyclegan.evaluation.page import evaluation_page
from tf_cyclegan.evaluation.translations import Translations
from tf_cyclegan.methods.cyclegan.settings import Config
from tf_cyclegan.translation.translator import save_translator


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Training images, 4 test images of X and 5 of Y, of which 3 have one name."""
    root = tmp_path_factory.mktemp("data")
    write_images(root / "trainA", 2, seed=1)
    write_images(root / "trainB", 2, seed=2)
    write_images(root / "testA", 4, seed=3)
    write_images(root / "testB", 5, seed=4, size=(40, 40))
    (root / "testA" / "003.png").rename(root / "testA" / "<i>.png")
    (root / "testB" / "000.png").rename(root / "testB" / "000.jpg")
    return root


@pytest.fixture(scope="module")
def run_folder(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    settings = TINY_SETTINGS | SMALLEST_GENERATOR | {"steps": 2}
    with quick_trainings():
        return cg.train(Config(dataset=str(data), run_dir=str(folder), **settings))


@pytest.fixture(scope="module")
def unchanging(tmp_path_factory):
    """A SavedModel that returns what it gets."""
    images = keras.Input([None, None, 3])
    path = tmp_path_factory.mktemp("saved") / "unchanging"
    save_translator(keras.Model(images, keras.layers.Identity()(images)), 1, path)
    return path


class Page(HTMLParser):
    """The images and everything else that a page refers to."""

    def __init__(self, text):
        super().__init__()
        self.images, self.loads, self.tags = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        if tag == "img":
            self.images.append(attrs["src"])
        self.loads += [attrs[name] for name in ("src", "href", "srcset", "data") if name in attrs]


def picture(path):
    return np.asarray(Image.open(path).convert("RGB"))


def scaled(path):
    image = Image.open(path).convert("RGB")
    return np.asarray(image.resize((32, 32), Image.Resampling.NEAREST)).astype(np.float64)


def l1(image, other):
    return np.abs(image - other.astype(np.float64)).mean() / 127.5


def test_a_run(run_folder, data, command):
    code, errors = command(evaluate.main, "--run", run_folder)
    assert code == 0, errors
    folder = run_folder / "evaluation"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["step"] == 2 and metrics["image_size"] == [32, 32]
    result = metrics["directions"]["x_to_y"]
    assert result["images"] == {"real": 4, "target": 5, "pairs": 3}
    assert [p["name"] for p in result["pictures"]] == ["000", "001", "002", "<i>"]

    # The pictures are those of the translator, and the numbers those of the pictures.
    translate = cg.load_translator(run_folder, "x_to_y")
    names = {"000": ".jpg", "001": ".png", "002": ".png"}
    expected, untranslated = [], []
    for name, suffix in names.items():
        written, original = (
            picture(folder / "x_to_y" / f"{name}.png"),
            scaled(data / "testA" / f"{name}.png"),
        )
        difference = np.abs(translate(original.astype(np.uint8)[None])[0].astype(int) - written)
        assert difference.max() <= 1
        truth = scaled(data / "testB" / f"{name}{suffix}")
        expected.append(l1(written, truth))
        untranslated.append(l1(original, truth))
    l1s = result["paired"]["l1"]
    assert l1s["translated"] == pytest.approx(np.mean(expected), rel=1e-5)
    assert l1s["untranslated"] == pytest.approx(np.mean(untranslated), rel=1e-5)
    cycled = [
        l1(
            picture(folder / "x_to_y_cycled" / f"{name}.png"),
            scaled(data / "testA" / f"{name}.png"),
        )
        for name in (*names, "<i>")
    ]
    assert result["cycle"]["l1"] == pytest.approx(np.mean(cycled), rel=1e-5)
    assert [p["cycle_l1"] for p in result["pictures"]] == pytest.approx(cycled, rel=1e-5)
    assert "l1" not in result["pictures"][3] and "ms_ssim" not in result["pictures"][0]
    assert result["paired"]["ms_ssim"]["translated"] is None
    assert "at least 161 pixels" in result["not_measured"]["paired.ms_ssim.translated"]
    assert set(result["distribution"]["sliced_wasserstein"]) == {"translated", "untranslated"}

    text = (folder / "index.html").read_text()
    page = Page(text)
    # Per picture real, translated, cycled, and the truth of three; both ways; the losses.
    assert len(page.images) == 4 * 3 + 3 + 5 * 3 + 3 + 2
    assert all(re.match(r"data:image/(webp|png);base64,[\w+/=]{50,}$", src) for src in page.images)
    assert page.loads == page.images and "link" not in page.tags
    assert (
        "http:" not in text and "https:" not in text and "url(" not in text and "fetch(" not in text
    )
    assert "&lt;i&gt;" in text and "<i>" not in text

    # The same again replaces it; the same weights give the same numbers.
    (folder / "x_to_y" / "old.png").write_text("")
    code, _ = command(evaluate.main, "--run", run_folder, "--direction", "x_to_y")
    again = json.loads((folder / "metrics.json").read_text())
    assert code == 0 and list(again["directions"]) == ["x_to_y"]
    assert again["directions"]["x_to_y"] == result
    assert not (folder / "x_to_y" / "old.png").exists()


def test_a_run_on_training_images_and_other_data(run_folder, tmp_path, command):
    for split in ("trainA", "trainB"):
        write_images(tmp_path / "other" / split, 1)
    output = ("--output", tmp_path / "out", "--pairs", "none")
    code, errors = command(
        evaluate.main, "--run", run_folder, "--dataset", tmp_path / "other", *output
    )
    assert code == 0 and "has no testA: judging on the training images of x" in errors
    result = json.loads((tmp_path / "out" / "metrics.json").read_text())["directions"]["y_to_x"]
    assert "paired" not in result and "no image" in result["not_measured"]["paired"]
    # One image is no set.
    assert result["distribution"]["sliced_wasserstein"]["translated"] is None
    assert "at least 2" in result["not_measured"]["distribution.sliced_wasserstein.translated"]


def label_maps(folder, wrong=False):
    """Two label maps, half red and half blue; `wrong`: a quarter of each is blue for red."""
    folder.mkdir(parents=True)
    for i in range(2):
        labels = np.zeros([16, 16, 3], np.uint8)
        labels[:8], labels[8:] = (255, 0, 0), (0, 0, 255)
        if wrong:
            labels[:8, :8] = (10, 0, 240)
        Image.fromarray(labels).save(folder / f"{i}.png")


def test_a_saved_model_and_label_maps(unchanging, tmp_path, command):
    label_maps(tmp_path / "photos", wrong=True)
    label_maps(tmp_path / "labels")
    (tmp_path / "palette.json").write_text('{"red": [255, 0, 0], "blue": [0, 0, 255]}')
    options = ("--model", unchanging, "--output", tmp_path / "out")
    options += ("--palette", tmp_path / "palette.json")
    folders = ("--input", tmp_path / "photos", "--target", tmp_path / "labels", "--labels", "y")
    code, errors = command(evaluate.main, *options, *folders)
    assert code == 0, errors
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    result = metrics["directions"]["x_to_y"]
    # Of red half is right, of blue all; IoU 1/2 and 2/3.
    assert result["segmentation"]["labels"]["translated"] == pytest.approx(
        {"pixel_accuracy": 0.75, "class_accuracy": 0.75, "class_iou": (1 / 2 + 2 / 3) / 2}
    )
    assert "cycle" not in result and not (tmp_path / "out" / "x_to_y_cycled").exists()
    assert len(Page((tmp_path / "out" / "index.html").read_text()).images) == 2 * 3

    class Segmenter(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)])
        def segment(self, images):
            return {"labels": tf.argmax(images[..., ::2], axis=-1)}

    module = Segmenter()
    tf.saved_model.save(module, str(tmp_path / "segmenter"), {"serving_default": module.segment})
    folders = ("--input", tmp_path / "labels", "--target", tmp_path / "photos", "--labels", "x")
    segmenter = ("--segmenter", tmp_path / "segmenter")
    code, errors = command(evaluate.main, *options, *folders, *segmenter)
    assert code == 0, errors
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    score = metrics["directions"]["x_to_y"]["segmentation"]["fcn_score"]
    assert score["translated"]["pixel_accuracy"] == 1  # the label maps themselves
    assert score["true"]["pixel_accuracy"] == 0.75


def test_unreadable_images_are_left_out_of_sets_of_one_size(unchanging, tmp_path, command):
    for name in ("in", "target"):
        write_images(tmp_path / name, 2)
        write_images(tmp_path / name / "large", 1, size=(60, 40))
        (tmp_path / name / "broken.png").write_text("no picture")
    options = ("--model", unchanging, "--input", tmp_path / "in", "--target", tmp_path / "target")
    options += ("--output", tmp_path / "out", "--max-pixels", 1600)
    code, errors = command(evaluate.main, *options)
    assert code == 2 and "broken.png cannot be read (not an image: " in errors
    code, errors = command(evaluate.main, *options, "--skip-unreadable")
    assert code == 0, errors
    assert len(list((tmp_path / "out" / "x_to_y").glob("*.png"))) == 2


def test_infinite_is_not_a_number(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, [3, 16, 16, 3], np.uint8)
    same = Translations(["a", "b", "c"], images, images, images, np.arange(3), images)
    result = judge(same, {})
    assert result["paired"]["psnr"] == {"translated": None, "untranslated": None}
    assert result["cycle"]["psnr"] is None and result["cycle"]["l1"] == 0
    assert "3 pictures are identical" in result["not_measured"]["cycle.psnr"]
    json.dumps(result, allow_nan=False)


def test_metrics_of_others_are_called_with_real_and_translated(tmp_path):
    real, translated, target = (np.full([2, 16, 16, 3], shade, np.uint8) for shade in (0, 1, 2))
    translations = Translations(["a", "b"], real, translated, target, np.full(2, NO_PAIR))

    def first_pixels(real, translated):
        return {"fid": float(real.flat[0]), "other": float(translated.flat[0])}

    def needs_more(real, translated):
        raise NotMeasurable("needs 50 images, these are 2")

    result = judge(translations, {"fid": first_pixels, "kid": needs_more})
    assert result["distribution"]["fid"] == {
        "translated": {"fid": 2, "other": 1},
        "untranslated": {"fid": 2, "other": 0},
    }
    text = evaluation_page({"model": "m"}, {"x_to_y": result}, {"x_to_y": translations})
    assert "needs 50 images" in text and ">FID ↓<" in text and ">FID, other ↓<" in text


def test_a_large_set_shows_both_ends(monkeypatch):
    monkeypatch.setattr("tf_cyclegan.evaluation.page.PAGE_BYTES", 40_000)
    real = np.random.default_rng(0).integers(0, 256, [30, 16, 16, 3], np.uint8)
    names = [f"{i:02}" for i in range(30)]
    noise = np.arange(30, dtype=np.uint8)[:, None, None, None]
    translations = Translations(names, real, real // 2, real // 2 + noise, np.arange(30))
    result = judge(translations, {})
    text = evaluation_page({"model": "m"}, {"x_to_y": result}, {"x_to_y": translations})
    shown = re.findall(r'data-name="(\d+)"', text)
    assert shown[:4] == ["00", "29", "01", "28"] and 2 < len(shown) < 30
    assert f"the best and the worst {len(shown)} of 30 pictures" in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("", "give either --run, or --model with --input and --target"),
        ("--run {run} --model {model}", "give either --run, or --model"),
        ("--model {model} --input {data}/testA", "--model needs --input and --target"),
        ("--run {run} --image-size 64", "--image-size does not go with --run"),
        ("--model {model} --input {data} --target {data} --dataset emoji", "does not go with"),
        ("--run {data}", "{data} is not the folder of a run"),
        ("--run {run} --dataset {data}/missing", "there is no folder or .zip"),
        ("--run {run} --output {data}", "{data} exists and is no evaluation"),
        ("--run {run} --segmenter {model}", "--segmenter needs --labels"),
        ("--run {run} --labels y --palette missing", "cannot read the palette missing"),
        ("--run {run} --dataset {bad} --output {bad}/out", "testA/001.png (not an image: "),
        (
            "--model {model} --input {bad}/testA --target {data}/testB",
            "testA/001.png cannot be read",
        ),
        ("--model {model} --input {bad}/trainA --target {data}/testB", "have different sizes"),
        ("--model {model} --input {bad}/none --target {data}/testB", "there is no folder"),
        ("--run {run} --pairs order", "--pairs order needs as many images"),
    ],
)
def test_mistakes(run_folder, unchanging, data, tmp_path, command, monkeypatch, options, words):
    bad = tmp_path / "bad"
    shutil.copytree(data, bad)
    (bad / "testA" / "001.png").write_text("no image")
    write_images(bad / "trainA", 1, size=(20, 30), suffix=".jpg")
    monkeypatch.chdir(tmp_path)
    places = {"run": run_folder, "model": unchanging, "data": data, "bad": bad}
    code, errors = command(evaluate.main, *options.format(**places).split())
    assert code == 2 and "Traceback" not in errors
    assert words.format(**places) in re.sub(r"\s+", " ", errors)


def test_distances_of_features_are_measured_on_any_network(run_folder, tmp_path, command):
    images = keras.Input([None, None, 3])
    x = keras.layers.Conv2D(2, 3)(images)
    extractor = keras.Model(images, keras.layers.GlobalAveragePooling2D()(x))
    extractor.save(tmp_path / "extractor.keras")
    options = ("--run", run_folder, "--output", tmp_path / "out")
    code, errors = command(evaluate.main, *options, "--features", tmp_path / "extractor.keras")
    assert code == 0, errors
    result = json.loads((tmp_path / "out" / "metrics.json").read_text())["directions"]["x_to_y"]
    for column in ("translated", "untranslated"):
        assert result["distribution"]["fid"][column]["fid"] > 0
        assert set(result["distribution"]["kid"][column]) == {"mean", "std"}
        assert 0 <= result["distribution"]["precision_recall"][column]["recall"] <= 1

    code, errors = command(evaluate.main, *options, "--features", tmp_path / "missing.keras")
    assert code == 2 and "there is no feature extractor" in errors
