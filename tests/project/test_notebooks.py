"""The notebooks are clean, and the tools that keep and run them notice what is wrong.

`make notebooks` executes them.
"""

import base64
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from PIL import Image

from tools import notebooks, run_notebooks

ROOT = Path(__file__).resolve().parents[2]

NAMES = sorted(notebooks.NOTEBOOKS)


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def notebook(name):
    return nbformat.read(notebooks.path_of(name), as_version=nbformat.NO_CONVERT)


@pytest.fixture
def checkout(tmp_path):
    """The files that the tool writes to, in a folder of their own."""
    for path in ("README.md", "setup.cfg", "tools/notebooks.py", "tf_cyclegan/__init__.py"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    for path in ("notebooks", "docs/images"):
        shutil.copytree(ROOT / path, tmp_path / path)
    return tmp_path


def tool(checkout, *arguments):
    command = [sys.executable, checkout / "tools" / "notebooks.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_all_notebooks_are_known():
    assert {path.stem for path in (ROOT / "notebooks").glob("*")} == set(NAMES)
    assert set(run_notebooks.SMALL) == set(NAMES)


def test_they_are_as_the_tool_leaves_them(checkout):
    result = tool(checkout, "--check")
    assert result.returncode == 0, result.stderr


def test_a_notebook_is_valid_and_runs_on_any_kernel(notebook):
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    identifiers = [cell.id for cell in notebook.cells]
    assert len(set(identifiers)) == len(identifiers)


def test_it_is_stored_with_the_outputs_of_one_whole_run(name, notebook):
    """`make notebooks` compares the kinds of the outputs with those of another run."""
    assert notebooks.path_of(name).stat().st_size < 3_000_000
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert run_notebooks.missing_pictures(notebook) == []
    for cell in code:
        for picture in notebooks.pictures(cell):
            assert run_notebooks.decoded(picture).width <= run_notebooks.KEPT_WIDTH


def test_it_begins_with_what_everybody_needs(notebook):
    first, *_ = notebook.cells
    assert first.source.startswith("[![Open in Colab]")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code[0].id == "setup" and "pip install" in code[0].source
    assert code[1].metadata.tags == ["parameters"]
    assert all(re.match(r"[A-Z_]+ = ", line) for line in code[1].source.splitlines())


def test_what_make_notebooks_sets_are_parameters(name, notebook):
    (parameters,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    names = set(re.findall(r"(?m)^([A-Z_]+) = ", parameters.source))
    for settings in run_notebooks.SMALL[name]:
        assert set(settings) - {"MIRROR"} <= names


def test_no_path_of_one_machine_is_in_it(name):
    text = notebooks.path_of(name).read_text(encoding="utf-8")
    assert not re.search(r"/(home|root|Users|work)/|/tmp/(?!folder/)", text)


def test_its_links_lead_somewhere(name, notebook):
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\(([^)#]+)\)", cell.source):
                if target.startswith("attachment:"):
                    assert target.removeprefix("attachment:") in cell.attachments
                elif not target.startswith("http"):
                    assert (ROOT / "notebooks" / target).exists(), target
            for other in re.findall(r"`(\w+\.ipynb)`", cell.source):
                assert (ROOT / "notebooks" / other).exists(), other


def test_its_code_passes_ruff(name):
    for command in (["check"], ["format", "--check"]):
        result = subprocess.run(
            [sys.executable, "-m", "ruff", *command, notebooks.path_of(name)],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stdout + result.stderr


def test_one_command_changes_the_repository_everywhere(checkout):
    before = notebooks.repository()
    assert tool(checkout, "--repository", "https://github.com/someone/fork.git").returncode == 0
    assert tool(checkout, "--check").returncode == 0
    for path in (*(checkout / "notebooks").iterdir(), checkout / "README.md"):
        text = path.read_text(encoding="utf-8")
        assert before.removeprefix("https://github.com/") not in text
        assert f"github/someone/fork/blob/main/notebooks/{path.stem}.ipynb" in text or (
            path.name == "README.md"
        )
    assert "url = https://github.com/someone/fork\n" in (checkout / "setup.cfg").read_text()


def test_an_address_that_colab_cannot_open_is_refused(checkout):
    result = tool(checkout, "--repository", "https://example.com/fork")
    assert result.returncode == 2 and "https://github.com/ACCOUNT/NAME" in result.stderr


def test_a_version_is_installed_by_its_tag(checkout):
    setup = checkout / "tf_cyclegan" / "__init__.py"
    setup.write_text(re.sub('__version__ = ".*"', '__version__ = "7.8.9"', setup.read_text()))
    result = tool(checkout, "--check")
    assert result.returncode == 1 and "cyclegan.ipynb" in result.stderr
    assert tool(checkout).returncode == 0
    text = (checkout / "notebooks" / "cyclegan.ipynb").read_text(encoding="utf-8")
    assert re.search(r"%pip install --quiet git\+https://\S+@v7\.8\.9\\n", text)


def test_the_diagrams_in_a_notebook_are_those_of_the_docs(checkout):
    drawing = checkout / "docs" / "images" / "cycles.png"
    drawing.write_bytes(drawing.read_bytes() + b" ")
    result = tool(checkout, "--check")
    assert result.returncode == 1 and "cyclegan.ipynb" in result.stderr


def test_the_kinds_of_outputs():
    new = nbformat.v4.new_output
    pre = {
        "text/html": "<pre style='x'>\x1b[1mtwo\x1b[0m</pre>",
        "text/plain": "\x1b[1mtwo\x1b[0m\n",
    }
    outputs = [
        new("stream", name="stdout", text="one\n"),
        new("display_data", data=pre),
        new("stream", name="stderr", text="three\n"),
        new("execute_result", data={"image/png": "", "text/plain": "<Image>"}, metadata={"a": 1}),
        new("display_data", data={"text/markdown": "| a |", "text/plain": "<Markdown>"}),
        new("execute_result", data={"text/plain": "4"}),
    ]
    cell = nbformat.v4.new_code_cell("", outputs=outputs)
    assert notebooks.kinds(cell) == ["words", "picture", "table", "words"]
    stored = notebooks.joined(cell.outputs)
    assert [output.get("text") for output in stored[:2]] == ["one\ntwo\n", "three\n"]
    assert stored[2].data == {"image/png": ""} and not stored[2].metadata
    cell.outputs = stored
    assert notebooks.joined(stored) == stored
    assert notebooks.kinds(cell) == ["words", "picture", "table", "words"]


def test_a_missing_or_empty_picture_is_noticed():
    def cell(*colours):
        outputs = []
        for colour in colours:
            buffer = io.BytesIO()
            Image.new("RGB", (8, 8), colour).save(buffer, "PNG")
            data = {"image/png": base64.b64encode(buffer.getvalue()).decode(), "text/plain": "<>"}
            outputs.append(nbformat.v4.new_output("display_data", data=data))
        new = nbformat.v4.new_code_cell("", metadata={"tags": ["picture"]}, outputs=outputs)
        new.id = "-".join(["shows", *colours])
        return new

    notebook = nbformat.v4.new_notebook(
        cells=[cell(), cell("white"), cell("red"), cell("red", "white")]
    )
    assert run_notebooks.missing_pictures(notebook) == ["shows", "shows-white", "shows-red-white"]


def test_a_notebook_runs_with_its_parameters_and_without_a_network(tmp_path, monkeypatch):
    """One that runs in a second: reports what it was given, asks for a page, and fails if told to."""
    source = """
import os, urllib.request
try:
    urllib.request.urlopen("http://example.com", timeout=5)
    reached = True
except OSError as error:
    reached = "no network" not in str(error)
print(STEPS, reached, os.getcwd())
assert not FAIL
"""
    cells = [
        nbformat.v4.new_code_cell("STEPS, FAIL = 100, False", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(source),
    ]
    path = tmp_path / "example.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    monkeypatch.setattr(run_notebooks, "path_of", lambda name: path)
    executed = run_notebooks.execute("example", {"STEPS": 3}, {}, 60)
    (problem,) = run_notebooks.of_other_kinds("example", executed)
    assert problem.endswith("shows ['words'], stored is nothing")
    nbformat.write(executed, path)
    assert run_notebooks.of_other_kinds("example", executed) == []
    steps, reached, folder = executed.cells[1].outputs[0].text.split()
    assert (steps, reached) == ("3", "False") and len(executed.cells) == 2
    assert not Path(folder).is_relative_to(ROOT) and not Path(folder).exists()
    with pytest.raises(run_notebooks.nbclient.exceptions.CellExecutionError):
        run_notebooks.execute("example", {"FAIL": True}, {}, 60)
