"""How much memory does a training step take?

    python -m benchmarks.memory [--cases resnet9_128 unet_256 demo_64] [--torch PYTHON] [--json FILE]

The most that a process held, from its start to the end of its third step: libraries, networks, tracing
and compilation included. Only of the main memory: on a GPU look at its own.
"""

from functools import partial
from statistics import median

from tf_cyclegan.commands import run_command
from tf_cyclegan.progress import ProgressLine

from .report import Setting, add_cases, number, parser, print_header, print_row
from .train_step import contenders
from .turns import Contender, Ratio

STEPS = 3


def measure(case_name: str, setting: Setting) -> dict:
    """Train a case for some steps with each contender, one after the other, in fresh processes.

    Returns:
        Medians of bytes, and the ratios to ours.
    """
    makers = contenders(case_name, setting)
    peaks = {name: [] for name in makers}
    with ProgressLine(setting.options.rounds * len(makers), case_name) as line:
        for _ in range(setting.options.rounds):
            for name, maker in makers.items():
                peaks[name].append(_peak(maker))
                line.update(line.done + 1, name)
    ratios = {name: Ratio.of(peaks["ours"], peaks[name]) for name in peaks if name != "ours"}
    return {
        "case": case_name,
        "ours_bytes": median(peaks["ours"]),
        "tutorial_bytes": median(peaks["tutorial"]),
        "pytorch_bytes": median(peaks["pytorch"]) if "pytorch" in peaks else None,
        "spread": max(ratio.spread for ratio in ratios.values()),
        "ratios": {name: vars(ratio) for name, ratio in ratios.items()},
        "machine": setting.machine,
    }


def _peak(maker: partial) -> int:
    contender: Contender = maker()
    try:
        contender.work(STEPS)
        return contender.peak_bytes
    finally:
        contender.close()


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    options = parser(__doc__, rounds=3)
    add_cases(options)
    setting = Setting.of(options.parse_args(arguments))
    print_header(
        *("case", "ours, GB", "tutorial, GB", "PyTorch, GB"),
        *("share of the tutorial's", "share of PyTorch's"),
    )
    results = []
    for name in setting.options.cases:
        result = measure(name, setting)
        results.append(result)
        ratios = {name: Ratio(**ratio).percent for name, ratio in result["ratios"].items()}
        gigabytes = (result[f"{name}_bytes"] for name in ("ours", "tutorial", "pytorch"))
        print_row(
            result["case"],
            *(number(value and value / 1e9) for value in gigabytes),
            ratios["tutorial"],
            ratios.get("pytorch", "-"),
        )
        setting.save(results)


if __name__ == "__main__":
    run_command(main)
