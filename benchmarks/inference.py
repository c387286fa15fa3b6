"""How many images a second does a trained generator translate?

    python -m benchmarks.inference [--torch PYTHON] [--json FILE]

The paper's generator of 9 blocks on 256x256 images: the exported SavedModel, whose images are uint8 on
both sides, the Keras generator, by its `predict_on_batch`, and the same network in PyTorch in inference
mode, both from and to float32.
"""

from functools import partial
from statistics import median

from tf_cyclegan.commands import run_command

from .report import Setting, number, parser, print_header, print_row
from .turns import Contender, Ratio, take_turns

OURS = ("saved_model", "keras_generator")


def measure(batch_size: int, setting: Setting) -> dict:
    """Let all contenders translate batches of one size in turn.

    Returns:
        Medians of images a second, and how many times as fast as PyTorch ours are.
    """
    options = setting.options
    network = (options.size, options.blocks, options.filters, batch_size)
    makers = {name: partial(Contender, "benchmarks.ours", name, *network) for name in OURS}
    if setting.torch:
        makers["pytorch"] = partial(
            Contender, "benchmarks.pytorch", "translate", *network, python=setting.torch.python
        )
    times = take_turns(makers, options.rounds, options.seconds, f"batch {batch_size}")
    ratios = {name: Ratio.of(times["pytorch"], times[name]) for name in OURS if "pytorch" in times}
    speeds = {name: batch_size / median(seconds) for name, seconds in times.items()}
    return {
        "batch_size": batch_size,
        "saved_model_images_s": speeds["saved_model"],
        "keras_generator_images_s": speeds["keras_generator"],
        "pytorch_images_s": speeds.get("pytorch"),
        "spread": max((ratio.spread for ratio in ratios.values()), default=0.0),
        "ratios": {name: vars(ratio) for name, ratio in ratios.items()},
        "machine": setting.machine,
    }


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    options = parser(__doc__, rounds=5, seconds=2.0)
    options.add_argument("--batch-sizes", nargs="+", type=int, default=[1, 8], help="(1 8)")
    options.add_argument("--size", type=int, default=256, help="pixels a side (256)")
    options.add_argument("--blocks", type=int, default=9, help="residual blocks (9)")
    options.add_argument("--filters", type=int, default=64, help="of the first layer (64)")
    setting = Setting.of(options.parse_args(arguments))
    print_header(
        *("batch", "SavedModel, images/s", "Keras, images/s", "PyTorch, images/s"),
        *("SavedModel, times PyTorch", "Keras, times PyTorch"),
    )
    results = []
    for batch_size in setting.options.batch_sizes:
        result = measure(batch_size, setting)
        results.append(result)
        print_row(
            batch_size,
            *(number(result[f"{name}_images_s"]) for name in (*OURS, "pytorch")),
            *(Ratio(**result["ratios"][name]) if result["ratios"] else "-" for name in OURS),
        )
        setting.save(results)


if __name__ == "__main__":
    run_command(main)
