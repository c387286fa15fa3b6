"""Translate pictures: `python -m tf_cyclegan.translate --model runs/emoji --input photos ...`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .commands import import_tensorflow, parse, run_command
from .data.decode import IMAGE_SUFFIXES, UnreadableImage, decode_image
from .data.sources import image_files
from .errors import UserError
from .files import check_writable, writing
from .pictures import side_by_side
from .progress import log, progress
from .settings import MAX_PIXELS
from .translation.load import Direction, load_translator
from .translation.video import check_input, check_output, import_av, translate_video


@dataclass(frozen=True)
class Options:
    """Translate a picture, or every picture in a folder, under the same names; or a film with --video.

    A film keeps its size, timestamps and sound. It may be anything that FFmpeg knows; --output ends in
    .mp4, .mov, .mkv or .webm. Needs pip install 'tf_cyclegan[video]'.
    """

    model: Path
    """a SavedModel, the folder of a run, or one that convert wrote"""
    output: Path
    """folder for the translated pictures; with --video, the film to write"""
    input: Path | None = None
    """a picture, or a folder of them"""
    video: Path | None = None
    """a film, instead of --input"""
    direction: Direction | None = None
    """which of a run's translators to use (default: x_to_y)"""
    side_by_side: bool = False
    """put the original to the left of each translated picture or frame"""
    skip_unreadable: bool = False
    """leave out pictures that cannot be read, instead of stopping"""
    max_pixels: int | None = None
    """pictures of more pixels are not decoded (default: 65,000,000)"""
    overwrite: bool = False
    """replace pictures that are in the output folder already, or the film"""
    batch_size: int | None = None
    """frames of a film translated at once (default: as many as make a megapixel, at most 16)"""


def main(arguments: list[str] | None = None) -> None:
    """The command: `python -m tf_cyclegan.translate`."""
    options = parse(Options, arguments, "translate")
    if (options.input is None) == (options.video is None):
        raise UserError("give either --input, a picture or a folder of them, or --video, a film")
    if options.video is not None:
        _translate_film(options)
        return
    if options.batch_size is not None:
        raise UserError("--batch-size is for --video; pictures are translated one by one")
    max_pixels = MAX_PIXELS if options.max_pixels is None else options.max_pixels
    if max_pixels < 1:
        raise UserError(f"--max-pixels is {max_pixels}; it must be at least 1")
    jobs = _jobs(options)
    import_tensorflow()
    translate = load_translator(options.model, options.direction)
    skipped = []
    for source, target in progress(jobs, len(jobs), "translating"):
        try:
            original = np.asarray(decode_image(source.read_bytes(), max_pixels))
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


def _translate_film(options: Options) -> None:
    for option in ("skip_unreadable", "max_pixels"):
        if getattr(options, option):
            name = option.replace("_", "-")
            raise UserError(f"--{name} is for --input; leave it out with --video")
    if options.batch_size is not None and options.batch_size < 1:
        raise UserError(f"--batch-size is {options.batch_size}; it must be at least 1")
    import_av()
    check_output(options.output)
    check_writable(options.output)
    check_input(options.video)
    if options.output.exists():
        if options.output.samefile(options.video):
            raise UserError(f"--output {options.output} is the film itself; choose another")
        if not options.overwrite:
            raise UserError(
                f"{options.output} exists; choose another --output, or pass --overwrite"
            )
    import_tensorflow()
    count = translate_video(
        load_translator(options.model, options.direction),
        options.video,
        options.output,
        options.batch_size,
        options.side_by_side,
    )
    log(f"wrote {count} frames to {options.output}")


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
        check_writable(target)
    return jobs


def _format(path: Path) -> str:
    suffix = path.suffix.lower().lstrip(".")
    return {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper())


if __name__ == "__main__":
    run_command(main)
