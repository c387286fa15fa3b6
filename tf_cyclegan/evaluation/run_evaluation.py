"""Judge the translators of a run, or any one translator: from images to the folder of an evaluation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..commands import check_keras
from ..errors import UserError
from ..files import check_writable
from ..methods.method import Weights
from ..paths import missing
from ..progress import log
from ..settings import MAX_PIXELS, RunSettings, parse_size
from ..training.run import Run

if TYPE_CHECKING:
    from ..data.sources import Domain


@dataclass(frozen=True)
class Options:
    """Judge the translators of a run on its test images, or any one translator on two folders."""

    run: Path | None = None
    """folder of a run: its newest checkpoint is judged, both ways and there and back"""
    model: Path | None = None
    """a SavedModel instead, judged on --input and --target"""
    input: Path | None = None
    """folder of images for --model to translate"""
    target: Path | None = None
    """folder of real images that the translated ones should be like"""
    output: Path | None = None
    """folder to write (default: RUN/evaluation, or ./evaluation for --model)"""
    direction: Literal["both", "x_to_y", "y_to_x"] = "both"
    """which translators of a run to judge"""
    weights: Weights | None = None
    """of a run with --ema: the average (default), or what the last step left"""
    dataset: str | None = None
    """judge a run on another data set than its own; its test images, or else all"""
    data_dir: str | None = None
    """where TFDS keeps prepared data sets (default: as the run)"""
    image_size: str | None = None
    """pixels a side, or HEIGHTxWIDTH, to scale to for --model (default: the images' own)"""
    pairs: Literal["names", "order", "none"] = "names"
    """which images of the two domains are true pairs: those of the same name, or in their order"""
    features: str | None = None
    """measure FID, KID, precision and recall too, on the features of: inception (fetched once), its
    weights by path, a .keras model or a SavedModel"""
    feature_resize: Literal["legacy", "clean"] = "legacy"
    """how images are scaled for Inception: as the first FID code did, or antialiased (clean-fid)"""
    fid_protocol: Literal["pytorch-fid", "clean-fid"] | None = None
    """measure FID as this package does, at any number of images, to compare with papers; Inception is
    fetched once, or --features has its weights"""
    skip_unreadable: bool = False
    """leave out images that cannot be read, instead of stopping"""
    max_pixels: int | None = None
    """images of more pixels are not decoded (default: as the run, or 65,000,000)"""
    labels: Literal["x", "y"] | None = None
    """which domain (--input is x) holds label maps, for segmentation scores"""
    palette: str = "cityscapes"
    """colours of the label maps: cityscapes, or a .json file of {"class": [red, green, blue]}"""
    segmenter: Path | None = None
    """a SavedModel from photographs to labels, to judge photographs made of label maps"""


CAUTION = (
    "biased, the more the fewer images there are; it compares with numbers of the same package on as "
    "many images alone"
)


def distribution_metrics(options: Options) -> Mapping:
    """The distances between sets of images to measure, by name; see `judge.DistributionMetric`.

    Each is called as metric(real, translated), uint8 `[M, H, W, 3]` and `[N, H, W, 3]`, returns
    {name: number}, and raises NotMeasurable where these images have no such number.
    """
    from .distribution import sliced_wasserstein, total_variation

    metrics = {"sliced_wasserstein": sliced_wasserstein, "total_variation": total_variation}
    if options.features:
        from .features import feature_metrics, load_extractor

        metrics |= feature_metrics(load_extractor(options.features, options.feature_resize))
    if options.fid_protocol:
        from .features import FID_PROTOCOLS, load_extractor, protocol_metrics

        resize = FID_PROTOCOLS[options.fid_protocol]
        inception = load_extractor(options.features or "inception", resize)
        metrics |= protocol_metrics(options.fid_protocol, inception)
    return metrics


def evaluate(options: Options) -> Path:
    """Translate, measure, and write metrics.json, the pictures and index.html.

    Returns:
        The folder written.

    Raises:
        UserError: The run, the model, the images or the options do not allow it.
    """
    from .judge import LabelMaps, judge
    from .segmentation import load_segmenter, read_palette
    from .write import write_evaluation

    check(options)
    output = check_places(options)
    metrics = distribution_metrics(options)
    palette = read_palette(options.palette)
    segmenter = load_segmenter(options.segmenter) if options.segmenter else None
    directions, about, label_maps = _run(options) if options.run else _model(options)
    if options.features:
        about["features"] = options.features
    if options.fid_protocol:
        about["fid_protocol"] = f"{options.fid_protocol}: {CAUTION}"
    results = {}
    for direction, translations in directions.items():
        maps = None
        if options.labels:
            of_target = direction.endswith(options.labels)
            maps = LabelMaps(palette, label_maps, segmenter, of_target)
        results[direction] = judge(translations, metrics, maps, f"measuring {direction}")
    write_evaluation(output, about, results, directions, options.run)
    return output


def check(options: Options) -> None:
    """See that options go together.

    Raises:
        UserError: They do not.
    """
    if (options.run is None) == (options.model is None):
        raise UserError("give either --run, or --model with --input and --target")
    if options.model and not (options.input and options.target):
        raise UserError("--model needs --input and --target, two folders of images")
    only_for_run = {
        "dataset": options.dataset,
        "data-dir": options.data_dir,
        "weights": options.weights,
    }
    only_for_model = {
        "input": options.input,
        "target": options.target,
        "image-size": options.image_size,
    }
    for name, value in (only_for_model if options.run else only_for_run).items():
        if value is not None:
            raise UserError(f"--{name} does not go with --{'run' if options.run else 'model'}")
    if options.max_pixels is not None and options.max_pixels < 1:
        raise UserError(f"--max-pixels is {options.max_pixels}; it must be at least 1")
    weights = (".pth", ".pt", ".safetensors")
    features = options.features or "inception"
    if options.fid_protocol and features != "inception" and Path(features).suffix not in weights:
        raise UserError(
            f"--fid-protocol {options.fid_protocol} is defined on Inception, not on {features}: leave "
            "out --features, or give the weights of Inception"
        )
    if options.segmenter and not options.labels:
        raise UserError("--segmenter needs --labels, the domain of the label maps: x or y")


def check_places(options: Options) -> Path:
    """See that the evaluation can be written, and that there is what it judges, before anything slow.

    Returns:
        The folder to write.

    Raises:
        UserError: It cannot, or there is not.
    """
    from ..translation.load import pixels_of_model

    output = options.output or (Run(options.run).evaluation if options.run else Path("evaluation"))
    is_ours = (output / "metrics.json").is_file() and (output / "index.html").is_file()
    if output.exists() and not is_ours and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"{output} exists and is no evaluation; choose another --output")
    check_writable(output, folder=True)
    check_keras()
    pixels_of_model(options.run or options.model)
    return output


