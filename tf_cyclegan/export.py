"""Export a run: `python -m tf_cyclegan.export --run runs/emoji --format onnx`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .commands import import_tensorflow, parse, run_command
from .errors import UserError
from .training.run import Run


@dataclass(frozen=True)
class Options:
    """Write both translators of a run in a format that needs neither the run nor this package.

    A SavedModel takes and returns uint8 images of any size, and JPEG or PNG files. The other formats
    hold the bare network: float32 [N, H, W, 3] in [-1, 1] in and out, N, H and W open, H and W
    multiples of what the generator takes. A .keras file loads after `import tf_cyclegan.models`.
    """

    run: Path
    """folder of the run"""
    format: Literal["saved_model", "keras", "onnx", "litert"] = "saved_model"
    """onnx needs tf2onnx: pip install 'tf2onnx>=1.17'"""
    output: Path | None = None
    """folder to write x_to_y and y_to_x to (default: named as the format, in the run's folder)"""
    float16: bool = False
    """halve a LiteRT file: weights in float16, computed with in float32"""


def main(arguments: list[str] | None = None) -> None:
    """The command: `python -m tf_cyclegan.export`."""
    options = parse(Options, arguments, "export")
    if options.float16 and options.format != "litert":
        raise UserError(f"--float16 is for --format litert; --format {options.format} has no such")
    import_tensorflow()
    from .translation.translator import export_run

    output = options.output or Run(options.run).exports(options.format)
    for path in export_run(options.run, output, options.format, options.float16):
        print(path)


if __name__ == "__main__":
    run_command(main)
