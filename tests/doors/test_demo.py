"""The demo page in a browser, against what `translate` writes."""

import contextlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from browser import PHONE, chromium, eventually, open_page  # noqa: F401
from conftest import TINY_SETTINGS, write_images
from PIL import Image
from trainings import quick_trainings

import tf_cyclegan as cg
from tests.load.clients import crowd_at_demo
from tf_cyclegan import demo, translate
from tf_cyclegan.training.run import Run
from tf_cyclegan.translation import demo_page, uploads
from tf_cyclegan.translation.translator import restore_translator, save_translator

MAX_SIDE = 200


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run of one step between horses and zebras, and one of its SavedModels."""
    root = tmp_path_factory.mktemp("demo")
    for domain in ("trainA", "trainB"):
        write_images(root / "horse2zebra" / domain, 2)
    settings = TINY_SETTINGS | {"steps": 1, "run_dir": str(root / "mine")}
    with quick_trainings():
        folder = cg.train(cg.Config(dataset=str(root / "horse2zebra"), **settings))
    generator, config = restore_translator(Run(folder), "y_to_x")
    save_translator(generator, config.size_multiple, folder / "saved_model" / "y_to_x")
    return folder


@contextlib.contextmanager
def running(*models, temporary, options=()):
    """The command as a process, and its page's address."""
    pytest.importorskip("gradio")
    models = [word for model in models for word in ("--model", model)]
    server = subprocess.Popen(
        [sys.executable, "-m", "tf_cyclegan.demo", *models, "--port=0", *options],
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
        yield server, found[0]
    finally:
        server.kill()
        server.communicate()


@pytest.fixture(scope="module")
def address(run_folder, tmp_path_factory):
    """The page of the command, running; Ctrl-C ends it and leaves nothing."""
    temporary = tmp_path_factory.mktemp("tmp")
    models = (run_folder, run_folder / "saved_model" / "y_to_x")
    options = [f"--max-side={MAX_SIDE}"]
    with running(*models, temporary=temporary, options=options) as (server, address):
        yield address
        server.send_signal(signal.SIGINT)
        _, rest = server.communicate(timeout=300)
        # Nothing that the tests sent is worth a word on the terminal.
        assert (server.returncode, rest) == (0, "closed the page\n")
        assert not list(temporary.rglob("*.png"))


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
        """Click a radio button."""
        self.page.get_by_label(label, exact=True).click()

    def sources(self, id_):
        """The addresses of the pictures in a part of the page."""
        return self.page.locator(f"#{id_} img").evaluate_all("images => images.map(i => i.src)")

    def shows(self, id_, *files):
        """Wait until the pictures in a part of the page are those of the files."""
        expected = [Image.open(file).convert("RGB").tobytes() for file in files]
        eventually(lambda: [image.tobytes() for image in self.pictures(id_)] == expected, True)

    def pictures(self, id_):
        """The pictures in a part of the page."""
        contents = [self.page.request.get(source).body() for source in self.sources(id_)]
        return [Image.open(io.BytesIO(content)).convert("RGB") for content in contents]


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
    page.shows("slider", picture, there)
    page.shows("cycled", back)

    page.choose("zebra → horse")
    other = by_command(command, run_folder, picture, tmp_path / "f", "--direction=y_to_x")
    page.shows("slider", picture, other)
    assert not np.array_equal(Image.open(other), Image.open(there))

    page.choose("mine/y_to_x")
    page.shows("cycled")  # nothing: a SavedModel has one direction
    page.shows("slider", picture, other)
    page.page.locator("#direction").wait_for(state="hidden")

    assert all(url.startswith((address, "data:", "blob:")) for url in page.requests), page.requests


def test_a_picture_of_the_data_to_click_on_is_as_one_uploaded(
    address,
    run_folder,
    tmp_path,
    open_page,  # noqa: F811
):
    page = Page(open_page(address))
    page.upload(photo(tmp_path / "in.png"))  # which the other takes the place of
    assert page.page.locator("#examples button").count() == 4
    page.page.get_by_label("example 3").click()
    page.page.wait_for_function("document.querySelector('#told').innerText.includes('40x40')")
    chosen = run_folder.parent / "horse2zebra" / "trainB" / "000.png"
    np.testing.assert_array_equal(page.pictures("slider")[0], Image.open(chosen))
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
    eventually(lambda: [picture.size for picture in page.pictures("slider")], [(200, 120)] * 2)
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
        ("bomb.png", "144,000,000 pixels, more than the 65,000,000"),
    ):
        told = page.upload(tmp_path / name)
        assert told.startswith("This cannot be translated") and reason in told, told
        page.shows("slider")  # nothing
        page.clear()

    (tmp_path / "huge.png").write_bytes(bytes(uploads.MAX_BYTES + 1))
    page.page.set_input_files("#original input[type=file]", tmp_path / "huge.png")
    page.page.get_by_text("exceed the maximum allowed size of 32.0 Mb").first.wait_for()
    open_page.errors.clear()  # gradio tells the console of it
    assert "60x44 pixels" in page.upload(photo(tmp_path / "after.png"))