def _run(options: Options):
    """Translate with a run: its directions, what metrics.json says about it, its label maps."""
    from ..translation.translator import restore_translators
    from .translations import compiled, translate_both

    run = Run(options.run)
    checkpoint = run.trained()
    translators, config = restore_translators(run, checkpoint, options.weights)
    if options.direction not in ("both", *translators):
        raise UserError(
            f"{run} is a run of {config.method}, which translates {', '.join(translators)} alone; "
            f"leave out --direction {options.direction}"
        )
    x, y, maps, splits = read_test_images(options, config)
    names = list(translators) if options.direction == "both" else [options.direction]
    about = {
        "run": str(options.run),
        "method": config.method,
        "step": checkpoint.step,
        "weights": options.weights or ("average" if config.has_averages else "raw"),
        "dataset": options.dataset or config.data_name,
        "splits": splits,
        "image_size": list(config.image_shape),
        "resize_method": config.resize_method,
    }
    trained_on = [side for side in "xy" if splits[side].startswith("train")]
    if trained_on and not options.dataset:
        about["caution"] = (
            f"these are training images of {' and '.join(trained_on)}, since there are no others: a "
            "translator may know some by heart"
        )
    made = compiled(translators, config.pixels)
    directions = translate_both(made, x, y, names, options.pairs)
    return directions, about, maps


def read_test_images(options: Options, config: RunSettings):
    """The images of both domains that a run is judged on, its label maps, and where they are from."""
    from ..data.piles import open_data
    from ..data.sources import open_source

    name = options.dataset or config.data_name
    if options.dataset:
        domains = open_source(options.dataset, options.data_dir or config.data_dir)
    else:
        domains = open_data(config, options.data_dir)
    splits = {}
    for letter, side in zip(config.domains, "xy", strict=True):
        splits[side] = f"test{letter}" if f"test{letter}" in domains else f"train{letter}"
        if splits[side].startswith("train"):
            log(f"{name} has no test{letter}: judging on the training images of {side}")
    x, y = read_both([domains[splits[side]] for side in "xy"], config, options)
    maps = None
    if options.labels:
        domain = domains[splits[options.labels]]
        maps = _reader(config, options)(domain, method="nearest").images
    return x, y, maps, splits


