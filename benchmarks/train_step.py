"""How fast is a training step?

    python -m benchmarks.train_step [--cases resnet9_128 unet_256 demo_64] [--torch PYTHON]

The package as its users get it, the tutorial's formulation with the same networks, the authors' step in
PyTorch, and what the convolutions of the step would take at the rate of one large convolution, measured
in the same rounds. Data are constant and on the device.
"""

from functools import partial
from statistics import median

from tf_cyclegan.commands import run_command

from . import roofline
from .report import Setting, add_cases, number, parser, print_header, print_row
from .turns import BestOf, Contender, Ratio, take_turns


def contenders(case_name: str, setting: Setting) -> dict[str, partial]:
    """What starts those that train a case: ours, tutorial, and pytorch where there is PyTorch."""
    makers = {
        name: partial(Contender, f"benchmarks.{name}", "train_step", case_name)
        for name in ("ours", "tutorial")
    }
    if setting.torch:
        makers["pytorch"] = partial(
            Contender, "benchmarks.pytorch", "train_step", case_name, python=setting.torch.python
        )
    return makers


def measure(case_name: str, setting: Setting) -> dict:
    """Let all contenders train a case in turn.

    Returns:
        Medians of seconds a step, the spread of the ratios, and the ratios.
    """
    makers = contenders(case_name, setting)
    counting = "TensorFlow's convolution"
    rooflines = {counting: partial(BestOf, "benchmarks.roofline", "tensorflow", case_name)}
    if setting.torch:
        rooflines["PyTorch's convolution"] = partial(
            BestOf, "benchmarks.roofline", "pytorch", python=setting.torch.python
        )
    options = setting.options
    flops = 0

    def after_turn(name, contender):
        nonlocal flops
        if name == counting:
            flops = contender.result

    times = take_turns(makers | rooflines, options.rounds, options.seconds, case_name, after_turn)

    convolutions = zip(*(times.pop(name) for name in rooflines), strict=True)
    times["roofline"] = [flops / roofline.FLOPS * min(seconds) for seconds in convolutions]
    ratios = {name: Ratio.of(times[name], times["ours"]) for name in times if name != "ours"}
    medians = {name: median(seconds) for name, seconds in times.items()}
    return {
        "case": case_name,
        "ours_s": medians["ours"],
        "tutorial_s": medians["tutorial"],
        "pytorch_s": medians.get("pytorch"),
        "roofline_s": medians["roofline"],
        "spread": max(ratio.spread for ratio in ratios.values()),
        "ratios": {name: vars(ratio) for name, ratio in ratios.items()},
        "rounds": times,
        "step_gflop": flops / 1e9,
        "machine": setting.machine,
    }


def print_result(result: dict) -> None:
    """Print a line of the table."""
    ratios = {name: Ratio(**ratio) for name, ratio in result["ratios"].items()}
    print_row(
        result["case"],
        *(number(result[f"{name}_s"]) for name in ("ours", "tutorial", "pytorch", "roofline")),
        ratios["tutorial"],
        ratios.get("pytorch", "-"),
        f"{ratios['roofline'].percent} of {result['step_gflop'] / result['roofline_s']:.0f} GFLOP/s",
    )


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    options = parser(__doc__, rounds=5, seconds=2.0)
    add_cases(options)
    setting = Setting.of(options.parse_args(arguments))
    print_header(
        *("case", "ours, s", "tutorial, s", "PyTorch, s", "roofline, s"),
        *("faster than the tutorial", "faster than PyTorch", "share of the roofline"),
    )
    results = []
    for name in setting.options.cases:
        results.append(measure(name, setting))
        print_result(results[-1])
        setting.save(results)


if __name__ == "__main__":
    run_command(main)
