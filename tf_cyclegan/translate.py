"""Translate pictures: `python -m tf_cyclegan.translate --model runs/emoji --input photos ...`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from .commands import import_tensorflow, parse, run_command
from .data.decode import IMAGE_SUFFIXES, UnreadableImage, decode_image
from .data.sources import image_files
from .errors import UserError
from .files import writing
from .pictures import side_by_side
from .progress import log, progress

Direction = Literal["x_to_y", "y_to_x"]


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

    from .translator import Translator, restore_generator

    path = Path(path)
    if not path.is_dir():
        raise UserError(f"there is no SavedModel and no run folder {path}")
    if (path / "saved_model" / "saved_model.pb").is_file():
        path = path / "saved_model"  # what the convert command wrote
    if (path / "saved_model.pb").is_file():
        if direction is not None:
            raise UserError(f"{path} is a SavedModel and has one direction; leave out --direction")
        model = tf.saved_model.load(str(path))
        if "serving_default" not in model.signatures or not hasattr(model, "translate_images"):
            raise UserError(f"{path} is a SavedModel of another program, not of this one")
    else:
        generator, config = restore_generator(path, direction or "x_to_y")
        model = Translator(generator, config.size_multiple)

    def translate(images: np.ndarray) -> np.ndarray:
        return model.translate_images(tf.convert_to_tensor(images, tf.uint8))["images"].numpy()

    return translate


@dataclass(frozen=True)
class Options:
    """Translate a picture, or every picture in a folder, under the same names."""

    model: Path
    """a SavedModel, the folder of a run, or one that convert wrote"""
    input: Path
    """a picture, or a folder of them"""
    output: Path
    """folder for the translated pictures"""
    direction: Direction | None = None
    """which of a run's translators to use (default: x_to_y)"""
    side_by_side: bool = False
    """put the original to the left of each translated picture"""
    skip_unreadable: bool = False
    """leave out pictures that cannot be read, instead of stopping"""
    overwrite: bool = False
    """replace pictures that are in the output folder already"""


def main(arguments: list[str] | None = None) -> None:
    """The command: `python -m tf_cyclegan.translate`."""
    options = parse(Options, arguments, "translate")
    jobs = _jobs(options)
    import_tensorflow()
    translate = load_translator(options.model, options.direction)
    skipped = []
    for source, target in progress(jobs, len(jobs), "translating"):
        try:
            original = np.asarray(decode_image(source.read_bytes()))
        except (UnreadableImage, OSError) as error:
            if not options.skip_unreadable:
                raise UserError(
                    f"{source} cannot be read ({error}); remove it, or pass --skip-unreadable"
                ) from error
            skipped.append(source)
            continue
        translated = translate(original[None])[0]
        pictures = [original, translated] if options.side_by_side else [translated]
        with writing(target) as beside, beside.open("wb") as file:
            side_by_side(*pictures).save(file, _format(target), quality=95)
    if skipped:
        log(f"left out {len(skipped)} unreadable pictures: {', '.join(map(str, skipped))}")
    log(f"wrote {len(jobs) - len(skipped)} pictures to {options.output}")


def _jobs(options: Options) -> list[tuple[Path, Path]]:
    """Pairs of a picture to read and a picture to write."""
    if options.input.is_dir():
        sources = image_files(options.input)
        root = options.input
    else:
        sources, root = [options.input], options.input.parent
        if not options.input.is_file():
            raise UserError(f"there is no picture and no folder {options.input}")
    if not sources:
        raise UserError(f"{options.input} holds no picture ({' '.join(sorted(IMAGE_SUFFIXES))})")
    jobs = [(source, options.output / source.relative_to(root)) for source in sources]
    # A GIF would keep 256 colours of the translation.
    jobs = [
        (source, target.with_suffix(".png") if target.suffix.lower() == ".gif" else target)
        for source, target in jobs
    ]
    for source, target in jobs:
        if target.exists() and target.samefile(source):
            raise UserError(f"--output {options.output} would replace the input; choose another")
        if target.exists() and not options.overwrite:
            raise UserError(f"{target} exists; choose another --output, or pass --overwrite")
    return jobs


def _format(path: Path) -> str:
    suffix = path.suffix.lower().lstrip(".")
    return {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper())


if __name__ == "__main__":
    run_command(main)
