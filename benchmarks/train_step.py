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
    rooflines = {"TensorFlow's convolution": partial(BestOf, "benchmarks.roofline", "tensorflow")}
    if setting.torch:
        rooflines["PyTorch's convolution"] = partial(
            BestOf, "benchmarks.roofline", "pytorch", python=setting.torch.python
        )
    options = setting.options
    times = take_turns(makers | rooflines, options.rounds, options.seconds, case_name)

    convolutions = zip(*(times.pop(name) for name in rooflines), strict=True)
    share = _step_flops(case_name) / roofline.FLOPS
    times["roofline"] = [share * min(seconds) for seconds in convolutions]
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
        "step_gflop": share * roofline.FLOPS / 1e9,
        "machine": setting.machine,
    }


def _step_flops(case_name: str) -> int:
    """Counted in another process, so that this one imports no TensorFlow."""
    contender = Contender("benchmarks.flops", "of_case", case_name)
    try:
        contender.work()
        return contender.result
    finally:
        contender.close()


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
