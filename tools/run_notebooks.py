"""Execute notebooks whole, and fail where a cell fails, a picture is missing or an output is of
another kind than the one that is stored.

python -m tools.run_notebooks [NAME ...] [--full] [--keep] [--output FOLDER]

It runs small: few steps, no network. --full runs them as they stand; --keep then writes all of their
outputs into the notebooks, pictures small.
"""

import argparse
import base64
import io
import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbclient
import nbformat
from PIL import Image

from tools.notebooks import (
    NOTEBOOKS,
    PICTURES,
    ROOT,
    cleaned,
    joined,
    kinds,
    path_of,
    pictures,
    repository,
    to_text,
)

KEPT_WIDTH = 820  # pixels
# What is set in the cell with the tag `parameters`, for each run of a notebook. The first has outputs
# of the kinds that are stored. Weights are asked for at MIRROR; where it is not set, nothing can be
# fetched.
SMALL = {
    "cyclegan": [{"STEPS": 6, "SHOW_EVERY": 3}],
    "pix2pix": [{"STEPS": 6, "SHOW_EVERY": 3}],
    "competition": [{"STEPS": 2, "METHODS": ("cyclegan", "pix2pix"), "SEEDS": 1, "TRUTHS": 8}],
    "your_own_images": [{"STEPS": 6, "SHOW_EVERY": 3}],
    "pretrained": [{"STEPS": 4}, {"DATASET": "earth", "MIRROR": True}],
    "evaluate": [{"STEPS": 6, "ABLATION_STEPS": 2, "VARIANTS": ("cycle_alone",)}],
    "tpu_and_multi_gpu": [{"STEPS": 3}],
}
NO_NETWORK = """
import socket

def refuse(address):
    raise OSError(f"there is no network in this run, but something asked for {address}")

connect = socket.socket.connect
socket.socket.connect = lambda self, address: (
    connect(self, address)
    if self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "::1", "localhost")
    else refuse(address)
)
look_up = socket.getaddrinfo
socket.getaddrinfo = lambda host, *args, **kwargs: (
    look_up(host, *args, **kwargs)
    if host in (None, "127.0.0.1", "::1", "localhost")
    else refuse(host)
)
"""


def execute(
    name: str, parameters: dict | None, environment: dict[str, str], seconds_per_cell: int
) -> nbformat.NotebookNode:
    """Run a notebook from top to bottom, with this checkout, in a temporary folder.

    Args:
        name: Of the notebook.
        parameters: Set after the cell with the tag `parameters`, without a network; None runs the
            notebook as it stands.
        environment: Environment variables besides those here.
        seconds_per_cell: A cell that takes longer fails.

    Returns:
        The notebook with its outputs, as it is in the repository otherwise.

    Raises:
        CellExecutionError: A cell failed; the message has it and its traceback.
    """
    notebook = nbformat.read(path_of(name), as_version=4)
    added = set()
    if parameters is not None:
        place = next(i for i, c in enumerate(notebook.cells) if "parameters" in tags(c)) + 1
        settings = "\n".join(f"{key} = {value!r}" for key, value in parameters.items())
        for index, source in ((place, settings), (0, NO_NETWORK)):
            cell = nbformat.v4.new_code_cell(source)
            notebook.cells.insert(index, cell)
            added.add(cell.id)
    with tempfile.TemporaryDirectory() as folder:
        client = nbclient.NotebookClient(
            notebook,
            timeout=seconds_per_cell,
            kernel_name="python3",
            extra_arguments=["--IPKernelApp.log_level=40"],  # errors only
            resources={"metadata": {"path": folder}},
        )
        inherited = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
        client.execute(env=inherited | {"PYTHONPATH": str(ROOT)} | environment)
    notebook.cells = [cell for cell in notebook.cells if cell.id not in added]
    return notebook


def tags(cell: nbformat.NotebookNode) -> list[str]:
    """The tags of a cell."""
    return cell.metadata.get("tags", [])


def missing_pictures(notebook: nbformat.NotebookNode) -> list[str]:
    """The ids of cells with the tag `picture` that show none, or an empty one."""
    missing = []
    for cell in notebook.cells:
        if "picture" in tags(cell):
            shown = [decoded(output) for output in pictures(cell)]
            if not shown or any(image.convert("L").getextrema()[0] == 255 for image in shown):
                missing.append(cell.id)
    return missing


def decoded(output: nbformat.NotebookNode) -> Image.Image:
    """The picture in an output."""
    ((_, encoded),) = output.data.items()
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


