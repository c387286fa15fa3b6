"""A page to try translators on: `python -m tf_cyclegan.demo --model runs/emoji`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from .commands import parse, run_command
from .errors import UserError
from .settings import MAX_PIXELS


@dataclass(frozen=True)
class Options:
    """Open a page to try translators on: drop, paste or photograph a picture and see it translated.

    Everything stays on this machine: the page asks nothing of any other, and what was uploaded is
    deleted when the command ends, with Ctrl-C.
    """

    model: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="PATH")]
    """the folder of a run, a SavedModel, or what convert wrote; give it again for more models"""
    host: str = "127.0.0.1"
    """address to listen on; 0.0.0.0 lets every machine that reaches this one use the page"""
    port: int = 7860
    """port to listen on; 0 takes a free one"""
    max_side: int = 1024
    """larger pictures are scaled down to so many pixels on their longer side"""
    max_pixels: int = MAX_PIXELS
    """pictures of more pixels are not decoded: a small file can fill the memory"""


def main(arguments: list[str] | None = None) -> None:
    """The command: `python -m tf_cyclegan.demo`."""
    options = parse(Options, arguments, "demo")
    from .translation.demo_server import run_demo
    from .translation.load import saved_model_folder

    if not options.model:
        raise UserError("give a model: --model runs/NAME")
    for name in ("max_side", "max_pixels"):
        if (value := getattr(options, name)) < 1:
            raise UserError(f"--{name.replace('_', '-')} is {value}; it must be at least 1")
    for path in options.model:
        saved_model_folder(path)  # tells a wrong path before anything slow
    run_demo(options.model, options.host, options.port, options.max_side, options.max_pixels)


if __name__ == "__main__":
    run_command(main)
