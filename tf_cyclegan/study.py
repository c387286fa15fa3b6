"""Ask people which is real: `python -m tf_cyclegan.study --real photos --fake translated`."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from .commands import parse, run_command
from .errors import UserError
from .files import from_home
from .settings import MAX_PIXELS, parse_size


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
    max_pixels: int = MAX_PIXELS
    """images of more pixels are not decoded: a small file can fill the memory"""


def _models(options: Options) -> dict[str, Path]:
    """The folders of generated images by name."""
    models: dict[str, Path] = {}
    for fake in options.fake:
        name, equals, folder = fake.partition("=")
        if not equals or from_home(fake).is_dir():
            name, folder = from_home(fake).resolve().name, fake
        if not name or not folder:
            raise UserError(f"--fake {fake}: it takes FOLDER or NAME=FOLDER")
        if name in models:
            raise UserError(
                f"--fake: two folders are called {name}; name them: --fake one={models[name]} "
                f"other={folder}"
            )
        models[name] = from_home(folder)
    return models


def _check(options: Options):
    if options.results:
        if options.real or options.fake:
            raise UserError("--results goes with --output alone: it reads answers that are there")
        return
    if not (options.real and options.fake):
        raise UserError("give --real and --fake, folders of images; or --results")
    for name, lowest in (("practice", 0), ("trials", 1), ("seed", 0), ("max_pixels", 1)):
        if (value := getattr(options, name)) < lowest:
            option = name.replace("_", "-")
            raise UserError(f"--{option} is {value}; it must be at least {lowest}")
    if not 0 < options.seconds < math.inf:
        raise UserError(f"--seconds is {options.seconds}; it must be above 0")


def main(arguments: list[str] | None = None) -> None:
    """The command: `python -m tf_cyclegan.study`."""
    options = parse(Options, arguments, "study")
    _check(options)
    from .evaluation.run_study import report, run_study

    if not options.results:
        size = options.image_size
        run_study(
            options.real,
            _models(options),
            options.output,
            practice=options.practice,
            trials=options.trials,
            seconds=options.seconds,
            image_size=parse_size("image-size", size) if size else None,
            seed=options.seed,
            port=options.port,
            open_browser=options.open,
            skip_unreadable=options.skip_unreadable,
            max_pixels=options.max_pixels,
        )
    report(options.output)


if __name__ == "__main__":
    run_command(main)
