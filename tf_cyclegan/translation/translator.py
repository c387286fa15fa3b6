"""Trained generators as SavedModels that need only TensorFlow."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf

from ..data.pipeline import denormalise, normalise
from ..errors import UserError
from ..files import check_writable, disk_errors, write_file, writing
from ..methods import method_of
from ..methods.dropping import DroppingTranslator
from ..methods.method import Direction, Weights
from ..pixels import RGB8, PixelFormat
from ..settings import RunSettings
from ..training.checkpoints import Checkpoint, tensorflow_disk_errors
from ..training.run import Run
from .encoded import decode_or_nothing
from .formats import FILE_FORMATS, SMALLEST_SIDE
from .model_pixels import pixels_of, write_pixels
from .saved_network import can_be_rebuilt, write_architecture

ENCODED_TYPES, PNG_CHANNELS = {"uint8", "uint16"}, 4
DIRECTIONS = ("x_to_y", "y_to_x")


class Translator(tf.Module):
    """A generator behind doors that take and return what the world has: samples and files.

    Args:
        generator: Keras model, or a `tf.Module` that can be called, from `[N, H, W, C]` to the same
            height and width, both in [-1, 1].
        size_multiple: The heights and widths that it takes are multiples of this.
        takes: What the pixels of images to translate are.
        gives: What those of translated images are.
    """

    def __init__(
        self,
        generator: Callable,
        size_multiple: int,
        takes: PixelFormat = RGB8,
        gives: PixelFormat = RGB8,
    ):
        super().__init__()
        # Not as an attribute that is saved: see `save_translator`.
        self._generator = lambda images: generator(images)
        self.size_multiple = size_multiple
        self._takes, self._gives = takes, gives
        self.translate_images = tf.function(
            self._translate_images, [_images(takes.channels, takes.dtype)]
        )
        self.translate_float = tf.function(
            self._translate_float, [_images(takes.channels, "float32")]
        )
        self.translate_bytes = None
        fits = takes.channels in (1, 3) and gives.channels <= PNG_CHANNELS
        if fits and {takes.dtype, gives.dtype} <= ENCODED_TYPES:
            self.translate_bytes = tf.function(
                self._translate_bytes, [tf.TensorSpec([None], tf.string, name="image_bytes")]
            )

    def _translate_images(self, images):
        """Images `[N, H, W, C]` of any size, samples of X's own type, to Y's; none to none."""
        return {"images": self._unless_empty(images, self._translated, self._gives.dtype)}

    def _translated(self, images):
        height, width = tf.shape(images)[1], tf.shape(images)[2]
        padded = self._padded(normalise(images, self._takes), height, width)
        translated = tf.cast(self._generator(padded), tf.float32)[:, :height, :width]
        return denormalise(translated, self._gives)

    def _padded(self, images, height, width):
        """Mirror the image beyond its lower and right edges until the generator can take it."""
        for axis, size in ((1, height), (2, width)):
            multiple = self.size_multiple
            target = tf.maximum(-(-size // multiple) * multiple, SMALLEST_SIDE)
            place = tf.range(target) % (2 * size)
            images = tf.gather(images, tf.minimum(place, 2 * size - 1 - place), axis=axis)
        return images

    def _translate_bytes(self, image_bytes):
        """Encoded JPEG or PNG images to PNG images; each may have its own size.

        One with an Exif orientation comes back upright. What cannot be decoded, because it is damaged,
        cut off or of another format, gives an empty string in its place, and the others their images.
        TensorFlow Serving sends and returns tensors of this name as {"b64": ...}.
        """

        def translate_one(encoded):
            image = decode_or_nothing(encoded, self._takes)

            def translated_png():
                return tf.io.encode_png(self._translated(image[None])[0])

            return tf.cond(tf.size(image) > 0, translated_png, lambda: tf.constant(b""))

        return {"image_bytes": tf.map_fn(translate_one, image_bytes, fn_output_signature=tf.string)}

    def _translate_float(self, images):
        """The bare network: float32 `[N, H, W, C]` in [-1, 1] to the same.

        Heights and widths that do not fit it end in tf.errors.InvalidArgumentError.
        """
        sides = tf.shape(images)[1:3]
        fits = tf.reduce_all((sides % self.size_multiple == 0) & (sides >= SMALLEST_SIDE))
        needed = f"multiples of {self.size_multiple} and at least {SMALLEST_SIDE}"
        sentence = f"serving_float takes images whose height and width are {needed}; these have"
        # What follows depends on it: TensorFlow Serving runs nothing else.
        with tf.control_dependencies([tf.debugging.Assert(fits, [sentence, sides])]):
            images = tf.identity(images)
        return {"images": self._unless_empty(images, self._generator, "float32")}

    def _unless_empty(self, images, translate, dtype):
        """`translate(images)`, but no images where there are none, which convolutions do not take."""

        def none():
            shape = tf.concat([tf.shape(images)[:3], [self._gives.channels]], 0)
            return tf.zeros(shape, dtype)

        return tf.cond(tf.size(images) > 0, lambda: translate(images), none)


def _images(channels: int, dtype: str) -> tf.TensorSpec:
    return tf.TensorSpec([None, None, None, channels], dtype, name="images")


def save_translator(
    generator: Callable,
    size_multiple: int,
    path: Path,
    takes: PixelFormat = RGB8,
    gives: PixelFormat = RGB8,
) -> None:
    """Write a generator as a SavedModel with the signatures of `Translator`.

    `serving_bytes` is one of them where JPEG or PNG can hold what it takes, and PNG what it gives.
    """
    translator = Translator(generator, size_multiple, takes, gives)
    # Keras's variables would be saved so that TensorFlow's own loader in Python finds them and the
    # one of TensorFlow Serving does not; the ones that they are made of are found by both.
    function = translator.translate_images.get_concrete_function()
    # In the order of their use, which is the same in every process; TensorFlow has none.
    places = {id(tensor): place for place, tensor in enumerate(function.captured_inputs)}
    translator.weights = sorted(function.variables, key=lambda weight: places[id(weight.handle)])
    signatures = {
        "serving_default": translator.translate_images,
        "serving_float": translator.translate_float,
    }
    if translator.translate_bytes is not None:
        signatures["serving_bytes"] = translator.translate_bytes
    with writing(path) as beside, tensorflow_disk_errors(path):
        tf.saved_model.save(translator, str(beside), signatures)
        write_pixels(beside, takes, gives)
        is_network = isinstance(generator, keras.Model | DroppingTranslator)
        if is_network and can_be_rebuilt(generator):
            write_architecture(generator, translator.weights, size_multiple, beside)


def export_run(
    folder: Path,
    output: Path,
    format: str = "saved_model",
    weights: Weights | None = None,
    **options,
) -> list[Path]:
    """Write the translators of a run's newest checkpoint to `output`, as x_to_y and y_to_x.

    Methods that translate one way give but x_to_y.

    Args:
        folder: Of the run.
        output: Folder for them.
        format: "saved_model", or one of `FILE_FORMATS`.
        weights: See `restore_translators`.
        **options: Of what writes the format, see `formats`.

    Raises:
        UserError: The run has no checkpoint that can be read or not these weights, `output` cannot be
            written, or what writes the format is not installed.
    """
    paths = {direction: export_path(output, direction, format) for direction in DIRECTIONS}
    translators, config = restore_translators(Run(folder), weights=weights)
    for direction, translator in translators.items():
        pixels = pixels_of(config, direction)
        export_translator(
            translator, config.size_multiple, paths[direction], format, pixels, **options
        )
    return [paths[direction] for direction in translators]


def export_path(folder: Path, name: str, format: str) -> Path:
    """Where a translator of that name goes.

    Raises:
        UserError: Nothing can be written there.
    """
    suffix, to_bytes = FILE_FORMATS.get(format, ("", None))
    path = folder / f"{name}{suffix}"
    check_writable(path, folder=to_bytes is None)
    return path


def export_translator(
    translator: Callable,
    size_multiple: int,
    path: Path,
    format: str,
    pixels: tuple[PixelFormat, PixelFormat] = (RGB8, RGB8),
    **options,
) -> None:
    """Write one translator in a format; see `export_run`."""
    if format == "saved_model":
        save_translator(translator, size_multiple, path, *pixels)
        return
    _, to_bytes = FILE_FORMATS[format]
    with disk_errors(path), tensorflow_disk_errors(path):
        write_file(path, to_bytes(translator, size_multiple, **options))


def restore_translators(
    run: Run, checkpoint: Checkpoint | None = None, weights: Weights | None = None
) -> tuple[dict[Direction, Callable], RunSettings]:
    """Build the method of a run and give it what a checkpoint holds.

    Args:
        run: Whose settings say what to build.
        checkpoint: Of the run; the newest that can be read if not given.
        weights: Moving averages, or what the last step left ("raw"); averages where there are some
            if not given.

    Returns:
        Its translators by direction, see `methods.method.Trainable`, and its settings.

    Raises:
        UserError: The folder holds no run, none with a checkpoint that can be read or none of these
            weights, or its settings are not those of the checkpoint.
    """
    checkpoint = checkpoint or run.trained()
    config = run.read_settings()
    if weights == "average" and not config.has_averages:
        raise UserError(
            f"{run} keeps no averages, for it was trained without --ema; leave out --weights"
        )
    built = (
        dataclasses.replace(config, ema=0.0) if config.has_averages and weights == "raw" else config
    )
    method = method_of(config).build(built, None, None)
    checkpoint.restore(tf.train.Checkpoint(**method.checkpoint_items))
    return dict(method.translators), config


def restore_translator(
    run: Run, direction: str, weights: Weights | None = None
) -> tuple[Callable, RunSettings]:
    """One of `restore_translators`, of the newest checkpoint that can be read.

    Args:
        run: Whose settings say what to build.
        direction: "x_to_y" or "y_to_x".
        weights: As there.

    Raises:
        UserError: As there, or its method translates the other way alone.
    """
    translators, config = restore_translators(run, weights=weights)
    if direction not in translators:
        raise UserError(
            f"{run} is a run of {config.method}, which translates {', '.join(translators)} alone; "
            f"leave out --direction {direction}"
        )
    return translators[direction], config
