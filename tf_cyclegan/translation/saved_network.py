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
from ..methods.dropping import DroppingTranslator
from .tiles import Network

FILE = Path("assets.extra") / "network.json"  # where SavedModels keep what TensorFlow does not read


def can_be_rebuilt(network) -> bool:
    """Whether what is translated with is a network of layers that Keras or this package knows."""
    if isinstance(network, DroppingTranslator):
        network = network.generator
    if not isinstance(network, keras.layers.Layer) or isinstance(network, keras.layers.Lambda):
        return False
    is_known = type(network).__module__.split(".")[0] in ("keras", __name__.split(".")[0])
    inner = network.layers if isinstance(network, keras.Model) else []
    return is_known and all(map(can_be_rebuilt, inner))


def write_architecture(
    translator: Network, used: Sequence, size_multiple: int, folder: Path
) -> None:
    """Write what a network is beside its SavedModel.

    Args:
        translator: Of layers of Keras and of this package.
        used: TensorFlow's variables in the order that the SavedModel keeps them in.
        size_multiple: Heights and widths that the network takes are multiples of this.
        folder: Of the SavedModel.
    """
    drops = isinstance(translator, DroppingTranslator)
    network = translator.generator if drops else translator
    places = {id(weight.value): place for place, weight in enumerate(network.weights)}
    facts = {
        "network": json.loads(network.to_json()),
        "weights": [places[id(variable)] for variable in used],
        "size_multiple": size_multiple,
        "drops": drops,
    }
    path = folder / FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(facts))


def read_network(folder: Path, weights: Sequence) -> tuple[Network, int] | None:
    """Rebuild the network of a SavedModel, with the dropout that stays if it has one.

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
        translator = DroppingTranslator(network) if facts.get("drops") else network
        return translator, int(facts["size_multiple"])
    except Exception as error:  # whatever Keras makes of what is damaged
        raise UserError(
            f"{path} is damaged ({str(error).splitlines()[0]}); export the model again, or remove that "
            "file to translate without it"
        ) from error
