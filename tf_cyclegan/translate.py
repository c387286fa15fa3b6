"""Translate pictures: `python -m tf_cyclegan.translate --model runs/emoji --input photos ...`."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .commands import check_keras, import_tensorflow, parse, run_command
from .errors import UserError
from .files import check_writable
from .methods.method import Direction, Weights
from .paths import missing
from .progress import log
from .settings import MAX_PIXELS

if TYPE_CHECKING:  # --help needs none of it
    from .pixels import PixelFormat
    from .translation.targets import Job


@dataclass(frozen=True)
class Options:
    """Translate a picture, or every picture in a folder, under the same names; or a film with --video.

    A film keeps its size, timestamps and sound. It may be anything that FFmpeg knows; --output ends in
    .mp4, .mov, .mkv or .webm. Needs PyAV: pip install 'av>=15'.
    """

    model: Path
    """a SavedModel, the folder of a run, or one that convert wrote"""
    output: Path
    """folder for the translated pictures; the file to write for one; with --video, the film"""
    input: Path | None = None
    """a picture, or a folder of them"""
    video: Path | None = None
    """a film, instead of --input"""
    direction: Direction | None = None
    """which of a run's translators to use (default: x_to_y)"""
    weights: Weights | None = None
    """of a run with --ema: the average (default), or what the last step left"""
    suffix: str | None = None
    """kind of the written pictures, .png or .jpg or .tif ... (default: that of each, GIFs as .png)"""
    quality: int | None = None
    """from 1 to 100, of JPEG, WebP and AVIF (default: 95)"""
    alpha: Literal["keep", "white"] = "keep"
    """transparency: keep it where the written file can hold it, or lay the pictures on white"""
    keep_colour_space: bool = False
    """leave colours as they are, and keep their profile, instead of converting them to sRGB"""
    exif: Literal["keep", "drop"] = "keep"
    """what a file says of when, where and with what its picture was made: keep it, or leave it out"""
    range: str | None = None
    """LOW,HIGH: what is black and white in pictures of more bits than the model takes"""
    side_by_side: bool = False
    """put the original to the left of each translated picture or frame"""
    skip_unreadable: bool = False
    """end without an error where pictures cannot be read; they are named all the same"""
    max_side: int | None = None
    """scale pictures down first that are longer, in pixels"""
    memory: str | None = None
    """what the program may take, 2GB or 500MB (default: half of what is free); pictures that need more
    are translated in tiles"""
    max_pixels: int | None = None
    """pictures of more pixels are not decoded (default: 65,000,000)"""
    overwrite: bool = False
    """replace pictures that are in the output folder already, or the film"""
    smooth: float = 0.0
    """with --video: weight of the past, from 0 to below 1, where the picture stands still; 0.8 damps
    flicker"""
    batch_size: int | None = None
    """pictures of one size, or frames, translated at once (default: as many as suit their size)"""


FOR_PICTURES = (
    "suffix",
    "quality",
    "alpha",
    "keep_colour_space",
    "exif",
    "range",
    "skip_unreadable",
    "max_side",
    "max_pixels",
)


def main(arguments: list[str] | None = None) -> None:
    """The command: `python -m tf_cyclegan.translate`."""
    options = parse(Options, arguments, "translate")
    if (options.input is None) == (options.video is None):
        raise UserError("give either --input, a picture or a folder of them, or --video, a film")
    for name in ("batch_size", "max_pixels", "max_side", "quality"):
        value, highest = getattr(options, name), 100 if name == "quality" else None
        if value is not None and not 1 <= value <= (highest or value):
            limits = "at least 1" if highest is None else f"from 1 to {highest}"
            raise UserError(f"--{name.replace('_', '-')} is {value}; it must be {limits}")
    if options.video is not None:
        _translate_film(options)
    else:
        _translate_pictures(options)


