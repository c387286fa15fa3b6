"""How many images a second does the input pipeline give, and does a step wait for them?

    python -m benchmarks.input_pipeline [--cases resnet9_128 unet_256 demo_64] [--json FILE]

First the pipeline alone: 256x256 JPEG and PNG files, decoded, scaled to 286x286 (bicubic), cropped to
256x256, mirrored and normalised; ours decoding anew each time, ours from its cache, and the tutorial's
with tf.data and TensorFlow's own operations, decoding too. "A core" is images by the seconds that all
cores have worked. Then training on such files: the share of a step that is spent waiting for the next
batch, and the step's time beside one on constant data.
"""

import tempfile
from functools import partial
from pathlib import Path
from statistics import median

from tf_cyclegan.commands import run_command

from .pictures import write_pictures
from .report import Setting, add_cases, number, parser, print_header, print_row
from .turns import Contender, Ratio, take_turns

PIPELINES = {"decoding": "ours", "cached": "ours", "tutorial": "tutorial"}
IMAGES_A_BATCH = 2  # one of each domain


def measure_alone(suffix: str, setting: Setting) -> dict:
    """Let the pipelines give batches in turn.

    Returns:
        Medians of images a second, and of images a second of a core's work.
    """
    options = setting.options
    cores = {name: [] for name in PIPELINES}
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(Path(folder, "data"), options.images, suffix=suffix)
        makers = {
            name: partial(
                Contender, f"benchmarks.{module}", f"batches_{name}", str(Path(folder, "data"))
            )
            for name, module in PIPELINES.items()
        }
        times = take_turns(
            makers,
            options.rounds,
            options.seconds,
            f"{suffix} files",
            lambda name, contender: cores[name].append(contender.cpu_seconds),
        )
    ratios = [Ratio.of(times["tutorial"], times[name]) for name in ("decoding", "cached")]
    return {
        "files": suffix.removeprefix("."),
        **{f"{name}_images_s": IMAGES_A_BATCH / median(times[name]) for name in PIPELINES},
        **{f"{name}_images_s_core": IMAGES_A_BATCH / median(cores[name]) for name in PIPELINES},
        "spread": max(ratio.spread for ratio in ratios),
        "machine": setting.machine,
    }


def measure_waiting(case_name: str, setting: Setting) -> dict:
    """Train a case from files and on constant data in turn.

    Returns:
        Medians of seconds a step, and of the share of it that was waited for data.
    """
    options = setting.options
    waited = []
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(Path(folder, "data"), options.images)
        makers = {"constant": partial(Contender, "benchmarks.ours", "train_step", case_name)}
        for name, from_cache in (("decoding", False), ("cached", True)):
            data = str(Path(folder, "data"))
            makers[name] = partial(
                Contender, "benchmarks.ours", "train_on_files", case_name, data, from_cache
            )

        def after_turn(name, contender):
            if name == "decoding":
                waited.append(contender.result)

        times = take_turns(makers, options.rounds, options.seconds, case_name, after_turn)
    ratios = {name: Ratio.of(times[name], times["constant"]) for name in ("decoding", "cached")}
    return {
        "case": case_name,
        **{f"{name}_s": median(seconds) for name, seconds in times.items()},
        "waiting": median(waited),
        "spread": max(ratio.spread for ratio in ratios.values()),
        "ratios": {name: vars(ratio) for name, ratio in ratios.items()},
        "machine": setting.machine,
    }


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    options = parser(__doc__, rounds=5, seconds=2.0, torch=False)
    options.add_argument("--images", type=int, default=200, help="files a domain (200)")
    add_cases(options)
    setting = Setting.of(options.parse_args(arguments))
    print_header(
        *("files", "ours, decoding: images/s", "a core", "ours, cached: images/s", "a core"),
        *("tutorial: images/s", "a core"),
    )
    results = []
    for suffix in (".jpg", ".png"):
        result = measure_alone(suffix, setting)
        results.append(result)
        speeds = (result[f"{name}_images_s{per}"] for name in PIPELINES for per in ("", "_core"))
        print_row(result["files"], *(f"{speed:.0f}" for speed in speeds))
        setting.save(results)
    print()
    print_header(
        *("case", "constant data, s", "decoding, s", "cached, s"),
        *("decoding to constant", "cached to constant", "waiting for decoded images"),
    )
    for name in setting.options.cases:
        result = measure_waiting(name, setting)
        results.append(result)
        print_row(
            name,
            *(number(result[f"{how}_s"]) for how in ("constant", "decoding", "cached")),
            *(Ratio(**result["ratios"][how]) for how in ("decoding", "cached")),
            f"{result['waiting']:.1%}",
        )
        setting.save(results)


if __name__ == "__main__":
    run_command(main)