def smaller(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The same picture at most `KEPT_WIDTH` wide, as PNG or JPEG, whichever takes fewer bytes."""
    image = decoded(output).convert("RGB")
    if image.width > KEPT_WIDTH:
        height = round(image.height * KEPT_WIDTH / image.width)
        image = image.resize((KEPT_WIDTH, height), Image.Resampling.LANCZOS)
    encodings = {}
    for kind, options in PICTURES.items():
        buffer = io.BytesIO()
        image.save(buffer, optimize=True, **options)
        encodings[kind] = base64.b64encode(buffer.getvalue()).decode()
    kind = min(encodings, key=lambda kind: len(encodings[kind]))
    return nbformat.v4.new_output("display_data", data={kind: encodings[kind]})


def keep_outputs(name: str, executed: nbformat.NotebookNode) -> None:
    """Write the outputs of a whole run into the notebook in the repository, pictures small."""
    for cell in executed.cells:
        if cell.cell_type == "code":
            cell.outputs = [
                smaller(output) if PICTURES.keys() & output.get("data", {}).keys() else output
                for output in joined(cell.outputs)
            ]
    path_of(name).write_text(to_text(cleaned(executed, name, repository())), encoding="utf-8")


def of_other_kinds(name: str, executed: nbformat.NotebookNode) -> list[str]:
    """The cells whose outputs are of other kinds than those that are stored, and what they show."""
    stored = nbformat.read(path_of(name), as_version=4)
    return [
        f"{cell.id} shows {kinds(ran) or 'nothing'}, stored is {kinds(cell) or 'nothing'}"
        for cell, ran in zip(stored.cells, executed.cells, strict=True)
        if cell.cell_type == "code" and kinds(cell) != kinds(ran)
    ]


def run(name: str, parameters: dict | None, options: argparse.Namespace) -> str | None:
    """Execute a notebook and look at what it shows; returns what is wrong, if anything."""
    compares = parameters is SMALL[name][0]
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        environment = {"TMPDIR": temporary}  # what notebooks write is large
        if parameters is not None:
            parameters = dict(parameters)
            # Without what was fetched before, and so that nothing made up here is found afterwards.
            environment["XDG_CACHE_HOME"] = temporary
            environment["TF_CYCLEGAN_PRETRAINED_URL"] = "http://127.0.0.1:9"
            if parameters.pop("MIRROR", False):
                environment["TF_CYCLEGAN_PRETRAINED_URL"] = mirror(Path(temporary))
        try:
            notebook = execute(name, parameters, environment, 3600 if options.full else 600)
        except nbclient.exceptions.CellExecutionError as error:
            return f"{name} {parameters or ''} failed:\n{error}"
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        number = len(list(options.output.glob(f"{name}*.ipynb"))) or ""
        nbformat.write(notebook, options.output / f"{name}{number}.ipynb")
    missing = missing_pictures(notebook)
    if missing:
        return f"{name} shows no picture in {', '.join(missing)}"
    if options.keep:
        keep_outputs(name, notebook)
    if compares and (other := of_other_kinds(name, notebook)):
        return f"{name}: {'; '.join(other)}; if that is right, run it whole: --full --keep"
    print(
        f"{name}: {time.monotonic() - start:.0f} seconds, {parameters or 'as it stands'}",
        flush=True,
    )
    return None


def mirror(folder: Path) -> str:
    """Lay a small network of the authors' kind out as their server does, and return the address."""
    for name in ("horse2zebra", "zebra2horse"):
        shutil.copy(ROOT / "tests" / "golden" / "resnet.pth", folder / f"{name}.pth")
    return folder.as_uri()


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NOTEBOOKS)}")
    parser.add_argument("--full", action="store_true", help="run them as they stand")
    parser.add_argument("--keep", action="store_true", help="keep their outputs; needs --full")
    parser.add_argument("--output", type=Path, help="folder to write the executed notebooks to")
    parser.add_argument("--parallel", type=int, default=2, help="how many to run at a time")
    options = parser.parse_args()
    unknown = set(options.names) - set(NOTEBOOKS)
    if unknown or (options.keep and not options.full):
        parser.error("--keep needs --full" if not unknown else f"there is no notebook {unknown}")
    jobs = [
        (name, parameters)
        for name in options.names or NOTEBOOKS
        for parameters in ([None] if options.full else SMALL[name])
    ]
    with ThreadPoolExecutor(options.parallel) as threads:
        problems = [
            problem for problem in threads.map(lambda job: run(*job, options), jobs) if problem
        ]
    sys.exit("\n\n".join(problems) if problems else 0)


if __name__ == "__main__":
    main()
