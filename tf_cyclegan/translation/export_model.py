"""What the convert command wrote, or another network of Keras, in the formats that runs go to."""

import math
from pathlib import Path

import keras

from ..errors import UserError
from ..models import BlurHalving2D
from ..models.keras_file import read_network
from .translator import export_path, export_translator


def export_model(model: Path, output: Path | None, format: str, **options) -> Path:
    """Write the translator of a .keras file in another format, under its name.

    Args:
        model: The file, or the folder that the convert command wrote.
        output: Folder to write to; if not given, one named as the format, beside the file.
        format: "saved_model", or one of `formats.FILE_FORMATS`.
        **options: Of what writes the format, see `formats`.

    Returns:
        What was written.

    Raises:
        UserError: There is no such file, it holds no translator, or nothing can be written.
    """
    file = model / "model.keras" if model.is_dir() else model
    network = read_network(file)
    multiple = size_multiple(network)
    _check_translates(network, multiple, file)
    output = output or file.parent / format
    if (output / "saved_model.pb").exists():
        raise UserError(f"{output} is a SavedModel already; choose another folder with --output")
    path = export_path(output, file.stem, format)
    export_translator(network, multiple, path, format, **options)
    return path


def size_multiple(network: keras.Model) -> int:
    """What heights and widths of its images are multiples of: how often it halves them."""
    return math.prod(_strides(network))


def _strides(layer: keras.layers.Layer) -> list[int]:
    if isinstance(layer, keras.Model):
        return [stride for inner in layer.layers for stride in _strides(inner)]
    if isinstance(layer, BlurHalving2D):
        return [2]
    halves = isinstance(layer, keras.layers.Conv2D | keras.layers.AveragePooling2D)
    return [layer.strides[0]] if halves else []  # transposed convolutions are no Conv2D


def _check_translates(network: keras.Model, multiple: int, file: Path) -> None:
    sides = [-(-64 // multiple) * multiple] * 2  # enough for discriminators, too
    shape = (1, *sides, network.input_shape[-1])
    made = network.compute_output_shape(shape)
    if tuple(made[:3]) != shape[:3]:
        raise UserError(
            f"{file} holds no translator: of images of {sides[0]}x{sides[1]} it makes numbers of "
            f"shape {list(made)[1:]}"
        )
