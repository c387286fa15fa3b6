"""A trained generator as a function: from a run, a SavedModel, or what the convert command wrote."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..commands import check_keras
from ..data.decode import UnreadableImage, rgb_of
from ..errors import UserError
from ..files import from_home
from ..methods.method import Direction
from ..training.run import Run

Translate = Callable[[Any], Any]


def load_translator(path: str | Path, direction: Direction | None = None) -> Translate:
    """Load a generator to translate images with.

    Args:
        path: A SavedModel made by this package, the folder of a run (its newest checkpoint), or one
            that the convert command wrote.
        direction: Which of a run's two translators (default: "x_to_y"); a SavedModel has but one.

    Returns:
        A function from one picture `[H, W, 3]` or several `[N, H, W, 3]`, uint8 and of any size, to
        translated ones of that shape; from a PIL image, upright and in RGB, to a PIL image. What has
        another shape or type ends in a UserError.

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

    from .translator import Translator, restore_translator

    path = from_home(path)
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
    return _of_pictures(model)


def load_translators(folder: str | Path) -> dict[Direction, Translate]:
    """All translators of a run by direction, each as `load_translator` gives one.

    Raises:
        UserError: The folder holds no run, or none with a checkpoint.
    """
    from .translator import Translator, restore_translators

    translators, config = restore_translators(Run(folder))
    return {
        direction: _of_pictures(Translator(translator, config.size_multiple))
        for direction, translator in translators.items()
    }


def _of_pictures(model) -> Translate:
    import tensorflow as tf

    def translate_arrays(images: np.ndarray) -> np.ndarray:
        return model.translate_images(tf.convert_to_tensor(images))["images"].numpy()

    def translate(pictures):
        if isinstance(pictures, Image.Image):
            return Image.fromarray(translate_arrays(_array_of(pictures)[None])[0])
        images = np.asarray(pictures)
        _check_images(images)
        return translate_arrays(images[None])[0] if images.ndim == 3 else translate_arrays(images)

    return translate


def _array_of(picture: Image.Image) -> np.ndarray:
    try:
        return np.asarray(rgb_of(picture))
    except UnreadableImage as error:
        raise UserError(f"the picture cannot be read ({error})") from error


def _check_images(images: np.ndarray) -> None:
    """See that images are uint8 of three channels.

    Raises:
        UserError: They are not.
    """
    if images.ndim not in (3, 4) or images.shape[-1] != 3:
        raise UserError(
            f"the pictures have the shape {list(images.shape)}; a translator takes one picture "
            "[height, width, 3] or several [number, height, width, 3]"
        )
    if images.dtype == np.uint8:
        return
    if not images.size or images.dtype.kind not in "iuf":
        found = f"{images.dtype}"
    else:
        found = f"{images.dtype} from {images.min():g} to {images.max():g}"
    raise UserError(
        f"the pictures are {found}; a translator takes uint8 from 0 to 255: where 1.0 is white, "
        "numpy.uint8(numpy.round(255 * pictures))"
    )


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
