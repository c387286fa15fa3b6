"""Networks that a run starts from instead of from random weights."""

import dataclasses
from pathlib import Path

import keras

from ..errors import UserError
from ..files import from_home
from ..methods.method import Trainable
from ..models import BlurDoubling2D, BlurHalving2D, InstanceNormalization
from ..models.keras_file import read_network
from ..settings import RunSettings, option
from ..torch_weights.networks import convert_checkpoint


def load_initial_networks(method: Trainable, config: RunSettings) -> None:
    """Give networks the weights that settings such as --init-generator-g name, each for its network.

    Raises:
        UserError: There is no such network, or it is another one than the run's.
    """
    for name, path in dataclasses.asdict(config).items():
        if name.startswith("init_") and path is not None:
            given, own = _load(from_home(path)), method.checkpoint_items[name.removeprefix("init_")]
            if _structure(given) != _structure(own):
                raise UserError(
                    f"{option(name)} {path} is {_in_words(given)}, and the run's generator is "
                    f"{_in_words(own)}: match them by --generator, --filters, --upsampling, "
                    "--antialias and --norm-affine"
                )
            own.set_weights(given.get_weights())


def _load(path: Path) -> keras.Model:
    """A .keras file, a folder of the convert command, or a PyTorch checkpoint."""
    if path.is_dir():
        path = path / "model.keras"
    if path.suffix != ".keras":
        return convert_checkpoint(path)
    return read_network(path)


def _structure(model: keras.Model) -> tuple:
    return (model.name, [tuple(weight.shape) for weight in model.weights], _blurs(model))


def _blurs(model: keras.Model) -> list[str]:
    """The anti-aliasing of a network, which has no weights to tell it by."""
    return [kind for layer in _leaves(model) for kind in _blur(layer)]


def _blur(layer: keras.layers.Layer) -> list[str]:
    """Its kind if it is such a layer, or what `with_standard_layers` makes of one."""
    match layer:
        case BlurHalving2D() | keras.layers.AveragePooling2D(strides=(2, 2)):
            return ["BlurHalving2D"]
        case BlurDoubling2D() | keras.layers.UpSampling2D(interpolation="bilinear"):
            return ["BlurDoubling2D"]
        case _:
            return []


def _in_words(model: keras.Model) -> str:
    convs = [layer for layer in _leaves(model) if isinstance(layer, keras.layers.Conv2D)]
    norms = [layer for layer in _leaves(model) if "norm" in type(layer).__name__.lower()]
    words = [model.name]
    if convs:
        words.append(f"{convs[0].filters} filters")
    words += sorted(set(_blurs(model)))
    if norms:
        is_own = isinstance(norms[0], InstanceNormalization)  # or Keras's, in an exported file
        affine = norms[0].affine if is_own else norms[0].scale
        words.append(f"{type(norms[0]).__name__} with{'' if affine else 'out'} scale and offset")
    return ", ".join([*words, f"{model.count_params():,} weights"])


def _leaves(model: keras.Model) -> list[keras.layers.Layer]:
    nested = [_leaves(part) if isinstance(part, keras.Model) else [part] for part in model.layers]
    return [layer for layers in nested for layer in layers]
