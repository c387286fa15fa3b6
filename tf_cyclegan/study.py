"""Ask people which is real: `python -m tf_cyclegan.study --real photos --fake translated`."""

import json
import math
import webbrowser
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from PIL import Image

from .commands import parse, run_command
from .data.decode import RESAMPLING, UnreadableImage, decode_image
from .data.sources import Domain, open_image_folder
from .errors import UserError
from .files import write_file
from .progress import log, progress
from .settings import parse_size


@dataclass(frozen=True)
class Options:
    """The paper's perceptual study, on this machine: people see a real and a generated image for a
    second and say which one was real. Ctrl-C ends it with the results so far.
    """

    real: Path | None = None
    """folder of real images"""
    fake: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """folder of a model's images, or NAME=FOLDER; give it again for every other model, of which a
    participant judges one"""
    output: Path = Path("study")
    """folder for the answers; one that exists is continued"""
    results: bool = False
    """only print the results of the answers in --output"""
    practice: int = 10
    """pairs with feedback, which do not count"""
    trials: int = 40
    """pairs that count"""
    seconds: float = 1.0
    """how long a pair is shown"""
    image_size: str | None = None
    """pixels a side, or HEIGHTxWIDTH, to scale all images to (default: their own)"""
    seed: int = 0
    """of the pairs, their order and their sides"""
    port: int = 8008
    """of the page on 127.0.0.1; 0 is any that is free"""
    open: bool = False
    """open the page in the browser"""
    skip_unreadable: bool = False
    """leave out images that cannot be read, instead of stopping"""


def serve(options: Options) -> None:
    """Serve the study until Ctrl-C.

    Raises:
        UserError: The folders, the port or the options do not allow it.
    """
    from .evaluation.perceptual_study import Protocol, Study
    from .evaluation.study_server import open_server

    folders = {None: options.real} | _models(options)
    images = {}
    for name, folder in folders.items():
        option = "--real" if name is None else "--fake"
        if not folder.is_dir():
            raise UserError(f"{option}: there is no folder {folder}")
        images[name] = open_image_folder(folder)
        if not len(images[name]):
            raise UserError(f"{option}: {folder} holds no image")
    sizes = _sizes(images, options.skip_unreadable)
    shape = _shape(options, sizes)
    readers = {
        name: {
            Path(path).relative_to(folders[name]).as_posix(): (domain, index)
            for index, path in enumerate(domain.names)
            if path in sizes
        }
        for name, domain in images.items()
    }

    def read_image(model: str | None, name: str) -> Image.Image:
        domain, index = readers[model][name]
        image = decode_image(domain.read(index))
        size = (shape[1], shape[0])
        return image if image.size == size else image.resize(size, RESAMPLING["bicubic"])

    protocol = Protocol(
        str(options.real.resolve()), shape, options.practice, options.trials, options.seconds
    )
    study = Study(
        options.output,
        protocol,
        {name: str(folder.resolve()) for name, folder in folders.items() if name is not None},
        real=list(readers[None]),
        fake={name: list(names) for name, names in readers.items() if name is not None},
        seed=options.seed,
    )
    server = open_server(study, read_image, options.port)
    _say_what_is_few(options, readers)
    url = f"http://127.0.0.1:{server.server_port}/"
    log(f"the study is at {url}; Ctrl-C ends it, the same command goes on with it")
    if options.open:
        webbrowser.open(url)
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            log("")


def _models(options: Options) -> dict[str, Path]:
    """The folders of generated images by name."""
    models: dict[str, Path] = {}
    for fake in options.fake:
        name, equals, folder = fake.partition("=")
        if not equals or Path(fake).is_dir():
            name, folder = Path(fake).resolve().name, fake
        if not name or not folder:
            raise UserError(f"--fake {fake}: it takes FOLDER or NAME=FOLDER")
        if name in models:
            raise UserError(
                f"--fake: two folders are called {name}; name them: --fake one={models[name]} "
                f"other={folder}"
            )
        models[name] = Path(folder)
    return models


def _sizes(images: dict[str | None, Domain], skip_unreadable: bool) -> dict[str, tuple[int, int]]:
    """Width and height of every image that can be read, by path."""
    places = [(domain, i) for domain in images.values() for i in range(len(domain))]

    def size(place):
        domain, index = place
        try:
            return decode_image(domain.read(index)).size
        except UnreadableImage as error:
            if skip_unreadable:
                return None
            raise UserError(
                f"{domain.names[index]} cannot be read ({error}); remove it, or pass "
                "--skip-unreadable"
            ) from error

    with ThreadPoolExecutor() as threads:
        found = list(progress(threads.map(size, places), len(places), "reading images"))
    sizes = {d.names[i]: one for (d, i), one in zip(places, found, strict=True) if one}
    for domain in images.values():
        if not any(name in sizes for name in domain.names):
            raise UserError(f"no image can be read, the first is {domain.names[0]}")
    if len(sizes) < len(places):
        log(f"left out {len(places) - len(sizes)} unreadable images")
    return sizes


def _shape(options: Options, sizes: dict[str, tuple[int, int]]) -> tuple[int, int]:
    """Height and width to show images in: one for all, or the size would tell which is real."""
    if options.image_size:
        return parse_size("image-size", options.image_size)
    examples = {size: path for path, size in sizes.items()}
    if len(examples) > 1:
        (one, first), (other, second), *_ = examples.items()
        raise UserError(
            f"the images have different sizes, which would tell which one is real: {first} has "
            f"{one[1]}x{one[0]}, {second} {other[1]}x{other[0]}; pass --image-size to scale all to one"
        )
    ((width, height),) = examples
    return height, width


def _say_what_is_few(options: Options, readers: dict[str | None, dict]) -> None:
    pairs = options.practice + options.trials
    for name, readable in readers.items():
        if len(readable) < pairs:
            log(
                f"{'--real' if name is None else name} has {len(readable)} images for {pairs} pairs, "
                "so that a participant sees some again, and may know them"
            )


def report(folder: Path) -> None:
    """Print the results of the answers in a study's folder, and write results.json there.

    Raises:
        UserError: There is no study.
    """
    from .evaluation.perceptual_study import read_lines, read_protocol
    from .evaluation.study_results import results_table, study_results

    protocol = read_protocol(folder)
    results = study_results(read_lines(folder))
    content = json.dumps({"protocol": protocol, "models": results}, indent=2)
    write_file(folder / "results.json", content + "\n")
    if not results:
        log(f"{folder} holds no answer that counts yet")
        return
    print(results_table(results), end="", flush=True)
    for result in results.values():
        for note in result["notes"]:
            log(note)
    log(f"wrote {folder / 'results.json'}")


def _check(options: Options):
    if options.results:
        if options.real or options.fake:
            raise UserError("--results goes with --output alone: it reads answers that are there")
        return
    if not (options.real and options.fake):
        raise UserError("give --real and --fake, folders of images; or --results")
    for name, lowest in (("practice", 0), ("trials", 1), ("seed", 0)):
        if getattr(options, name) < lowest:
            raise UserError(f"--{name} is {getattr(options, name)}; it must be at least {lowest}")
    if not 0 < options.seconds < math.inf:
        raise UserError(f"--seconds is {options.seconds}; it must be above 0")


def main(arguments: list[str] | None = None) -> None:
    """The command: `python -m tf_cyclegan.study`."""
    options = parse(Options, arguments, "study")
    _check(options)
    if not options.results:
        serve(options)
    report(options.output)


if __name__ == "__main__":
    run_command(main)
