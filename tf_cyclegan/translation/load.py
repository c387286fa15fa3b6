"""A trained generator as a function: from a run, a SavedModel, or what the convert command wrote."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..commands import check_keras
from ..data.decode import UnreadableImage, rgb_of
from ..data.picture import Picture
from ..errors import UserError
from ..files import from_home
from ..methods.method import Direction
from ..pixels import RGB8, PixelFormat
from ..training.run import Run
from .model_pixels import pixels_of, read_pixels


class Translate:
    """A translator as a function of pictures.

    Attributes:
        takes: What the pixels of pictures to translate are.
        gives: What those of translated ones are.
    """

    def __init__(self, model, takes: PixelFormat, gives: PixelFormat):
        self._model, self.takes, self.gives = model, takes, gives

    def __call__(self, pictures: Any) -> Any:
        """Translate one picture or several, see `load_translator`."""
        if isinstance(pictures, Image.Image):
            return self._of_pil(pictures)
        images = np.asarray(pictures)
        _check_images(images, self.takes)
        if images.ndim == 3:
            return self._of_arrays(images[None])[0]
        return self._of_arrays(images)

    def _of_arrays(self, images: np.ndarray) -> np.ndarray:
        import tensorflow as tf

        return self._model.translate_images(tf.convert_to_tensor(images))["images"].numpy()

    def _of_pil(self, picture: Image.Image) -> Image.Image:
        if not is_pil(self.takes) or not is_pil(self.gives):
            raise UserError(
                f"this translator takes {self.takes} and gives {self.gives}, which PIL images do not "
                "hold; give it NumPy arrays"
            )
        translated = self._of_arrays(_array_of(picture, self.takes)[None])[0]
        return Image.fromarray(translated[..., 0] if translated.shape[2] == 1 else translated)


def is_pil(pixels: PixelFormat) -> bool:
    """Whether PIL has images of such pixels that are converted here: grey or colour of 8 bits."""
    return pixels.dtype == "uint8" and pixels.channels in (1, 3)


def load_translator(path: str | Path, direction: Direction | None = None) -> Translate:
    """Load a generator to translate images with.

    Args:
        path: A SavedModel made by this package, the folder of a run (its newest checkpoint), or one
            that the convert command wrote.
        direction: Which of a run's two translators (default: "x_to_y"); a SavedModel has but one.

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

    from .translator import Translator, restore_translator

    path = from_home(path)
    if saved_model := saved_model_folder(path):
        path = saved_model
        if direction is not None:
            raise UserError(f"{path} is a SavedModel and has one direction; leave out --direction")
        model = tf.saved_model.load(str(path))
        if "serving_default" not in model.signatures or not hasattr(model, "translate_images"):
            raise UserError(f"{path} is a SavedModel of another program, not of this one")
        return Translate(model, *read_pixels(path))
    translator, config = restore_translator(Run(path), direction or "x_to_y")
    pixels = pixels_of(config, direction or "x_to_y")
    return Translate(Translator(translator, config.size_multiple, *pixels), *pixels)


def load_translators(folder: str | Path) -> dict[Direction, Translate]:
    """All translators of a run by direction, each as `load_translator` gives one.

    Raises:
        UserError: The folder holds no run, or none with a checkpoint.
    """
    from .translator import Translator, restore_translators

    translators, config = restore_translators(Run(folder))
    loaded = {}
    for direction, translator in translators.items():
        pixels = pixels_of(config, direction)
        loaded[direction] = Translate(
            Translator(translator, config.size_multiple, *pixels), *pixels
        )
    return loaded


def _array_of(picture: Image.Image, pixels: PixelFormat) -> np.ndarray:
    try:
        image = rgb_of(picture)
        return Picture(image if pixels.channels == 3 else image.convert("L")).samples
    except UnreadableImage as error:
        raise UserError(f"the picture cannot be read ({error})") from error


def _check_images(images: np.ndarray, takes: PixelFormat) -> None:
    """See that images are what a translator takes.

    Raises:
        UserError: They are not.
    """
    if images.ndim not in (3, 4) or images.shape[-1] != takes.channels:
        raise UserError(
            f"the pictures have the shape {list(images.shape)}; this translator takes one picture "
            f"[height, width, {takes.channels}] or several [number, height, width, {takes.channels}]"
        )
    if images.dtype == np.dtype(takes.dtype):
        return
    if not images.size or images.dtype.kind not in "iuf":
        found = f"{images.dtype}"
    else:
        found = f"{images.dtype} from {images.min():g} to {images.max():g}"
    way_out = ": where 1.0 is white, numpy.uint8(numpy.round(255 * pictures))"
    raise UserError(
        f"the pictures are {found}; this translator takes {takes.dtype} from {takes.low:.10g} to "
        f"{takes.high:.10g}{way_out if takes == RGB8 else ''}"
    )


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
        raise UserError(f"there is no SavedModel and no run folder {path}")
    for folder in (path / "saved_model", path):  # the first is what the convert command writes
        if (folder / "saved_model.pb").is_file():
            return folder
    return None