def request(url, body=None, kind="application/json", **headers):
    """Status and body of a reply, whatever it is."""
    headers = {"Content-Type": kind} | {n.replace("_", "-"): v for n, v in headers.items()}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, body, headers), timeout=300
        ) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def event(session, *data, **more):
    return json.dumps({"data": data, "fn_index": 0, "session_hash": session} | more).encode()


def told(address, session):
    """What the page would say of what was sent for a session."""
    _, answer = request(f"{address}/gradio_api/queue/data?session_hash={session}")
    messages = [json.loads(line[6:]) for line in answer.decode().splitlines() if line]
    (done,) = [message for message in messages if message["msg"] == "process_completed"]
    return done["output"]["data"]


def form(content, name="a.png", field="files"):
    head = f'Content-Disposition: form-data; name="{field}"; filename="{name}"'
    return b"--x\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n--x--\r\n"


def upload(address, content, **headers):
    kind = "multipart/form-data; boundary=x"
    return request(f"{address}/gradio_api/upload", content, kind, **headers)


def test_a_request_cannot_name_a_file_of_this_machine(address, tmp_path):
    picture = photo(tmp_path / "secret.png")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    status, stored = upload(address, form(picture.read_bytes()))
    (own,) = json.loads(stored)
    assert status == 200
    answers = {}
    paths = [picture, tmp_path / "missing", tmp_path / "folder", tmp_path / "pipe", "/etc/shadow"]
    paths += ["/dev/zero", "", "..", f"{own}/../../../../secret.png", f"{own}x", own]
    for number, path in enumerate(map(str, paths)):
        for meta in ({}, {"meta": {"_type": "gradio.FileData"}}, {"url": f"file://{path}"}):
            session = f"s{number}{len(answers)}"
            sent = event(session, {"path": path} | meta, "mine", "x_to_y")
            assert request(f"{address}/gradio_api/queue/join", sent)[0] == 200
            answers.setdefault(path, []).append(json.dumps(told(address, session)))
        status, _ = request(f"{address}/gradio_api/file={urllib.parse.quote(path)}")
        assert status == (200 if path == own else 403), path
    assert all("Translated in" in answer for answer in answers.pop(own))
    (refusal,) = {answer for of_path in answers.values() for answer in of_path}
    assert "the picture is not there any more; choose it again" in refusal


def test_another_site_gets_nothing(address):
    port = address.rsplit(":", 1)[1]
    routes = ("/", "/config", "/theme.css", "/gradio_api/queue/data?session_hash=a", "/docs")
    for path in (*routes, "/gradio_api/file=/etc/passwd", "/gradio_api/heartbeat/a", "/nothing"):
        for headers in ({"Host": f"evil.example:{port}"}, {"Origin": "http://evil.example"}):
            status, body = request(address + path, **headers)
            assert (status, json.loads(body)["detail"]) == (
                403,
                "only pages of this server may ask",
            )
    for path, body in (("queue/join", event("a", None, "mine", "x_to_y")), ("upload", form(b""))):
        url = f"{address}/gradio_api/{path}"
        assert request(url, body, Origin="http://evil.example")[0] == 403
    assert request(address, Host=f"localhost:{port}", Origin=f"http://localhost:{port}")[0] == 200


