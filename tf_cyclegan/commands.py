"""What all commands share: how they parse, fail and end."""

import os
import re
import sys
import tempfile
from collections.abc import Callable
from typing import TypeVar

from .errors import UserError
from .progress import log

Options = TypeVar("Options")


def parse(options: type[Options], arguments: list[str] | None, name: str) -> Options:
    """Parse the command line into a dataclass; an error or --help ends the program."""
    import tyro

    return tyro.cli(options, args=arguments, prog=f"tf-cyclegan {name}")


def run_command(main: Callable[[], None]) -> None:
    """Run a command; end with code 2 and one sentence for what the user can mend.

    A bug keeps its traceback. After Ctrl-C or SIGTERM the code is 128 and the signal's number.
    """
    try:
        main()
    except UserError as error:
        log(f"error: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        log("interrupted")
        sys.exit(130)


def import_tensorflow() -> None:
    """Import TensorFlow without the notes on this machine that it prints while it starts.

    They come before any of its settings is read, so they are taken out of what it wrote to stderr;
    warnings and errors stay. With TF_CPP_MIN_LOG_LEVEL set in the environment nothing is taken out.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ or "tensorflow" in sys.modules:
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
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
                if not re.match(r"I\d{4} |WARNING: All log messages before absl", line):
                    print(line, file=sys.stderr)
