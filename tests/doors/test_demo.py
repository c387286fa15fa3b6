"""The demo page in a browser, against what `translate` writes."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from browser import PHONE, chromium, open_page  # noqa: F401
from conftest import TINY_SETTINGS
from PIL import Image

from tf_cyclegan import demo, translate
from tf_cyclegan.methods.cyclegan.step import build_generator
from tf_cyclegan.settings import Config
from tf_cyclegan.translation import demo_page, uploads
from tf_cyclegan.translation.translator import export_run

MAX_SIDE = 200


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """What a run leaves, untrained."""
    folder = tmp_path_factory.mktemp("demo") / "mine"
    folder.mkdir()
    config = Config(dataset="cycle_gan/horse2zebra", run_dir=str(folder), **TINY_SETTINGS)
    (folder / "config.json").write_text(config.to_json())
    networks = {name: build_generator(config, seed) for seed, name in enumerate("gf")}
    checkpoint = tf.train.Checkpoint(generator_g=networks["g"], generator_f=networks["f"])
    tf.train.CheckpointManager(checkpoint, str(folder / "checkpoints"), 1).save()
    export_run(folder, folder / "saved_model")
    return folder


@pytest.fixture(scope="module")
def address(run_folder, tmp_path_factory):
    """The command, running; Ctrl-C ends it and leaves nothing."""
    pytest.importorskip("gradio")
    temporary = tmp_path_factory.mktemp("tmp")
    options = ["--model", run_folder, "--model", run_folder / "saved_model" / "y_to_x"]
    server = subprocess.Popen(
        [sys.executable, "-m", "tf_cyclegan.demo", *options, "--port=0", f"--max-side={MAX_SIDE}"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(temporary)},
    )
    try:
        lines = []
        for line in server.stderr:
            lines.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                break
        else:
            pytest.fail("".join(lines))
        yield found[0]
        server.send_signal(signal.SIGINT)
        _, rest = server.communicate(timeout=20)
        assert server.returncode == 0 and rest.endswith("closed the page\n")
        assert not list(temporary.rglob("*.png"))
    finally:
        server.kill()


class Page:
    """The demo page as a user sees it."""

    def __init__(self, page):
        self.page = page
        self.requests = []
        page.on("request", lambda request: self.requests.append(request.url))

    def upload(self, path):
        """Choose a file; returns what the page says of it."""
        self.page.set_input_files("#original input[type=file]", path)
        return self.told()

    def told(self):
        """What the page says next."""
        self.page.wait_for_function("document.querySelector('#told')?.innerText.trim()")
        return self.page.inner_text("#told").strip()

    def clear(self):
        """Take the picture away."""
        self.page.locator("#original").get_by_label("Clear").or_(
            self.page.locator("#original").get_by_label("Remove")
        ).first.click()
        self.page.wait_for_function("!document.querySelector('#told')?.innerText.trim()")

    def choose(self, label):
        """Click a radio button and wait for other pictures."""
        before = self.sources("cycled")
        self.page.get_by_label(label, exact=True).click()
        self.page.wait_for_function(
            "before => document.querySelector('#cycled img')?.src != before[0]", arg=before
        )

    def sources(self, id_):
        """The addresses of the pictures in a part of the page."""
        images = self.page.locator(f"#{id_} img")
        return [images.nth(i).get_attribute("src") for i in range(images.count())]

    def pictures(self, id_):
        """The pictures in a part of the page, uint8 `[H, W, 3]`."""
        contents = [self.page.request.get(source).body() for source in self.sources(id_)]
        return [np.asarray(Image.open(io.BytesIO(content))) for content in contents]


def by_command(command, model, picture, output, *options):
    """What the translate command makes of a picture."""
    options = ("--model", model, "--input", picture, "--output", output, *options)
    code, errors = command(translate.main, *options)
    assert code == 0, errors
    return output / picture.name


def photo(path, size=(60, 44), mode="RGB", **options):
    pixels = np.random.default_rng(0).integers(0, 256, [4, 4, 4], np.uint8)
    image = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR).convert(mode)
    image.save(path, **options)
    return path


def test_the_page_shows_what_translate_writes(
    address,
    run_folder,
    tmp_path,
    command,
    open_page,  # noqa: F811
):
    page = Page(open_page(address))
    picture = photo(tmp_path / "in.png")
    there = by_command(command, run_folder, picture, tmp_path / "y")
    back = by_command(command, run_folder, there, tmp_path / "x", "--direction=y_to_x")

    assert re.fullmatch(r"Translated in (\d+ ms|\d+\.\d s): 60x44 pixels\.", page.upload(picture))
    before, after = page.pictures("slider")
    np.testing.assert_array_equal(before, Image.open(picture))
    np.testing.assert_array_equal(after, Image.open(there))
    (cycled,) = page.pictures("cycled")
    np.testing.assert_array_equal(cycled, Image.open(back))

    page.choose("zebra → horse")
    other = by_command(command, run_folder, picture, tmp_path / "f", "--direction=y_to_x")
    np.testing.assert_array_equal(page.pictures("slider")[1], Image.open(other))
    assert not np.array_equal(Image.open(other), Image.open(there))

    page.choose("mine/y_to_x")
    np.testing.assert_array_equal(page.pictures("slider")[1], Image.open(other))
    assert page.pictures("cycled") == []  # a SavedModel has one direction
    assert not page.page.locator("#direction").is_visible()

    assert all(url.startswith((address, "data:", "blob:")) for url in page.requests), page.requests


def test_odd_and_wrong_uploads(address, tmp_path, open_page):  # noqa: F811
    page = Page(open_page(address, PHONE))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees
    turned = photo(tmp_path / "turned.jpg", exif=exif)
    assert "44x60 pixels" in page.upload(turned)
    page.clear()
    assert "60x44 pixels" in page.upload(photo(tmp_path / "cmyk.jpg", mode="CMYK"))
    page.clear()
    large = page.upload(photo(tmp_path / "large.jpg", (500, 300)))
    assert large.endswith("500x300 pixels scaled down to 200x120 (--max-side 200).")
    assert [picture.shape for picture in page.pictures("slider")] == [(120, 200, 3)] * 2
    page.clear()

    (tmp_path / "text.png").write_text("no picture")
    noise = np.random.default_rng(0).integers(0, 256, [200, 200, 3], np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.jpg")
    whole = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 2])
    Image.new("1", (12000, 12000)).save(tmp_path / "bomb.png")
    for name, reason in (
        ("text.png", "not an image"),
        ("half.jpg", "truncated"),
        ("bomb.png", "12000x12000 pixels are too many; at most 65,000,000 are taken"),
    ):
        told = page.upload(tmp_path / name)
        assert told.startswith("This cannot be translated") and reason in told, told
        assert page.sources("slider") == []
        page.clear()

    (tmp_path / "huge.png").write_bytes(bytes(uploads.MAX_BYTES + 1))
    page.page.set_input_files("#original input[type=file]", tmp_path / "huge.png")
    page.page.get_by_text("exceed the maximum allowed size of 32.0 Mb").first.wait_for()
    open_page.errors.clear()  # gradio tells the console of it
    assert "60x44 pixels" in page.upload(photo(tmp_path / "after.png"))


def test_a_request_cannot_name_a_file_of_this_machine(address, tmp_path):
    secret = str(photo(tmp_path / "secret.png"))
    config = json.loads(fetch(f"{address}/config"))
    file = {"path": secret, "meta": {"_type": "gradio.FileData"}}
    event = {
        "data": [file, "mine", "x_to_y"],
        "fn_index": config["dependencies"][-1]["id"],
        "session_hash": "test",
    }
    fetch(f"{address}/gradio_api/queue/join", json.dumps(event).encode())
    answer = fetch(f"{address}/gradio_api/queue/data?session_hash=test").decode()
    assert "Translated" not in answer and '"success":false' in answer
    with pytest.raises(urllib.error.HTTPError, match="403"):
        fetch(f"{address}/gradio_api/file={secret}")


def fetch(url, body=None):
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.read()


def test_what_stops_the_command(run_folder, tmp_path, command, monkeypatch):
    for name in ("GRADIO_ANALYTICS_ENABLED", "GRADIO_RUN_HISTORY", "GRADIO_TEMP_DIR"):
        monkeypatch.setenv(name, "")  # put back afterwards
    assert "give a model" in command(demo.main)[1]
    code, errors = command(demo.main, "--model", tmp_path / "none")
    assert code == 2 and "there is no SavedModel and no run folder" in errors
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, errors = command(demo.main, "--model", run_folder, "--port", port)
    assert code == 2 and f"port {port} of 127.0.0.1 (another program uses it)" in errors
    monkeypatch.setitem(sys.modules, "gradio", None)
    code, errors = command(demo.main, "--model", run_folder, "--port", 0)
    assert code == 2 and "pip install 'tf_cyclegan[demo]'" in errors


@pytest.mark.parametrize(
    ("dataset", "domains"),
    [
        ("cycle_gan/horse2zebra", ("horse", "zebra")),
        ("C:\\my\\cats2dogs.zip", ("cats", "dogs")),
        ("holidays/", ("X", "Y")),
        ("emoji", ("Noto", "Fluent 3D")),
        ("earth", ("Map", "Photograph")),
    ],
)
def test_names_of_domains(dataset, domains):
    assert demo_page._domains(dataset) == domains


def test_names_of_models():
    paths = [Path(p) for p in ("runs/a", "runs/b/saved_model/x_to_y", "one/c", "two/c")]
    assert demo_page.model_names(paths) == ["a", "b/x_to_y", "one/c", "two/c"]
