"""Export a run: `python -m tf_cyclegan.export --run runs/emoji`."""

from dataclasses import dataclass
from pathlib import Path

from .commands import import_tensorflow, parse, run_command


@dataclass(frozen=True)
class Options:
    """Write both translators of a run as SavedModels that need only TensorFlow."""

    run: Path
    """folder of the run"""
    output: Path | None = None
    """folder to write x_to_y and y_to_x to (default: saved_model in the run's folder)"""


def main(arguments: list[str] | None = None) -> None:
    """The command: `python -m tf_cyclegan.export`."""
    options = parse(Options, arguments, "export")
    import_tensorflow()
    from .translator import export_run

    for path in export_run(options.run, options.output or options.run / "saved_model"):
        print(path)


if __name__ == "__main__":
    run_command(main)
