"""Keep the notebooks alike: badges, first cells, diagrams, and outputs of a few kinds.

python tools/notebooks.py [--check] [--repository https://github.com/ACCOUNT/NAME]

The repository's address stands in setup.cfg, as `url`. From there it is written into every
notebook's badge and first code cell, and into the README; --repository changes it everywhere. Outputs
are those of one whole run, which tools/run_notebooks.py writes.
"""

import argparse
import base64
import configparser
import re
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
README, SETUP = ROOT / "README.md", ROOT / "setup.cfg"
IMAGES = ROOT / "docs" / "images"
MARKED = re.compile(r"(<!-- notebooks: .*? -->\n).*?(<!-- end of notebooks -->)", re.DOTALL)
NOTEBOOKS = {
    "cyclegan": "the idea, the losses and the training step, from raw pictures to translated ones",
    "pix2pix": "the same for pictures that come in pairs: losses and step, to be changed in place",
    "competition": "the methods that the paper compares with, on maps and photographs",
    "your_own_images": "two folders or zips of your own to a SavedModel; what to do when it fails",
    "pretrained": "the authors' published translators, in TensorFlow",
    "evaluate": "what the numbers say about a translator, what they cannot say, and ablations",
    "tpu_and_multi_gpu": "the same run on several GPUs, machines or a TPU",
}
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
METADATA = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
# What a picture in a notebook may be, and how Pillow writes it small.
PICTURES = {
    "image/png": {"format": "PNG"},
    "image/jpeg": {"format": "JPEG", "quality": 85, "progressive": True},
}
# What else an output may be, the first that it has.
WORDS = ("text/markdown", "text/html", "text/plain")
TEMPORARY = re.compile(r"/tmp/tmp\w{8}")

SETUP_CELL = """\
# A checkout of the repository is used as it is; elsewhere the package is installed if it is missing.
import importlib.util
import sys
from pathlib import Path

for folder in (Path.cwd(), *Path.cwd().parents):
    if (folder / "tf_cyclegan" / "__init__.py").is_file():
        sys.path.insert(0, str(folder))
        break
if importlib.util.find_spec("tf_cyclegan") is None:
    %pip install --quiet git+{repository}@v{version}

# TensorFlow, without its notes on this machine.
importlib.import_module("tf_cyclegan.commands").import_tensorflow()
importlib.import_module("tensorflow").get_logger().setLevel("ERROR")"""


def repository() -> str:
    """The repository's address, from setup.cfg."""
    parser = configparser.ConfigParser()
    parser.read(SETUP)
    return parser["metadata"]["url"]


def version() -> str:
    """The version of the package, which is the tag that the notebooks install."""
    text = (ROOT / "tf_cyclegan" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'__version__ = "(.*)"', text)[1]


def path_of(name: str) -> Path:
    """Where a notebook is."""
    return ROOT / "notebooks" / f"{name}.ipynb"


def badge(name: str, url: str) -> str:
    """Open in Colab, in Markdown."""
    account_and_name = url.removeprefix("https://github.com/")
    image = "https://colab.research.google.com/assets/colab-badge.svg"
    colab = "https://colab.research.google.com/github"
    return (
        f"[![Open in Colab]({image})]({colab}/{account_and_name}/blob/main/notebooks/{name}.ipynb)"
    )


def cleaned(notebook: nbformat.NotebookNode, name: str, url: str) -> nbformat.NotebookNode:
    """The notebook with its badge, first cell and diagrams written anew, and no more of a run than
    the outputs and their order.
    """
    cells = []
    for cell in notebook.cells:
        new = nbformat.NotebookNode(cell_type=cell.cell_type, id=cell.id, metadata={}, source="")
        tags = cell.metadata.get("tags", [])
        if tags:
            new.metadata["tags"] = tags
        setup = SETUP_CELL.format(repository=url, version=version())
        new.source = {"badge": badge(name, url), "setup": setup}.get(cell.id, cell.source)
        if cell.cell_type == "code":
            new.execution_count = cell.execution_count
            new.outputs = joined(cell.outputs)
        elif names := re.findall(r"\(attachment:(\S+)\)", cell.source):
            new.attachments = {image: {"image/png": encoded(IMAGES / image)} for image in names}
        cells.append(new)
    return nbformat.NotebookNode(cells=cells, metadata=METADATA, nbformat=4, nbformat_minor=5)