def test_what_the_page_does_not_need_is_not_there(address):
    for path in (
        "docs",
        "redoc",
        "openapi.json",
        "login_check",
        "monitoring",
        "gradio_api/openapi.json",
        "gradio_api/deep_link?session_hash=a",
        "gradio_api/proxy=https://example.com",
        "gradio_api/dev/reload",
        "gradio_api/runs",
        "gradio_api/custom_component/a/client/b/c",
        "gradio_api/queue/status",
    ):
        assert request(f"{address}/{path}")[0] == 404, path
    for path in ("run/update", "call/update", "component_server", "reset", "cancel", "stream/a"):
        assert request(f"{address}/gradio_api/{path}", b"{}")[0] == 404, path
    # Files are not fetched from elsewhere, nor in ways that the server has no words for.
    assert request(f"{address}/gradio_api/file=http://127.0.0.1:1/x.png")[0] == 403
    assert request(f"{address}/?page=none&deep_link=x")[0] == 200
    assert request(f"{address}/gradio_api/queue/data?session_hash=none")[0] == 404


WRONG = [
    b"",
    b"5",
    b"[" * 60000,
    b"1" * 5000,
    b"\xff",
    b'{"data": []}',
    event("a", None, "mine"),
    event("a", "path", "mine", "x_to_y"),
    event("a", {"path": 5}, "mine", "x_to_y"),
    event("a", {"path": ["x"]}, "mine", "x_to_y"),
    event("a", None, ["mine"], "x_to_y"),
    event("a", None, "mine", {}),
    event("a" * 65, None, "mine", "x_to_y"),
    event("../a", None, "mine", "x_to_y"),
    event(5, None, "mine", "x_to_y"),
    event("a", None, "mine", "x_to_y", fn_index=1),
    event("a", None, "mine", "x_to_y", fn_index=[]),
    event("a", None, "mine", "x_to_y", trigger_id={}),
]


def test_what_no_page_sends_gets_a_refusal(address):
    join = f"{address}/gradio_api/queue/join"
    for body in WRONG:
        assert request(join, body)[0] == 400, body
    assert request(join, b" " * (64 * 2**10 + 1))[0] == 413
    assert request(join, b"{}", Content_Length="9" * 5000)[0] == 400  # not even HTTP
    # Names that the page does not have are as if it had been loaded anew.
    assert request(join, event("b", None, "none", "up"))[0] == 200
    assert told(address, "b")[1] is None
    two = form(b"x")[: -len(b"--x--\r\n")] + form(b"y")
    many = b"".join(form(b"", field=f"f{i}")[: -len(b"--x--\r\n")] for i in range(2000))
    for body in (b"", b"--x", form(b"x", field="other"), two, many, b"--x\r\n" + b"a" * 9000):
        status, reply = upload(address, body)
        assert (status, json.loads(reply)["detail"]) == (400, "this is no upload of a picture")
    assert request(f"{address}/gradio_api/upload", b"x", "multipart/form-data")[0] == 400
    assert request(f"{address}/gradio_api/upload", b"x", "text/plain")[0] == 400
    assert upload(address, form(bytes(uploads.MAX_BYTES + 1)))[0] == 413


def test_no_picture_of_a_crowd_is_lost(address):
    figures = crowd_at_demo(int(address.rsplit(":", 1)[1]), 20, 2)
    assert (figures.wrong, figures.let_in, figures.lost) == ([], [], 0)
    assert figures.answers > 0 and figures.attacks > 0


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
    assert code == 2 and "pip install 'gradio>=" in errors


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no terminals that hang up")
def test_a_terminal_that_is_closed_takes_the_uploads_along(run_folder, tmp_path):
    with running(run_folder, temporary=tmp_path) as (server, address):
        status, _ = upload(address, form(photo(tmp_path / "a.png").read_bytes()))
        (folder,) = tmp_path.glob("tf_cyclegan_demo_*")
        assert status == 200 and list(folder.rglob("picture.png"))
        server.send_signal(signal.SIGHUP)
        _, rest = server.communicate(timeout=300)
        assert (server.returncode, rest) == (128 + signal.SIGHUP, "")
        assert not folder.exists()


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
