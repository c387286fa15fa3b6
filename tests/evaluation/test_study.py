"""The perceptual study: in a browser, over HTTP, and its arithmetic."""

import contextlib
import http.client
import io
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from browser import PATIENCE, PHONE, chromium, open_page  # noqa: F401
from PIL import Image
from scipy import stats

from tests.load.clients import crowd_at_study
from tf_cyclegan import study
from tf_cyclegan.evaluation.perceptual_study import OutOfTurn, Protocol, Study, read_lines
from tf_cyclegan.evaluation.study_results import bootstrap_interval, study_results
from tf_cyclegan.evaluation.study_server import open_server

RED, BLUE = (220, 30, 30), (30, 30, 220)


def one_colour(folder, colour, count=6, size=(48, 32), suffix=".png"):
    folder.mkdir(parents=True)
    for i in range(count):
        Image.new("RGB", size, colour).save(folder / f"{i}{suffix}")
    return folder


@pytest.fixture
def folders(tmp_path):
    """Real images, red JPEGs, and generated ones, blue PNGs."""
    one_colour(tmp_path / "photos", RED, suffix=".jpg")
    one_colour(tmp_path / "model", BLUE)
    return tmp_path


@pytest.fixture
def start(folders):
    """Start the command on the folders; gives the process and the URL."""
    processes = []

    def start(*options):
        command = [sys.executable, "-m", "tf_cyclegan.study", "--real", folders / "photos"]
        command += ["--fake", folders / "model", "--output", folders / "study", *options]
        process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        processes.append(process)
        for line in process.stderr:
            url = re.search(r"http://\S+/", line)
            if url:
                return process, url[0]
        raise AssertionError("no URL")

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def stop(process):
    """Ctrl-C: returns what was printed."""
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    return output


def answers(folder):
    return [line for line in read_lines(folder / "study") if line["event"] == "answer"]