def read_both(domains: Sequence["Domain"], config: RunSettings, options: Options):
    """Read test images of X and of Y as a run reads its own."""
    from ..data.pipeline import wanted_of

    read = _reader(config, options)
    x, y = (
        read(domain, method=config.resize_method, wanted=wanted)
        for domain, wanted in zip(domains, wanted_of(config), strict=True)
    )
    for line in (*x.lines, *y.lines):
        log(f"test images of {line}")
    return x, y


def _reader(config: RunSettings, options: Options):
    from .translations import read_images

    return partial(
        read_images,
        shape=config.image_shape,
        skip_unreadable=options.skip_unreadable or config.skip_unreadable,
        max_pixels=options.max_pixels or config.max_pixels,
        fit=config.fit,
        keep_colour_space=config.keep_colour_space,
    )


def training_evaluator(
    config: RunSettings, method, tests: Sequence["Domain"]
) -> Callable[[], dict[str, float]]:
    """Measure a method while it is trained, as `evaluate` measures the run without options.

    Args:
        config: The settings of the run.
        method: To measure.
        tests: The test images of X and of Y.

    Returns:
        A function that gives the numbers of the translated images by names such as
        "x_to_y/paired/l1"; those that these images do not allow are left out.

    Raises:
        UserError: The test images cannot be read.
    """
    from .judge import judge
    from .translations import compiled, translate_both

    options = Options(run=config.run_folder)
    x, y = read_both(tests, config, options)
    metrics = distribution_metrics(options)
    translators = compiled(method.translators, config.pixels)

    def measure() -> dict[str, float]:
        numbers = {}
        directions = translate_both(translators, x, y, list(translators), options.pairs)
        for direction, translations in directions.items():
            result = judge(translations, metrics, what=f"measuring {direction}")
            for section in ("distribution", "paired", "cycle"):
                for name, value in result.get(section, {}).items():
                    value = value if section == "cycle" else value["translated"]
                    parts = value if isinstance(value, Mapping) else {None: value}
                    for part, number in parts.items():
                        if number is not None:
                            key = "/".join(filter(None, (direction, section, name, part)))
                            numbers[key] = number
        return numbers

    return measure


def _model(options: Options):
    """Translate with a SavedModel: as `_run`, the one direction named x_to_y."""
    from ..data.sources import open_image_folder
    from ..data.survey import Wanted
    from ..data.walk import no_image
    from ..translation.load import load_translator
    from .translations import common_shape, read_images, translate_set

    translate = load_translator(
        options.model, None if options.direction == "both" else options.direction
    )
    domains = {}
    for name in ("input", "target"):
        folder = getattr(options, name)
        if not folder.is_dir():
            raise UserError(f"--{name}: {missing('folder', folder)}")
        domains[name] = open_image_folder(folder)
        if not len(domains[name]):
            raise UserError(f"--{name}: {folder} {no_image(domains[name].left_out)}")
    max_pixels = options.max_pixels or MAX_PIXELS
    if options.image_size:
        shape = parse_size("image-size", options.image_size)
    else:
        shape = common_shape(list(domains.values()), options.skip_unreadable, max_pixels)
    read = partial(
        read_images,
        shape=shape,
        skip_unreadable=options.skip_unreadable,
        max_pixels=max_pixels,
    )
    formats = {"x": translate.takes, "y": translate.gives}
    x, y = (
        read(domain, method="bicubic", wanted=Wanted.exactly(pixels, side))
        for domain, (side, pixels) in zip(domains.values(), formats.items(), strict=True)
    )
    label_domain = {"x": "input", "y": "target"}.get(options.labels)
    maps = label_domain and read(domains[label_domain], method="nearest").images
    about = {
        "model": str(options.model),
        "input": str(options.input),
        "target": str(options.target),
        "image_size": list(shape),
        "resize_method": "bicubic",
    }
    return {"x_to_y": translate_set(translate, x, y, options.pairs)}, about, maps
