"""What all commands share: how they parse, fail and end."""

import _thread
import dataclasses
import json
import logging
import os
import re
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from .errors import UserError
from .files import from_home
from .help_texts import registry, with_defaults_told
from .progress import log

Options = TypeVar("Options")

# What TensorFlow writes while it is imported and means nothing to anybody: notes, and the factories
# and placers of CUDA that its packages for GPUs register twice.
NOTES = re.compile(
    r"I\d{4} |WARNING: All log messages before absl"
    r"|.*Unable to register cu\w+ factory|.*computation placer already registered"
)


def parse(options: type[Options], arguments: list[str] | None, name: str) -> Options:
    """Parse the command line into a dataclass; an error, --help or --version ends the program.

    A ~ at the beginning of a path is the user's home: shells see to that in `--output ~/x`, but not in
    `--output=~/x`.
    """
    import tyro

    if "--version" in (sys.argv[1:] if arguments is None else arguments):
        print(version())
        sys.exit()
    described = with_defaults_told(options)
    with registry():
        parsed: Any = tyro.cli(described, args=arguments, prog=f"tf-cyclegan {name}")
    given = {field.name: getattr(parsed, field.name) for field in dataclasses.fields(parsed)}
    return options(**{name: _from_home(given[name]) for name in given})


def version() -> str:
    """What --version says."""
    return f"tf-cyclegan {sys.modules[__package__].__version__}"


def _from_home(value):
    if isinstance(value, Path):
        return from_home(value)
    if isinstance(value, tuple | list):
        return type(value)(map(_from_home, value))
    return value


def run_command(main: Callable[[], None]) -> None:
    """Run a command; end with code 2 and one sentence for what the user can mend.

    A bug keeps its traceback. After Ctrl-C, SIGTERM or SIGHUP (its terminal was closed) the code is
    128 and the signal's number, and what the command had begun is cleaned up.
    """
    # Of damaged blocks beside pictures, which cost nothing; what costs a picture is told by its name.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    try:
        with _ended_by_signals():
            main()
    except UserError as error:
        log(f"error: {error}")
        # TensorFlow would tell at the end what of a checkpoint it had not read before the error.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        sys.exit(2)
    except KeyboardInterrupt:
        log("interrupted")
        sys.exit(130)
    except BrokenPipeError:  # whoever read the output has had enough, as `--help | head` has
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        sys.exit(1)


def ending_signals() -> list[int]:
    """The signals that ask a process to end, without those it was told to ignore, as nohup does."""
    names = ("SIGINT", "SIGTERM", "SIGHUP")  # the last is not on Windows
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    return [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]


def _signal_again(number: int) -> None:
    """Send the main thread a signal, which ends its waiting too (but on Windows)."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident, number)
    else:
        _thread.interrupt_main(number)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the program as an exception does, by way of every `finally`.

    Python drops the exception where a signal comes within a `__del__` or a callback, of which an
    import has many: there the signal comes again a moment later.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number, _frame):
        sys.exit(128 + number)

    def dropped(unraisable):
        error = unraisable.exc_value
        if isinstance(error, KeyboardInterrupt):
            number = signal.SIGINT
        elif isinstance(error, SystemExit) and error.code in ends:
            number = ends[error.code]
        else:
            tell_dropped(unraisable)
            return
        threading.Timer(0.02, _signal_again, [number]).start()

    numbers = [number for number in ending_signals() if number != signal.SIGINT]
    ends = {128 + number: number for number in numbers}
    before = {number: signal.signal(number, end) for number in numbers}
    tell_dropped, sys.unraisablehook = sys.unraisablehook, dropped
    try:
        yield
    finally:
        sys.unraisablehook = tell_dropped
        for number, handler in before.items():
            signal.signal(number, handler)


def check_keras() -> None:
    """See that Keras is set to compute with TensorFlow, on images with their channels last.

    Keras's settings are read here as it reads them, because with another backend it may not import.

    Raises:
        UserError: It is set otherwise, by KERAS_BACKEND or its keras.json.
    """
    path = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "keras.json"
    try:
        settings = json.loads(path.read_text())
    except (OSError, ValueError):
        settings = {}
    backend = os.environ.get("KERAS_BACKEND")
    if (backend or settings.get("backend", "tensorflow")) != "tensorflow":
        said = f"KERAS_BACKEND is {backend}" if backend else f"{path} has another backend"
        raise UserError(
            f"{said}, and this runs on TensorFlow: set KERAS_BACKEND=tensorflow in the environment"
        )
    if settings.get("image_data_format", "channels_last") != "channels_last":
        raise UserError(
            f'{path} says "image_data_format": "{settings["image_data_format"]}", and images have '
            'their channels last here: change it to "channels_last"'
        )


def import_tensorflow() -> None:
    """Import TensorFlow without the notes on this machine that it prints while it starts.

    They come before any of its settings is read, so they are taken out of what it wrote to stderr;
    other warnings and errors stay. With TF_CPP_MIN_LOG_LEVEL set in the environment nothing is taken
    out.

    Raises:
        UserError: See `check_keras`.
    """
    check_keras()
    ours = "TF_CYCLEGAN_SET_LOG_LEVEL" in os.environ  # by the process that started this one
    if ("TF_CPP_MIN_LOG_LEVEL" in os.environ and not ours) or "tensorflow" in sys.modules:
        return
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_CYCLEGAN_SET_LOG_LEVEL": "1"}
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            import tensorflow  # noqa: F401
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            written.seek(0)
            for line in written.read().decode(errors="replace").splitlines():
                if not NOTES.match(line):
                    print(line, file=sys.stderr)
