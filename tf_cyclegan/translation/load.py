"""A trained generator as a function: from a run, a SavedModel, or what the convert command wrote."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..methods.method import Direction
from ..training.run import Run


def load_translator(
    path: str | Path, direction: Direction | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """Load a generator to translate images with.

    Args:
        path: A SavedModel made by this package, the folder of a run (its newest checkpoint), or one
            that the convert command wrote.
        direction: Which of a run's two translators (default: "x_to_y"); a SavedModel has but one.

    Returns:
        A function from uint8 images `[N, H, W, 3]` of any size to translated ones of that size.

    Raises:
        UserError: There is no such model.

    Example:
        >>> translate = load_translator("runs/emoji", "x_to_y")
        >>> translate(np.zeros([1, 333, 517, 3], np.uint8)).shape
        (1, 333, 517, 3)
    """
    import tensorflow as tf

    from .translator import Translator, restore_translator

    path = Path(path)
    if saved_model := saved_model_folder(path):
        path = saved_model
        if direction is not None:
            raise UserError(f"{path} is a SavedModel and has one direction; leave out --direction")
        model = tf.saved_model.load(str(path))
        if "serving_default" not in model.signatures or not hasattr(model, "translate_images"):
            raise UserError(f"{path} is a SavedModel of another program, not of this one")
    else:
        translator, config = restore_translator(Run(path), direction or "x_to_y")
        model = Translator(translator, config.size_multiple)
    return _of_arrays(model)


def load_translators(folder: Path) -> dict[Direction, Callable[[np.ndarray], np.ndarray]]:
    """All translators of a run by direction, each as `load_translator` gives one.

    Raises:
        UserError: The folder holds no run, or none with a checkpoint.
    """
    from .translator import Translator, restore_translators

    translators, config = restore_translators(Run(folder))
    return {
        direction: _of_arrays(Translator(translator, config.size_multiple))
        for direction, translator in translators.items()
    }


def _of_arrays(model) -> Callable[[np.ndarray], np.ndarray]:
    import tensorflow as tf

    def translate(images: np.ndarray) -> np.ndarray:
        return model.translate_images(tf.convert_to_tensor(images, tf.uint8))["images"].numpy()

    return translate


def saved_model_folder(path: Path) -> Path | None:
    """The SavedModel that `path` names, which has one direction; None if it should be a run.

    Raises:
        UserError: There is no folder `path`.
    """
    if not path.is_dir():
        raise UserError(f"there is no SavedModel and no run folder {path}")
    for folder in (path / "saved_model", path):  # the first is what the convert command writes
        if (folder / "saved_model.pb").is_file():
            return folder
    return None
