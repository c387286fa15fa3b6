"""Networks of Keras from their files."""

from pathlib import Path

import keras

from ..errors import UserError
from ..paths import missing


def read_network(path: Path) -> keras.Model:
    """Read a .keras file; nothing in it is executed.

    Raises:
        UserError: There is no such file, or it is no model of Keras.
    """
    if not path.is_file():
        raise UserError(missing("file", path))
    if path.suffix != ".keras":
        raise UserError(f"{path} is not a .keras file")
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # whatever Keras makes of a damaged file
        raise UserError(f"{path} is not a model of Keras ({str(error).splitlines()[0]})") from error
