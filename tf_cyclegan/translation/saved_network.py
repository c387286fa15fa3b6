"""The network within a SavedModel of this package, for what its graph alone cannot: fast and in tiles.

The graph is for TensorFlow anywhere, of any size and with plain operations. Beside it lies what the
network is, in a file, and the weights are those of the SavedModel.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import keras

from .. import models  # noqa: F401 (Keras knows its layers from here on)
from ..errors import UserError

FILE = Path("assets.extra") / "network.json"  # where SavedModels keep what TensorFlow does not read


def can_be_rebuilt(network) -> bool:
    """Whether what is translated with is a network of layers that Keras or this package knows."""
    if not isinstance(network, keras.layers.Layer) or isinstance(network, keras.layers.Lambda):
        return False
    is_known = type(network).__module__.split(".")[0] in ("keras", __name__.split(".")[0])
    inner = network.layers if isinstance(network, keras.Model) else []
    return is_known and all(map(can_be_rebuilt, inner))


def write_architecture(
    network: keras.Model, used: Sequence, size_multiple: int, folder: Path
) -> None:
    """Write what a network is beside its SavedModel.

    Args:
        network: Of layers of Keras and of this package.
        used: TensorFlow's variables in the order that the SavedModel keeps them in.
        size_multiple: Heights and widths that the network takes are multiples of this.
        folder: Of the SavedModel.
    """
    places = {id(weight.value): place for place, weight in enumerate(network.weights)}
    facts = {
        "network": json.loads(network.to_json()),
        "weights": [places[id(variable)] for variable in used],
        "size_multiple": size_multiple,
    }
    path = folder / FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(facts))


def read_network(folder: Path, weights: Sequence) -> tuple[keras.Model, int] | None:
    """Rebuild the network of a SavedModel.

    Args:
        folder: Of the SavedModel.
        weights: As it keeps them.

    Returns:
        The network and its size multiple; None for a SavedModel of an earlier version, or of what is
        more than a network.

    Raises:
        UserError: The file that says what it is, is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        facts = json.loads(path.read_text())
        network = keras.models.model_from_json(json.dumps(facts["network"]))
        for place, weight in zip(facts["weights"], weights, strict=True):
            network.weights[place].assign(weight)
        return network, int(facts["size_multiple"])
    except Exception as error:  # whatever Keras makes of what is damaged
        raise UserError(
            f"{path} is damaged ({str(error).splitlines()[0]}); export the model again, or remove that "
            "file to translate without it"
        ) from error