def _translate_pictures(options: Options) -> None:
    from .pixels import RGB8, parse_range
    from .translation import translate_files
    from .translation.load import load_translator, pixels_of_model

    if options.smooth:
        raise UserError("--smooth is for --video; leave it out with --input")
    if not (options.input.is_dir() or options.input.is_file()):
        raise UserError(missing("picture and no folder", options.input))
    window = None if options.range is None else parse_range("range", options.range)
    try:
        takes, gives = pixels_of_model(options.model, options.direction)
    except UserError:
        takes = gives = RGB8  # it is told below, after what is looked at before all else
    if options.side_by_side and takes != gives:
        raise UserError(
            f"--side-by-side puts pictures together that are alike; the model takes {takes} and gives "
            f"{gives}; leave it out"
        )
    jobs = _jobs(options, gives)
    check_keras()
    pixels_of_model(options.model, options.direction)
    import_tensorflow()
    how = translate_files.Options(
        max_pixels=MAX_PIXELS if options.max_pixels is None else options.max_pixels,
        keep_alpha=options.alpha == "keep",
        quality=options.quality,
        side_by_side=options.side_by_side,
        batch_size=options.batch_size,
        keep_colour_space=options.keep_colour_space,
        max_side=options.max_side,
        keep_exif=options.exif == "keep",
        takes=takes,
        window=window,
    )
    translate = load_translator(options.model, options.direction, options.memory, options.weights)
    failures = translate_files.translate_files(translate, jobs, how)
    for note, count in how.notes.items():
        log(f"{count:,} {'pictures' if count > 1 else 'picture'}: {note}")
    if how.outside:
        log(
            f"{how.outside.total():,} samples of {len(how.outside)} pictures lie outside "
            f"{takes.low:.10g} to {takes.high:.10g}, which the model takes, and are taken as its ends"
        )
    for failure in failures:
        log(f"{failure.job.source} cannot be translated: {failure.reason}")
    failed = {failure.job for failure in failures}
    written = [job for job in jobs if job not in failed]
    one = len(written) == 1
    log(f"wrote {written[0].target if one else f'{len(written)} pictures to {options.output}'}")
    _say_what_is_lossy(written, options.quality)
    if failures and not options.skip_unreadable:
        raise UserError(
            f"{len(failures)} of {len(jobs)} pictures could not be translated and are named above; "
            "mend or remove them, or pass --skip-unreadable"
        )


def _say_what_is_lossy(jobs: list["Job"], quality: int | None) -> None:
    from .translation.picture_file import QUALITY

    counts = Counter(job.kind.format for job in jobs if job.kind.has_quality)
    if counts:
        kinds = ", ".join(f"{count} as {name}" for name, count in counts.items())
        log(
            f"{kinds} of quality {quality or QUALITY}, which loses detail: to measure the "
            "translations, write them with --suffix .png"
        )


def _translate_film(options: Options) -> None:
    from .pixels import RGB8
    from .translation.load import load_translator, pixels_of_model
    from .translation.video import check_input, check_output, import_av, translate_video

    for name in FOR_PICTURES:
        if getattr(options, name) != getattr(Options, name):
            raise UserError(f"--{name.replace('_', '-')} is for --input; leave it out with --video")
    if not 0 <= options.smooth < 1:
        raise UserError(f"--smooth is {options.smooth:g}; it must be from 0 to below 1")
    if pixels_of_model(options.model, options.direction) != (RGB8, RGB8):
        raise UserError(f"films are 8-bit colour, which {options.model} does not take and give")
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
        load_translator(options.model, options.direction, options.memory, options.weights),
        options.video,
        options.output,
        options.batch_size,
        options.side_by_side,
        options.smooth,
    )
    log(f"wrote {count} frames to {options.output}")


def _jobs(options: Options, gives: "PixelFormat") -> list["Job"]:
    from .data.walk import image_files, in_words, no_image
    from .translation.targets import plan, suffix_of

    suffix = None if options.suffix is None else suffix_of(options.suffix, gives)
    root: Path | None = None
    if options.input.is_dir():
        root = options.input
        sources, left_out = image_files(root)
        if not sources:
            raise UserError(f"{root} {no_image(left_out)}")
        if left_out:
            log(f"left out what is no picture: {in_words(left_out)}")
    else:
        sources = [options.input]
    jobs = plan(sources, root, options.output, suffix, options.overwrite, gives)
    if options.quality is not None and not any(job.kind.has_quality for job in jobs):
        raise UserError(
            f"--quality {options.quality} is for JPEG, WebP and AVIF, and none of the pictures is "
            "written so; leave it out, or choose a --suffix"
        )
    return jobs


if __name__ == "__main__":
    run_command(main)
