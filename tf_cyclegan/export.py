"""Export translators: `python -m tf_cyclegan.export --run runs/emoji --format onnx`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .commands import import_tensorflow, parse, run_command
from .errors import UserError
from .methods.method import Weights
from .paths import missing
from .settings import parse_size
from .training.run import Run


@dataclass(frozen=True)
class Options:
    """Write the translators of a run, or one that convert wrote, in a format that needs neither the
    run nor this package.

    A SavedModel takes and returns uint8 images of any size, and JPEG or PNG files. The other formats
    hold the bare network: float32 [N, H, W, 3] in [-1, 1] in and out, N, H and W open, H and W
    multiples of what the generator takes.
    """

    run: Path | None = None
    """folder of the run"""
    model: Path | None = None
    """a .keras file or what convert wrote, instead of --run"""
    format: Literal["saved_model", "keras", "onnx", "litert"] = "saved_model"
    """onnx needs tf2onnx: pip install 'tf2onnx>=1.17'"""
    output: Path | None = None
    """folder to write to (default: named as the format, in the run's folder or beside the file)"""
    image_size: str | None = None
    """pixels a side, or HEIGHTxWIDTH: ONNX and LiteRT files for single images of that size, as
    browsers want them"""
    float16: bool = False
    """halve a LiteRT file: weights in float16, computed with in float32"""
    weights: Weights | None = None
    """of a run with --ema: the average (default), or what the last step left"""


def main(arguments: list[str] | None = None) -> None:
    """The command: `python -m tf_cyclegan.export`."""
    options = parse(Options, arguments, "export")
    if (options.run is None) == (options.model is None):
        raise UserError("give either --run, the folder of a run, or --model, what convert wrote")
    if options.model is not None and options.weights is not None:
        raise UserError("--weights is of a run; --model is one network")
    of_format = {}
    if options.float16:
        _check_format("--float16", options.format, "litert")
        of_format["float16"] = True
    if options.image_size is not None:
        _check_format("--image-size", options.format, "onnx", "litert")
        of_format["image_size"] = parse_size("image-size", options.image_size)
    if options.model is not None:
        _check_model(options.model)
    import_tensorflow()
    from .translation.export_model import export_model
    from .translation.translator import export_run

    if options.model is not None:
        print(export_model(options.model, options.output, options.format, **of_format))
        return
    output = options.output or Run(options.run).exports(options.format)
    paths = export_run(options.run, output, options.format, weights=options.weights, **of_format)
    for path in paths:
        print(path)


def _check_model(model: Path) -> None:
    """See that it is there, before anything slow."""
    if not model.exists():
        raise UserError(missing("file or folder", model))
    if model.is_dir() and not (model / "model.keras").is_file():
        raise UserError(
            f"{model} has no model.keras, which convert writes; for the folder of a run, give --run"
        )


def _check_format(option: str, given: str, *takers: str) -> None:
    if given not in takers:
        raise UserError(f"{option} is for --format {' and '.join(takers)}, not for {given}")


if __name__ == "__main__":
    run_command(main)
