"""Generators that a run starts from instead of from random weights."""

from pathlib import Path

import keras

from ..errors import UserError
from ..methods.cyclegan.step import CycleGAN
from ..models import InstanceNormalization
from ..settings import Config
from ..torch_weights.networks import convert_checkpoint


def load_initial_generators(gan: CycleGAN, config: Config) -> None:
    """Give the generators the weights that --init-generator-g and --init-generator-f name.

    Raises:
        UserError: There is no such network, or it is another one than the run's.
    """
    for direction in "gf":
        path = getattr(config, f"init_generator_{direction}")
        if path is not None:
            given = _load(Path(path))
            generator = getattr(gan, f"generator_{direction}")
            if _structure(given) != _structure(generator):
                raise UserError(
                    f"--init-generator-{direction} {path} is {_in_words(given)}, and the run's "
                    f"generator is {_in_words(generator)}: match them by --generator, --filters, "
                    "--upsampling and --norm-affine"
                )
            generator.set_weights(given.get_weights())


def _load(path: Path) -> keras.Model:
    """A .keras file, a folder of the convert command, or a PyTorch checkpoint."""
    if path.is_dir():
        path = path / "model.keras"
    if path.suffix != ".keras":
        return convert_checkpoint(path)
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # whatever Keras makes of a damaged file
        raise UserError(f"{path} is not a model of Keras ({str(error).splitlines()[0]})") from error


def _structure(model: keras.Model) -> tuple:
    return (model.name, [tuple(weight.shape) for weight in model.weights])


def _in_words(model: keras.Model) -> str:
    convs = [layer for layer in _leaves(model) if isinstance(layer, keras.layers.Conv2D)]
    norms = [layer for layer in _leaves(model) if "norm" in type(layer).__name__.lower()]
    words = [model.name]
    if convs:
        words.append(f"{convs[0].filters} filters")
    if norms:
        affine = not isinstance(norms[0], InstanceNormalization) or norms[0].affine
        words.append(f"{type(norms[0]).__name__} with{'' if affine else 'out'} scale and offset")
    return ", ".join([*words, f"{model.count_params():,} weights"])


def _leaves(model: keras.Model) -> list[keras.layers.Layer]:
    nested = [_leaves(part) if isinstance(part, keras.Model) else [part] for part in model.layers]
    return [layer for layers in nested for layer in layers]
