"""Keep the notebooks clean: badges, first cells, and no outputs but a few pictures.

python tools/notebooks.py [--check] [--repository https://github.com/ACCOUNT/NAME]

The repository's address stands in setup.cfg, as `url`. From there it is written into every
notebook's badge and first code cell, and into the README; --repository changes it everywhere.
"""

import argparse
import configparser
import re
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
README, SETUP = ROOT / "README.md", ROOT / "setup.cfg"
MARKED = re.compile(r"(<!-- notebooks: .*? -->\n).*?(<!-- end of notebooks -->)", re.DOTALL)
NOTEBOOKS = {
    "cyclegan": "the idea, the losses and the training step, from raw pictures to translated ones",
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
    "image/jpeg": {"format": "JPEG", "quality": 75, "progressive": True},
}

SETUP_CELL = """\
# A checkout of the repository is used as it is; elsewhere the package is installed if it is missing.
import importlib.util
import logging
import sys
from pathlib import Path

for folder in (Path.cwd(), *Path.cwd().parents):
    if (folder / "tf_cyclegan" / "__init__.py").is_file():
        sys.path.insert(0, str(folder))
        break
if importlib.util.find_spec("tf_cyclegan") is None:
    %pip install --quiet git+{repository}

# TensorFlow, without its notes on this machine.
importlib.import_module("tf_cyclegan.commands").import_tensorflow()
logging.getLogger("tensorflow").setLevel(logging.ERROR)"""


def repository() -> str:
    """The repository's address, from setup.cfg."""
    parser = configparser.ConfigParser()
    parser.read(SETUP)
    return parser["metadata"]["url"]


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
    """The notebook with its badge and first cell written anew, stripped of all that a run leaves.

    The pictures of cells with the tag `keep` stay.
    """
    cells = []
    for cell in notebook.cells:
        new = nbformat.NotebookNode(cell_type=cell.cell_type, id=cell.id, metadata={}, source="")
        tags = cell.metadata.get("tags", [])
        if tags:
            new.metadata["tags"] = tags
        new.source = {"badge": badge(name, url), "setup": SETUP_CELL.format(repository=url)}.get(
            cell.id, cell.source
        )
        if cell.cell_type == "code":
            new.execution_count = None
            new.outputs = pictures(cell) if "keep" in tags else []
        cells.append(new)
    return nbformat.NotebookNode(cells=cells, metadata=METADATA, nbformat=4, nbformat_minor=5)


def pictures(cell: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The outputs of a cell that are pictures, each in one format and with nothing else."""
    kept = []
    for output in cell.outputs:
        data = output.get("data", {})
        for kind in PICTURES:
            if kind in data:
                content = {kind: data[kind]}
                kept.append(nbformat.v4.new_output("display_data", data=content))
                break
    return kept


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