def wait_for_answers(folder, count):
    deadline = time.monotonic() + PATIENCE
    while len(answers(folder)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


# The colour of each image and whether it is on the screen.
LOOK = """() => [...document.querySelectorAll(".side img")].map(image => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  canvas.getContext("2d").drawImage(image, 10, 10, 1, 1, 0, 0, 1, 1);
  const [red, green, blue] = canvas.getContext("2d").getImageData(0, 0, 1, 1).data;
  return {
    real: red > blue,
    visible: getComputedStyle(image).visibility === "visible",
    size: [image.naturalWidth, image.naturalHeight],
  };
})"""
# When pairs came and went, by the browser's own clock, and how they looked while they were there. A
# key pressed in between must do nothing.
WATCH = """() => {
  const pair = document.querySelector(".pair");
  window.times = [];
  window.looks = [];
  new MutationObserver(() => {
    const shown = pair.classList.contains("showing");
    if (shown === (times.length % 2 === 1)) return;
    times.push(performance.now());
    if (shown) {
      looks.push((LOOK)());
      document.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
    }
  }).observe(pair, { attributes: true });
}""".replace("LOOK", LOOK)


def see_pair(page):
    """Wait until the next pair has come and gone; returns the side of the real image."""
    page.wait_for_selector(".pair.asking")
    left, right = page.evaluate("looks.at(-1)")
    assert left["visible"] and right["visible"]
    assert left["real"] != right["real"] and left["size"] == right["size"]
    assert not any(side["visible"] for side in page.evaluate(LOOK))
    return "left" if left["real"] else "right"


def test_a_whole_study_in_a_browser(start, folders, open_page):  # noqa: F811
    process, url = start("--practice", 2, "--trials", 3, "--seconds", 0.3, "--port", 0)
    page = open_page(url)
    responses = []
    page.on("response", lambda response: responses.append(response))
    page.evaluate(WATCH)
    page.wait_for_selector("text=The first 2 pairs are practice")
    page.get_by_role("button", name="Start").press("Enter")

    fooled = [False, True, True, False, True]
    other = {"left": "right", "right": "left"}
    for place, wrong in enumerate(fooled):
        if place == 2:
            page.wait_for_selector("text=That was practice")
            page.keyboard.press("Enter")
        real_side = see_pair(page)
        assert len(answers(folders)) == place
        chosen = other[real_side] if wrong else real_side
        if place % 2:
            page.keyboard.press(f"Arrow{chosen.title()}")
        else:
            page.click(f'[data-side="{chosen}"]')
        if place < 2:
            words = page.inner_text(".wrong" if wrong else ".right")
            assert real_side in words if wrong else words.startswith("Right")
            assert len(answers(folders)) == place + 1
            page.keyboard.press("Enter")
        else:
            wait_for_answers(folders, place + 1)
            assert page.locator(".right, .wrong").count() == 0
        # On disk as soon as it is answered.
        line = answers(folders)[place]
        assert line["real_side"] == real_side and line["chosen"] == chosen
        assert line["fooled"] == wrong and line["practice"] == (place < 2)
        assert (folders / "photos" / line["real"]).is_file()
        assert (folders / "model" / line["fake"]).is_file()
    page.wait_for_selector("text=Thank you")

    times = page.evaluate("times")
    shown = np.subtract(times[1::2], times[::2])
    recorded = np.array([line["shown_ms"] for line in answers(folders)])
    # From the first frame to the last; a busy machine draws the first late.
    assert len(shown) == 5 and (recorded > 280).all() and (recorded < shown + 20).all()

    # Nothing that the browser gets tells which one is real.
    images = [r for r in responses if "/image/" in r.url]
    assert len(images) == 2 * 5
    assert len({(r.headers["content-type"], r.headers["content-length"]) for r in images}) == 1
    assert {re.sub(r"\d+/", "", r.url.removeprefix(url)) for r in images} == {
        "image/left",
        "image/right",
    }
    told = [r.json() for r in responses if r.request.method == "POST"]
    facts = {"place", "practice", "trials", "seconds", "height", "width"}
    assert [set(one) - facts for one in told] == [set(), {"right"}, {"right"}, set(), set(), set()]

    page.click("text=Next participant")
    page.get_by_role("button", name="Start").wait_for()
    assert "| model | 66.7% |" in stop(process)
    results = json.loads((folders / "study" / "results.json").read_text())
    assert results["models"]["model"]["trials"] == 3
    assert results["models"]["model"]["participants"] == 1


def test_on_a_phone_nothing_is_lost(start, folders, open_page):  # noqa: F811
    options = ("--practice", 0, "--trials", 4, "--seconds", 0.1)
    process, url = start(*options, "--port", 0)
    page = open_page(url, PHONE)
    page.evaluate(WATCH)
    page.get_by_role("button", name="Start").tap()
    for _ in range(2):
        page.tap(f'[data-side="{see_pair(page)}"]')
    see_pair(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

    # Killed in the middle of a line; the page waits for the study to go on.
    process.kill()
    process.wait()
    with (folders / "study" / "answers.jsonl").open("a") as file:
        file.write('{"event": "answer", "partic')
    page.tap('[data-side="left"]')
    page.wait_for_selector("text=Your answer could not be stored")
    assert len(answers(folders)) == 2
    port = url.rstrip("/").rsplit(":", 1)[1]
    process, _ = start(*options, "--port", port)
    page.tap("text=Try again")
    wait_for_answers(folders, 3)
    assert [line["place"] for line in answers(folders)] == [0, 1, 2]
    assert all("ERR_CONNECTION_REFUSED" in error for error in open_page.errors)
    open_page.errors.clear()

    page.reload()
    page.evaluate(WATCH)
    page.wait_for_selector("text=3 of 4 pairs are answered")
    page.tap("text=Go on")
    page.tap(f'[data-side="{see_pair(page)}"]')
    page.wait_for_selector("text=Thank you")
    lines = read_lines(folders / "study")
    assert [line["event"] for line in lines] == ["begin"] + ["answer"] * 4
    assert len({line["participant"] for line in lines}) == 1
    stop(process)


@pytest.fixture
def make_study(tmp_path):
    def make_study(models=("one",), images=6, seed=0, output="study", **protocol):
        settings = {"real": "/r", "image_size": (32, 48), "practice": 1, "trials": 3, "seconds": 1}
        names = [f"{i}.png" for i in range(images)]
        return Study(
            tmp_path / output,
            Protocol(**settings | protocol),
            {name: f"/{name}" for name in models},
            names,
            dict.fromkeys(models, names),
            seed,
        )

    return make_study


@pytest.fixture
def ask(make_study):
    """A request to a study's server: returns the status, the headers and the body."""
    a_study = make_study()
    server = open_server(a_study, lambda model, name: Image.new("RGB", (48, 32)), 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def ask(method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=PATIENCE)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers = {"Content-Type": "application/json"} | headers
        content = json.dumps(body) if body is not None else None
        connection.request(method, path, content, headers)
        response = connection.getresponse()
        result = response.status, response.headers, response.read()
        connection.close()
        return result

    ask.study, ask.port = a_study, server.server_port
    yield ask
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_server_gives_away_nothing(ask):
    assert ask("GET", "/image/0/left")[0] == 404  # without a session
    status, headers, _ = ask("POST", "/begin", {})
    assert status == 200 and "HttpOnly; SameSite=Strict" in headers["Set-Cookie"]
    cookie = {"Cookie": headers["Set-Cookie"].split(";")[0]}

    # An image is served in its turn and when it is next.
    assert [ask("GET", f"/image/{i}/left", **cookie)[0] for i in range(4)] == [200, 200, 404, 404]
    for path in ("/image/../study.json", "/../setup.cfg", "/study.json", "/image/0/up", "/x"):
        assert ask("GET", path, **cookie)[0] == 404

    # Another site, also one that has its name point to this machine, gets nothing.
    assert ask("GET", "/session", Host="evil.example", **cookie)[0] == 403
    assert ask("POST", "/begin", {}, Origin="http://evil.example")[0] == 403
    assert ask("POST", "/begin", {}, Content_Type="text/plain")[0] == 415
    assert ask("POST", "/begin", "x" * 4095)[0] == 413
    assert ask("GET", "/session", Host=f"localhost:{ask.port}", **cookie)[0] == 200
    assert ask("GET", "/session", Cookie="participant=guessed; ;=")[0] == 200

    answer = {"place": 0, "chosen": "left", "shown_ms": 1000, "answer_ms": 5}
    for wrong in ({"chosen": "up"}, {"place": "0"}, {"shown_ms": -1}, {"shown_ms": float("nan")}):
        assert ask("POST", "/answer", answer | wrong, **cookie)[0] == 400
    assert ask("POST", "/answer", [], **cookie)[0] == 400
    assert ask("POST", "/answer", answer)[0] == 403
    status, _, body = ask("POST", "/answer", answer, **cookie)
    assert status == 200 and "right" in json.loads(body)
    # Sent twice, it is stored once.
    status, _, body = ask("POST", "/answer", answer, **cookie)
    assert status == 409 and json.loads(body)["place"] == 1
    status, _, body = ask("POST", "/answer", answer | {"place": 1}, **cookie)
    assert status == 200 and "right" not in json.loads(body)
    assert len([x for x in read_lines(ask.study.folder) if x["event"] == "answer"]) == 2


def send(port, *parts):
    """What a server says to raw bytes until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        said = b""
        for part in parts:
            connection.sendall(part)
        with contextlib.suppress(ConnectionError):
            while received := connection.recv(65536):
                said += received
    return said


@pytest.mark.parametrize(
    ("lengths", "body", "status"),
    [
        (["9" * 5000], b"", 413),
        (["1" + "0" * 14], b"", 413),
        (["-1"], b"", 413),
        (["2_0"], b"", 413),
        (["2", "2"], b"{}", 413),
        ([], b"", 413),
        (["LENGTH"], b"[" * 4000, 400),
        (["LENGTH"], b"[" * 2000 + b"]" * 2000, 400),
        (
            ["LENGTH"],
            b'{"place":0,"chosen":"left","shown_ms":1%s,"answer_ms":1}' % (b"0" * 400),
            400,
        ),
        (
            ["LENGTH"],
            b'{"place":1%s,"chosen":"left","shown_ms":1,"answer_ms":1}' % (b"0" * 400),
            403,
        ),
        (["LENGTH"], b'{"place":true,"chosen":"left","shown_ms":1,"answer_ms":1}', 400),
        (["LENGTH"], b'{"place":0,"chosen":"left","shown_ms":"1","answer_ms":1}', 400),
        (["LENGTH"], b'{"place":0,"chosen":"left","shown_ms":1e999,"answer_ms":1}', 400),
        (["LENGTH"], b'{"place":0,"chosen":["left"],"shown_ms":1,"answer_ms":1}', 400),
        (["LENGTH"], b"\xff\xfe", 400),
        (["LENGTH"], b"", 400),
    ],
)
def test_what_no_page_sends_gets_a_refusal(ask, capfd, lengths, body, status):
    head = f"POST /answer HTTP/1.1\r\nHost: 127.0.0.1:{ask.port}\r\nConnection: close\r\n"
    head += "Content-Type: application/json\r\n"
    for length in lengths:
        head += f"Content-Length: {len(body) if length == 'LENGTH' else length}\r\n"
    said = send(ask.port, head.encode() + b"\r\n" + body)
    assert said.startswith(b"HTTP/1.1 %d " % status), said
    assert capfd.readouterr().err == ""


def test_requests_that_are_none_leave_no_trace(ask, capfd):
    for content in (b"\0" * 100 + b"\r\n", b"GET\r\n\r\n", b"GET / HTTP/9999999999999.1\r\n\r\n"):
        send(ask.port, content)
    said = send(ask.port, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n")
    assert b" 431 " in said
    two_hosts = b"Host: 127.0.0.1\r\nHost: evil.example\r\n"
    said = send(ask.port, b"GET /session HTTP/1.1\r\n" + two_hosts + b"\r\n")
    assert b" 403 " in said
    chunked = b"Host: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
    said = send(ask.port, b"POST /begin HTTP/1.1\r\n" + chunked + b"\r\n2\r\n{}\r\n0\r\n\r\n")
    assert b" 413 " in said
    assert ask("GET", "/session")[0] == 200
    assert capfd.readouterr().err == ""


def test_clients_that_dawdle_are_cut(ask, monkeypatch):
    monkeypatch.setattr("tf_cyclegan.evaluation.study_server.REQUEST_SECONDS", 0.5)
    beginnings = (
        b"",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        b"POST /begin HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{",
        b"GET /session HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",  # and never another request
    )
    for beginning in beginnings:
        send(ask.port, beginning)  # raises where the server does not close


def test_connections_beyond_the_most_are_told_so(make_study, monkeypatch):
    monkeypatch.setattr("tf_cyclegan.evaluation.study_server.MOST_CONNECTIONS", 2)
    with open_server(make_study(), lambda *_: None, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with contextlib.ExitStack() as stack:
            for _ in range(2):
                address = ("127.0.0.1", server.server_port)
                stack.enter_context(socket.create_connection(address, timeout=PATIENCE))
            assert send(server.server_port).startswith(b"HTTP/1.1 503 ")
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=PATIENCE)
        for _ in range(100):  # until the two are found closed
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection.request("GET", "/session")
                if connection.getresponse().status == 200:
                    break
            connection.close()
            time.sleep(0.05)
        else:
            pytest.fail("no connection is taken any more")
        connection.close()
        server.shutdown()
        thread.join()


def test_all_who_begin_at_once_are_heard(ask):
    """The system keeps connections until they are accepted; a queue of 5 turned most of 100 away."""
    server_side = 128
    gate = threading.Barrier(server_side)

    def begin(_):
        gate.wait()
        return ask("POST", "/begin", {})[0]

    with ThreadPoolExecutor(server_side) as threads:
        assert set(threads.map(begin, range(server_side))) == {200}
    begun = [line["number"] for line in read_lines(ask.study.folder)]
    assert begun == list(range(server_side))


def test_a_study_takes_so_many_participants(ask, monkeypatch):
    monkeypatch.setattr("tf_cyclegan.evaluation.perceptual_study.MOST_PARTICIPANTS", 2)
    assert [ask("POST", "/begin", {})[0] for _ in range(3)] == [200, 200, 503]


def test_a_full_disk_leaves_the_answers_as_they_were(ask, monkeypatch):
    resource = pytest.importorskip("resource")
    _, headers, _ = ask("POST", "/begin", {})
    cookie = {"Cookie": headers["Set-Cookie"].split(";")[0]}
    path = ask.study.folder / "answers.jsonl"
    before = path.read_bytes()
    answer = {"place": 0, "chosen": "left", "shown_ms": 1000, "answer_ms": 5}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    said = []  # and not written: what is captured is a file, too
    monkeypatch.setattr("tf_cyclegan.evaluation.study_server.log", said.append)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
    try:
        status, _, body = ask("POST", "/answer", answer, **cookie)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    (told,) = said
    assert str(path) in told
    assert status == 500 and b"could not be stored" in body
    assert path.read_bytes() == before
    assert ask("POST", "/answer", answer, **cookie)[0] == 200
    assert [line["event"] for line in read_lines(ask.study.folder)] == ["begin", "answer"]


def test_an_answer_that_is_not_on_the_disk_is_no_answer(ask, monkeypatch):
    _, headers, _ = ask("POST", "/begin", {})
    cookie = {"Cookie": headers["Set-Cookie"].split(";")[0]}
    path = ask.study.folder / "answers.jsonl"
    before = path.read_bytes()

    def refuse(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fsync", refuse)
    answer = {"place": 0, "chosen": "left", "shown_ms": 1000, "answer_ms": 5}
    assert ask("POST", "/answer", answer, **cookie)[0] == 500
    assert path.read_bytes() == before


def test_no_answer_of_a_crowd_is_lost(start, folders):
    process, url = start("--port", 0)
    port = int(url.rstrip("/").rsplit(":", 1)[1])
    figures = crowd_at_study(port, 20, 2, lambda: read_lines(folders / "study"))
    assert (figures.wrong, figures.let_in, figures.lost) == ([], [], 0)
    assert figures.answers > 0 and figures.attacks > 0
    stop(process)


def test_two_studies_do_not_share_a_folder(start, folders):
    process, _ = start("--port", 0)
    command = [sys.executable, "-m", "tf_cyclegan.study", "--real", folders / "photos", "--port=0"]
    command += ["--fake", folders / "model", "--output", folders / "study"]
    second = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120)
    assert second.returncode == 2 and "Traceback" not in second.stderr
    assert f"process {process.pid}" in second.stderr and "another --output" in second.stderr
    process.kill()
    process.wait()
    stop(start("--port", 0)[0])


ANSWER = '{"event": "answer", "participant": "p", "model": "m", "practice": false, "fooled": true}'
DAMAGE = [
    ("answers.jsonl", "123"),
    ("answers.jsonl", "{}"),
    ("answers.jsonl", "[" * 100000),
    ("answers.jsonl", '{"event": "end"}'),
    ("answers.jsonl", '{"event": ["begin"]}'),
    ("answers.jsonl", '{"event": "answer", "participant": "p", "model": "m"}'),
    ("answers.jsonl", ANSWER.replace("true", "1")),
    ("answers.jsonl", '{"event":"begin","participant":"p","number":0,"model":"m","trials":[5]}'),
    ("answers.jsonl", "\udcff"),
    ("answers.jsonl", "{" + "1" * 5000),
    ("study.json", "5"),
    ("study.json", "\udcff"),
    ("study.json", '{"real": 1'),
    ("study.json", "{}"),
    ("study.json", '{"image_size": [32]}'),
    ("study.json", '{"models": []}'),
    ("study.json", '{"practice": true}'),
]


@pytest.mark.parametrize(("name", "content"), DAMAGE)
@pytest.mark.parametrize("going_on", [False, True])
def test_damaged_files_are_told_in_a_sentence(make_study, command, name, content, going_on):
    folder = make_study().folder
    path = folder / name
    if name == "study.json" and ":" in content:
        with contextlib.suppress(ValueError):
            content = json.dumps(json.loads(path.read_text()) | json.loads(content))
    else:
        content += "\n"
    line = f"{ANSWER}\n" if name == "answers.jsonl" else ""
    path.write_bytes((line + content.rstrip("\n") + "\n").encode(errors="surrogateescape"))
    if going_on:
        with pytest.raises(study.UserError) as told:
            make_study()
        errors = str(told.value)
    else:
        code, errors = command(study.main, "--results", "--output", folder)
        assert code == 2
    assert str(path) in errors and "\n" not in errors.strip()
    assert "line 2 of" in errors or name == "study.json"


def test_participants_and_pairs(make_study, tmp_path):
    first = make_study(models=("a", "b", "c"), practice=2, trials=10)
    sessions = [first.begin() for _ in range(7)]
    assert Counter(s.model for s in sessions) == {"a": 3, "b": 2, "c": 2}
    assert len({s.participant for s in sessions}) == 7
    for session in sessions:
        for which in ("real", "fake"):
            names = [getattr(trial, which) for trial in session.trials]
            # Of 6 images, 12 are asked for: each comes twice, the second time after all.
            assert len(set(names[:6])) == len(set(names[6:])) == 6
    sides = Counter(trial.real_side for s in sessions for trial in s.trials)
    assert stats.binomtest(sides["left"], sides.total()).pvalue > 0.01

    again = make_study(models=("a", "b", "c"), practice=2, trials=10, output="again")
    assert [s.trials for s in sessions] == [again.begin().trials for _ in range(7)]
    other = make_study(models=("a", "b", "c"), practice=2, trials=10, output="other", seed=1)
    assert sessions[0].trials != other.begin().trials

    # Another process goes on with the sessions and the turns, but not where images are gone.
    for place in range(2):
        first.answer(sessions[0], place, "left", 1000, 1)
    second = make_study(models=("a", "b", "c"), practice=2, trials=10)
    assert second.session(sessions[0].participant).answered == 2
    assert second.session(sessions[6].participant).trials == sessions[6].trials
    with pytest.raises(OutOfTurn):
        second.answer(second.session(sessions[0].participant), 1, "left", 1000, 1)
    assert second.begin().model == "b"
    third = make_study(models=("a", "d"), practice=2, trials=10, images=5)
    assert third.session(sessions[0].participant) is None
    assert third.begin().model == "d"


def line(model, participant, fooled, practice=False):
    answer = {"event": "answer", "model": model, "participant": participant}
    return answer | {"fooled": fooled, "practice": practice}


def test_results_by_hand():
    lines = [{"event": "begin", "model": "a", "participant": "p"}]
    lines += [line("a", "p", True, practice=True)] * 5
    lines += [line("a", "p", i < 3) for i in range(10)] + [line("a", "q", i < 1) for i in range(2)]
    lines += [line("b", "r", False)] * 40
    results = study_results(lines)
    a, b = results["a"], results["b"]
    assert (a["fooled"], a["trials"], a["participants"]) == (pytest.approx(4 / 12), 12, 2)
    assert a["resampled"] == "trials" and "12 answers of 2 participants are few" in a["notes"][0]
    assert b["fooled"] == 0 and b["interval"] == [0, 0]
    # A rate of r gives 40 answers without a fooled one with a chance of (1 - r)^40 = 2.5 %.
    assert stats.binom.pmf(0, 40, 0.0881) == pytest.approx(0.025, rel=0.01)
    assert "up to 8.8%" in b["notes"][1]


def test_the_bootstrap_of_trials_is_binomial():
    fooled = [[True] * 12 + [False] * 28, [True] * 20 + [False] * 20]
    expected = stats.binom.ppf([0.025, 0.975], 80, 32 / 80) / 80
    assert bootstrap_interval(fooled) == pytest.approx(expected, abs=1 / 80)


def test_the_bootstrap_of_participants_is_scipys():
    rng = np.random.default_rng(3)
    fooled = [rng.random(n) < p for n, p in zip([40] * 9 + [7], rng.random(10), strict=True)]
    counts = np.array([[one.sum(), len(one)] for one in fooled])
    expected = stats.bootstrap(
        (counts[:, 0], counts[:, 1]),
        lambda hits, trials: hits.sum() / trials.sum(),
        paired=True,
        vectorized=False,
        method="percentile",
        n_resamples=5000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert bootstrap_interval(fooled) == pytest.approx(expected, abs=0.012)
    # People differ more than their answers: trials alone would be too sure.
    pooled = stats.binom.ppf([0.025, 0.975], counts[:, 1].sum(), 0.5) / counts[:, 1].sum()
    assert np.ptp(bootstrap_interval(fooled)) > 1.5 * np.ptp(pooled)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("", "give --real and --fake"),
        ("--real photos", "give --real and --fake"),
        ("--real missing --fake model", "--real: there is no folder missing"),
        ("--real photos --fake missing", "--fake: there is no folder missing"),
        ("--real photos --fake a=", "it takes FOLDER or NAME=FOLDER"),
        ("--real empty --fake model", "--real: empty holds no image"),
        ("--real photos --fake model --fake ./model", "two folders are called model"),
        ("--real photos --fake broken", "broken/0.png cannot be read (not an image: "),
        ("--real photos --fake broken --skip-unreadable", "no image can be read"),
        ("--real photos --fake model --trials 0", "--trials is 0; it must be at least 1"),
        ("--real photos --fake model --seconds 0", "--seconds is 0.0; it must be above 0"),
        ("--real photos --fake model --image-size big", "--image-size is 'big'"),
        ("--real photos --fake model --output photos", "photos exists and is no study"),
        ("--real photos --fake model --output photos/0.jpg", "photos/0.jpg exists and is no study"),
        ("--real photos --fake model --port 99999", "cannot listen on 127.0.0.1:99999"),
        ("--real photos --fake model --port {used}", "cannot listen on 127.0.0.1:{used}"),
        ("--results --real photos", "--results goes with --output alone"),
        ("--results --output missing", "there is no study in missing"),
        ("--results --output damaged", "line 1 of damaged/answers.jsonl is damaged"),
    ],
)
def test_mistakes(folders, ask, command, monkeypatch, options, words):
    monkeypatch.chdir(folders)
    one_colour(folders / "large", BLUE, size=(96, 64))
    (folders / "empty").mkdir()
    (folders / "broken").mkdir()
    (folders / "broken" / "0.png").write_text("no image")
    (folders / "damaged").mkdir()
    content = (folders / "study" / "study.json").read_text()
    (folders / "damaged" / "study.json").write_text(content)
    (folders / "damaged" / "answers.jsonl").write_text("{\n")
    if "--output" not in options:
        options += " --output new"
    code, errors = command(study.main, *options.format(used=ask.port).split())
    assert code == 2 and "Traceback" not in errors
    assert words.format(used=ask.port) in re.sub(r"\s+", " ", errors)


@pytest.mark.parametrize(
    ("options", "size"), [(("--image-size", "20x30"), (30, 20)), ((), (32, 32))]
)
def test_sizes_that_differ_and_images_that_cannot_be_read(start, folders, options, size):
    one_colour(folders / "large", BLUE, size=(96, 64))
    (folders / "large" / "broken.png").write_text("no image")
    fake = ("--fake", f"second={folders / 'large'}", "--skip-unreadable", *options)
    process, url = start(*fake, "--practice", 0, "--port", 0)
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=PATIENCE)

    def ask(method, path, **headers):
        body = "{}" if method == "POST" else None
        connection.request(method, path, body, {"Content-Type": "application/json"} | headers)
        response = connection.getresponse()
        return response, response.read()

    for _ in range(2):
        begun, _ = ask("POST", "/begin")
        cookie = {"Cookie": begun.headers["Set-Cookie"].split(";")[0]}
        for side in ("left", "right"):
            _, content = ask("GET", f"/image/0/{side}", **cookie)
            image = Image.open(io.BytesIO(content))
            assert image.size == size and image.getpixel((5, 5))[1] < 40
    connection.close()
    stop(process)
    begun = read_lines(folders / "study")
    assert [line["model"] for line in begun] == ["model", "second"]
    assert {fake for _, fake, _ in begun[1]["trials"]} == {f"{i}.png" for i in range(6)}


def test_the_page_is_opened_when_asked(folders, command, monkeypatch):
    monkeypatch.chdir(folders)
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)

    def serve_nothing(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("http.server.ThreadingHTTPServer.serve_forever", serve_nothing)
    folders = ("--real", "photos", "--fake", "model", "--port", 0)
    code, errors = command(study.main, *folders)
    assert code == 0 and opened == []
    assert "--real has 6 images for 50 pairs" in errors and "no answer that counts yet" in errors
    code, errors = command(study.main, *folders, "--open")
    assert code == 0 and opened == re.findall(r"http://127\.0\.0\.1:\d+/", errors)


def test_another_study_is_not_mixed_in(make_study):
    make_study(models=("one", "two"))
    make_study(models=("three",))  # one more to compare with
    with pytest.raises(study.UserError, match=r"trials \(was 3, now 40\); choose another --output"):
        make_study(trials=40)
