"""What does training on several devices cost, and what does it give?

    python -m benchmarks.scaling [--case demo_64] [--replicas 2] [--batch-sizes 2 8] [--json FILE]

Steps of the same global batch on one device and on several replicas that share it, through the same
code as `--strategy`. On a machine without GPUs the replicas are logical CPU devices on the same
cores, so there is nothing to gain, and all that they are slower is the cost of distribution: copies
of the variables, batches cut into shares, gradients summed, images gathered for the pool. With GPUs
there are as many as you name.
"""

import tempfile
from functools import partial
from pathlib import Path
from statistics import median

from tf_cyclegan.commands import run_command

from .cases import case
from .pictures import write_pictures
from .report import Setting, number, parser, print_header, print_row
from .turns import Contender, Ratio, take_turns


def measure(batch_size: int, setting: Setting) -> dict:
    """Train with one batch size on one device and on several in turn.

    Returns:
        Medians of seconds a step and the ratio.
    """
    options = setting.options
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(Path(folder, "data"), max(20, batch_size))
        makers = {
            name: partial(
                Contender,
                "benchmarks.replicas",
                "train_step",
                *(options.case, batch_size, replicas, str(Path(folder, "data"))),
            )
            for name, replicas in (("one", 1), ("several", options.replicas))
        }
        what = f"batch {batch_size}"
        times = take_turns(makers, options.rounds, options.seconds, what)
    ratio = Ratio.of(times["one"], times["several"])
    return {
        "case": options.case,
        "batch_size": batch_size,
        "replicas": options.replicas,
        "one_s": median(times["one"]),
        "several_s": median(times["several"]),
        "spread": ratio.spread,
        "ratios": {"speedup": vars(ratio)},
        "machine": setting.machine,
    }


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    options = parser(__doc__, rounds=5, seconds=2.0, torch=False)
    options.add_argument("--case", default="demo_64", help="what to train (demo_64)")
    options.add_argument("--replicas", type=int, default=2, help="devices (2)")
    options.add_argument(
        "--batch-sizes", nargs="+", type=int, default=[2, 8], help="of all devices together (2 8)"
    )
    setting = Setting.of(options.parse_args(arguments))
    options = setting.options
    case(options.case)
    print_header(
        *("case", "global batch", "one device, steps/s", f"{options.replicas} replicas, steps/s"),
        "times as fast",
    )
    results = []
    for batch_size in options.batch_sizes:
        result = measure(batch_size, setting)
        results.append(result)
        speeds = (number(1 / result[f"{how}_s"]) for how in ("one", "several"))
        speedup = Ratio(**result["ratios"]["speedup"])
        print_row(options.case, batch_size, *speeds, speedup)
        setting.save(results)


if __name__ == "__main__":
    run_command(main)