def encoded(path: Path) -> str:
    """A file as an attachment holds it."""
    return base64.b64encode(path.read_bytes()).decode()


def plain(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """An output as a stream or as one of the kinds of `PICTURES` and `WORDS`, with nothing else.

    What rich prints comes as HTML in a notebook, line by line: that becomes a stream, too. Temporary
    folders, whose names are others each time, are all `/tmp/folder`.
    """
    if output.output_type == "stream":
        text = TEMPORARY.sub("/tmp/folder", output.text)
        return nbformat.v4.new_output("stream", name=output.name, text=text)
    if output.output_type not in ("display_data", "execute_result"):
        return output
    if output.data.get("text/html", "").startswith("<pre"):
        text = re.sub(r"\x1b\[[\d;]*m", "", output.data["text/plain"])
        return plain(nbformat.v4.new_output("stream", name="stdout", text=text))
    kind = next(kind for kind in (*PICTURES, *WORDS) if kind in output.data)
    return nbformat.v4.new_output("display_data", data={kind: output.data[kind]})


def joined(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Outputs in the form of `plain`, streams of one name that follow each other in one."""
    together: list[nbformat.NotebookNode] = []
    for output in map(plain, outputs):
        before = together[-1] if together else None
        if before and output.output_type == "stream" and before.get("name") == output.name:
            together[-1] = nbformat.v4.new_output(
                "stream", name=output.name, text=before.text + output.text
            )
        else:
            together.append(output)
    return together


def pictures(cell: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The outputs of a cell that are pictures."""
    outputs = [plain(output) for output in cell.outputs]
    return [output for output in outputs if PICTURES.keys() & output.get("data", {}).keys()]


def kinds(cell: nbformat.NotebookNode) -> list[str]:
    """What a cell shows, in order: "words" (printed or displayed), "picture", "table" (or other HTML).

    Words that follow each other are one: how many lines tell of progress depends on the time it takes.
    """
    shown: list[str] = []
    for output in joined(cell.outputs):
        data = output.get("data", {}).keys()
        if output.output_type == "error":
            kind = "error"
        elif PICTURES.keys() & data:
            kind = "picture"
        else:
            kind = "table" if {"text/markdown", "text/html"} & data else "words"
        if not (kind == "words" and shown[-1:] == ["words"]):
            shown.append(kind)
    return shown


def to_text(notebook: nbformat.NotebookNode) -> str:
    """The content of the .ipynb file."""
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


def readme_section(url: str) -> str:
    """The list of notebooks, in Markdown."""
    lines = ["| | |", "|---|---|"]
    for name, text in NOTEBOOKS.items():
        lines.append(f"| {badge(name, url)} | [{name}.ipynb](notebooks/{name}.ipynb): {text} |")
    return "\n".join(lines) + "\n"


def wanted(url: str) -> dict[Path, str]:
    """What the files should hold that this tool writes to."""
    files = {}
    for name in NOTEBOOKS:
        path = path_of(name)
        files[path] = to_text(cleaned(nbformat.read(path, as_version=4), name, url))
    readme = README.read_text(encoding="utf-8")
    files[README] = MARKED.sub(lambda match: match[1] + readme_section(url) + match[2], readme)
    setup = SETUP.read_text(encoding="utf-8")
    files[SETUP] = re.sub(r"(?m)^url = .*$", lambda _: f"url = {url}", setup)
    return files


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say what is not up to date")
    parser.add_argument("--repository", metavar="URL", help="the new address of the repository")
    options = parser.parse_args()
    url = (options.repository or repository()).rstrip("/").removesuffix(".git")
    if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", url):
        parser.error(f"{url} is not of the form https://github.com/ACCOUNT/NAME, which Colab opens")
    changed = [
        path for path, text in wanted(url).items() if text != path.read_text(encoding="utf-8")
    ]
    if options.check:
        names = ", ".join(str(path.relative_to(ROOT)) for path in changed)
        sys.exit(f"run python tools/notebooks.py: {names}" if changed else 0)
    for path, text in wanted(url).items():
        path.write_text(text, encoding="utf-8")
    print(f"{len(changed)} files changed")


if __name__ == "__main__":
    main()
