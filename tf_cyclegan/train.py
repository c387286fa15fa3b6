"""Train a translator: `python -m tf_cyclegan.train --dataset cycle_gan/horse2zebra`."""

import shlex
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .commands import import_tensorflow, parse, run_command
from .errors import UserError
from .evaluation.whole_run import train
from .paths import from_home, missing
from .progress import log
from .settings import RunSettings
from .training.options import options_of, settings_before, settings_of

ABOUT = "Train a translator between two domains of images."


def parse_config(arguments: list[str] | None = None) -> tuple[RunSettings, int | None]:
    """Options as settings, and --more-epochs; an error or --help ends the program."""
    base = settings_before(arguments)
    options: Any = parse(options_of(base, ABOUT), arguments, "train")
    return settings_of(options, type(base)), options.more_epochs


def main(arguments: list[str] | None = None) -> None:
    """The command: `python -m tf_cyclegan.train`."""
    config, more_epochs = parse_config(arguments)
    for place in filter(None, (config.x, config.y)):
        if not from_home(place).exists():
            raise UserError(missing("folder or .zip", place))
    import_tensorflow()
    from .training.trainer import Interrupted

    try:
        train(config, more_epochs=more_epochs)
    except Interrupted as interruption:
        log(
            f"stopped after a checkpoint of step {interruption.step}; go on with: "
            f"python -m tf_cyclegan.train --run-dir {shlex.quote(str(config.run_folder))}"
        )
        sys.exit(128 + interruption.signal)


class _CallableModule(types.ModuleType):
    """Lets `tf_cyclegan.train(config)` work although `train` is also this module's name."""

    def __call__(
        self,
        config: RunSettings,
        on_sample: Callable[[Path], None] | None = None,
        more_epochs: int | None = None,
    ) -> Path:
        return train(config, on_sample, more_epochs)


sys.modules[__name__].__class__ = _CallableModule

if __name__ == "__main__":
    run_command(main)
