"""A trained generator as a function: from a run, a SavedModel, or what the convert command wrote."""

from pathlib import Path
from typing import TYPE_CHECKING

from ..commands import check_keras
from ..errors import UserError
from ..methods.method import Direction, Weights
from ..paths import from_home, missing
from ..pixels import PixelFormat
from ..training.run import Run
from .memory import parse_memory
from .model_pixels import pixels_of, read_pixels

if TYPE_CHECKING:
    from .pictures import PictureTranslator


def load_translator(
    path: str | Path,
    direction: Direction | None = None,
    memory: str | None = None,
    weights: Weights | None = None,
) -> "PictureTranslator":
    """Load a generator to translate images with.

    Args:
        path: A SavedModel made by this package, the folder of a run (its newest checkpoint), or one
            that the convert command wrote.
        direction: Which of a run's two translators (default: "x_to_y"); a SavedModel has but one.
        memory: What the process may take, such as "2GB" (default: half of what is free). Pictures
            that need more are translated in tiles.
        weights: Of a run: the moving averages of --ema, or what the last step left ("raw"); averages
            where there are some if not given.

    Returns:
        A function from one picture `[H, W, C]` or several `[N, H, W, C]` of any size to translated
        ones, samples of their domains' own type (uint8 of 3 channels for colour pictures); from a
        PIL image, upright and in RGB, to a PIL image. What has another shape or type ends in a
        UserError.

    Raises:
        UserError: There is no such model.

    Example:
        >>> translate = load_translator("runs/emoji", "x_to_y")
        >>> translate(np.zeros([333, 517, 3], np.uint8)).shape
        (333, 517, 3)
        >>> translate(Image.open("photo.jpg")).save("translated.png")
    """
    check_keras()
    import tensorflow as tf

    from .pictures import PictureTranslator
    from .saved_network import read_network
    from .translator import restore_translator

    path, bytes_ = from_home(path), None if memory is None else parse_memory(memory)
    if saved_model := saved_model_folder(path):
        path = saved_model
        if direction is not None:
            raise UserError(f"{path} is a SavedModel and has one direction; leave out --direction")
        if weights is not None:
            raise UserError(
                f"{path} is a SavedModel and has one set of weights; leave out --weights"
            )
        model = tf.saved_model.load(str(path))
        if "serving_default" not in model.signatures or not hasattr(model, "translate_images"):
            raise UserError(f"{path} is a SavedModel of another program, not of this one")
        pixels = read_pixels(path)
        found = read_network(path, getattr(model, "weights", ()))
        if found is None:
            return PictureTranslator(model, *pixels, memory=bytes_)
        return _of_network(*found, pixels, bytes_)
    translator, config = restore_translator(Run(path), direction or "x_to_y", weights)
    pixels = pixels_of(config, direction or "x_to_y")
    return _of_network(translator, config.size_multiple, pixels, bytes_)


def load_translators(folder: str | Path) -> dict[Direction, "PictureTranslator"]:
    """All translators of a run by direction, each as `load_translator` gives one.

    Raises:
        UserError: The folder holds no run, or none with a checkpoint.
    """
    from .translator import restore_translators

    translators, config = restore_translators(Run(folder))
    return {
        direction: _of_network(translator, config.size_multiple, pixels_of(config, direction))
        for direction, translator in translators.items()
    }


def _of_network(
    translator,
    size_multiple: int,
    pixels: tuple[PixelFormat, PixelFormat],
    memory: int | None = None,
) -> "PictureTranslator":
    import keras

    from ..methods.dropping import DroppingTranslator
    from .pictures import PictureTranslator
    from .translator import Translator

    can_be_tiled = isinstance(translator, keras.Model | DroppingTranslator)
    network = translator if can_be_tiled else None
    model = Translator(translator, size_multiple, *pixels)
    return PictureTranslator(model, *pixels, network, size_multiple, memory)


def pixels_of_model(
    path: str | Path, direction: Direction | None = None
) -> tuple[PixelFormat, PixelFormat]:
    """What the pixels are that `load_translator` takes and gives; nothing is loaded.

    Raises:
        UserError: There is no such model.
    """
    path = from_home(path)
    if saved_model := saved_model_folder(path):
        return read_pixels(saved_model)
    return pixels_of(Run(path).read_settings(), direction or "x_to_y")


def saved_model_folder(path: Path) -> Path | None:
    """The SavedModel that `path` names, which has one direction; None if it should be a run.

    Raises:
        UserError: There is no folder `path`.
    """
    if not path.is_dir():
        raise UserError(missing("SavedModel and no run folder", path))
    for folder in (path / "saved_model", path):  # the first is what the convert command writes
        if (folder / "saved_model.pb").is_file():
            return folder
    return None
