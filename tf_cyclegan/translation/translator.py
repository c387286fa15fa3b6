"""Trained generators as SavedModels that need only TensorFlow."""

from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from ..data.pipeline import normalise
from ..errors import UserError
from ..files import check_writable, disk_errors, write_file, writing
from ..methods import method_of
from ..methods.method import Direction
from ..settings import RunSettings
from ..training.checkpoints import Checkpoint, tensorflow_disk_errors
from ..training.run import Run
from .encoded import decode_or_nothing
from .formats import FILE_FORMATS, SMALLEST_SIDE

DIRECTIONS = ("x_to_y", "y_to_x")


class Translator(tf.Module):
    """A generator behind doors that take and return what the world has: uint8 images and files.

    Args:
        generator: Keras model, or a `tf.Module` that can be called, from `[N, H, W, 3]` to the same
            shape, both in [-1, 1].
        size_multiple: The heights and widths that it takes are multiples of this.
    """

    def __init__(self, generator: Callable, size_multiple: int):
        super().__init__()
        # Not as an attribute that is saved: see `save_translator`.
        self._generator = lambda images: generator(images)
        self.size_multiple = size_multiple

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")])
    def translate_images(self, images):
        """uint8 images `[N, H, W, 3]` of any size to uint8 images of the same size; none to none."""
        return {"images": _unless_empty(images, self._translated)}

    def _translated(self, images):
        height, width = tf.shape(images)[1], tf.shape(images)[2]
        padded = self._padded(images, height, width)
        translated = self._generator(normalise(padded))
        translated = tf.cast(translated, tf.float32)[:, :height, :width]
        pixels = tf.clip_by_value(tf.round((translated + 1.0) * 127.5), 0.0, 255.0)
        return tf.cast(pixels, tf.uint8)

    def _padded(self, images, height, width):
        """Mirror the image beyond its lower and right edges until the generator can take it."""
        for axis, size in ((1, height), (2, width)):
            multiple = self.size_multiple
            target = tf.maximum(-(-size // multiple) * multiple, SMALLEST_SIDE)
            place = tf.range(target) % (2 * size)
            images = tf.gather(images, tf.minimum(place, 2 * size - 1 - place), axis=axis)
        return images

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def translate_bytes(self, image_bytes):
        """Encoded JPEG or PNG images to PNG images; each may have its own size.

        One with an Exif orientation comes back upright. What cannot be decoded, because it is damaged,
        cut off or of another format, gives an empty string in its place, and the others their images.
        TensorFlow Serving sends and returns tensors of this name as {"b64": ...}.
        """

        def translate_one(encoded):
            image = decode_or_nothing(encoded)

            def translated_png():
                return tf.io.encode_png(self._translated(image[None])[0])

            return tf.cond(tf.size(image) > 0, translated_png, lambda: tf.constant(b""))

        return {"image_bytes": tf.map_fn(translate_one, image_bytes, fn_output_signature=tf.string)}

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32, name="images")])
    def translate_float(self, images):
        """The bare network: float32 `[N, H, W, 3]` in [-1, 1] to the same.

        Heights and widths that do not fit it end in tf.errors.InvalidArgumentError.
        """
        sides = tf.shape(images)[1:3]
        fits = tf.reduce_all((sides % self.size_multiple == 0) & (sides >= SMALLEST_SIDE))
        needed = f"multiples of {self.size_multiple} and at least {SMALLEST_SIDE}"
        sentence = f"serving_float takes images whose height and width are {needed}; these have"
        # What follows depends on it: TensorFlow Serving runs nothing else.
        with tf.control_dependencies([tf.debugging.Assert(fits, [sentence, sides])]):
            images = tf.identity(images)
        return {"images": _unless_empty(images, self._generator)}


def _unless_empty(images, translate):
    """`translate(images)`, but no images where there are none, which convolutions do not take."""
    return tf.cond(tf.size(images) > 0, lambda: translate(images), lambda: images)


def save_translator(generator: Callable, size_multiple: int, path: Path) -> None:
    """Write a generator as a SavedModel with the signatures of `Translator`."""
    translator = Translator(generator, size_multiple)
    # Keras's variables would be saved so that TensorFlow's own loader in Python finds them and the
    # one of TensorFlow Serving does not; the ones that they are made of are found by both.
    function = translator.translate_images.get_concrete_function()
    # In the order of their use, which is the same in every process; TensorFlow has none.
    places = {id(tensor): place for place, tensor in enumerate(function.captured_inputs)}
    translator.weights = sorted(function.variables, key=lambda weight: places[id(weight.handle)])
    signatures = {
        "serving_default": translator.translate_images,
        "serving_bytes": translator.translate_bytes,
        "serving_float": translator.translate_float,
    }
    with writing(path) as beside, tensorflow_disk_errors(path):
        tf.saved_model.save(translator, str(beside), signatures)


def export_run(folder: Path, output: Path, format: str = "saved_model", **options) -> list[Path]:
    """Write the translators of a run's newest checkpoint to `output`, as x_to_y and y_to_x.

    Methods that translate one way give but x_to_y.

    Args:
        folder: Of the run.
        output: Folder for them.
        format: "saved_model", or one of `FILE_FORMATS`.
        **options: Of what writes the format, see `formats`.

    Raises:
        UserError: The run has no checkpoint that can be read, `output` cannot be written, or what
            writes the format is not installed.
    """
    paths = {direction: export_path(output, direction, format) for direction in DIRECTIONS}
    translators, config = restore_translators(Run(folder))
    for direction, translator in translators.items():
        export_translator(translator, config.size_multiple, paths[direction], format, **options)
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
    translator: Callable, size_multiple: int, path: Path, format: str, **options
) -> None:
    """Write one translator in a format; see `export_run`."""
    if format == "saved_model":
        save_translator(translator, size_multiple, path)
        return
    _, to_bytes = FILE_FORMATS[format]
    with disk_errors(path), tensorflow_disk_errors(path):
        write_file(path, to_bytes(translator, size_multiple, **options))


def restore_translators(
    run: Run, checkpoint: Checkpoint | None = None
) -> tuple[dict[Direction, Callable], RunSettings]:
    """Build the method of a run and give it what a checkpoint holds.

    Args:
        run: Whose settings say what to build.
        checkpoint: Of the run; the newest that can be read if not given.

    Returns:
        Its translators by direction, see `methods.method.Trainable`, and its settings.

    Raises:
        UserError: The folder holds no run, none with a checkpoint that can be read, or its settings
            are not those of the checkpoint.
    """
    checkpoint = checkpoint or run.trained()
    config = run.read_settings()
    method = method_of(config).build(config, None, None)
    checkpoint.restore(tf.train.Checkpoint(**method.checkpoint_items))
    return dict(method.translators), config


def restore_translator(run: Run, direction: str) -> tuple[Callable, RunSettings]:
    """One of `restore_translators`, of the newest checkpoint that can be read.

    Args:
        run: Whose settings say what to build.
        direction: "x_to_y" or "y_to_x".

    Raises:
        UserError: As there, or its method translates the other way alone.
    """
    translators, config = restore_translators(run)
    if direction not in translators:
        raise UserError(
            f"{run} is a run of {config.method}, which translates {', '.join(translators)} alone; "
            f"leave out --direction {direction}"
        )
    return translators[direction], config
