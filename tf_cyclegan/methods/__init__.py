"""The methods: each one's settings, networks, objective, step, samples and translators in one place.

Uses optimization, models, losses and the ground; knows no data, no run folder and no log.
"""

import functools
import json
from pathlib import Path

from ..errors import UserError
from ..settings import RunSettings
from .bigan import METHOD as BIGAN
from .cogan import METHOD as COGAN
from .cut import METHOD as CUT
from .cyclegan import METHOD as CYCLEGAN
from .dclgan import METHOD as DCLGAN
from .feature_loss import METHOD as FEATURE_LOSS
from .method import Method
from .pix2pix import METHOD as PIX2PIX
from .simgan import METHOD as SIMGAN

BUILT_IN = (CYCLEGAN, PIX2PIX, SIMGAN, FEATURE_LOSS, BIGAN, COGAN, CUT, DCLGAN)
DEFAULT = CYCLEGAN.name
COLOUR = {"channels": 3, "type": "uint8", "range": "0,255"}
ENTRY_POINTS = "tf_cyclegan.methods"


@functools.cache
def methods() -> dict[str, Method]:
    """Every method by its name: those here, and those of other packages.

    Another package brings one by an entry point of the group "tf_cyclegan.methods" that is a `Method`.

    Raises:
        UserError: Two have the same name, or an entry point is something else.
    """
    from importlib.metadata import entry_points

    found = {method.name: method for method in BUILT_IN}
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            method = entry.load()
        except Exception as error:  # whatever happens in the other package
            raise UserError(
                f"the method {entry.name} of another package cannot be loaded ({entry.value}: "
                f"{error}); mend or uninstall that package"
            ) from error
        if not isinstance(method, Method):
            raise UserError(f"{entry.value} is not a tf_cyclegan Method; mend that entry point")
        if method.name in found:
            raise UserError(
                f"two methods are named {method.name}: uninstall the package of {entry.value}"
            )
        found[method.name] = method
    return found


def method_of(settings: RunSettings) -> Method:
    """The method that settings are of."""
    return methods()[settings.method]


def find_method(name: str) -> Method:
    """A method by its name.

    Raises:
        UserError: There is none of that name; those that there are are named.
    """
    if name not in methods():
        raise UserError(f"there is no method {name}; there are {', '.join(methods())}")
    return methods()[name]


def read_settings(path: Path) -> RunSettings:
    """Read the settings of a run, whatever its method.

    Args:
        path: Of a config.json. Without "method" it is of a version that had but CycleGAN.

    Raises:
        UserError: The file cannot be read, is not JSON, or its method or a setting does not exist.
    """
    try:
        values = dict(json.loads(path.read_text()))
        method = find_method(values.pop("method", DEFAULT))
        if "channels_x" not in values:  # of a version that had but 8-bit colour
            values |= {f"{name}_{of}": value for name, value in COLOUR.items() for of in "xy"}
        return method.settings(**values)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, TypeError, RecursionError, UserError) as error:
        raise UserError(f"{path} is not the config.json of a run: {error}") from error
