"""How much memory does a training step take?

    python -m benchmarks.memory [--cases resnet9_128 unet_256 demo_64] [--torch PYTHON] [--json FILE]

The most that a process held, from its start to the end of its third step: libraries, networks, tracing
and compilation included. Beside it, what it held when it had imported its libraries: the rest is what a
larger network would need more of. Only of the main memory: on a GPU look at its own.
"""

from functools import partial
from statistics import median

from tf_cyclegan.commands import run_command
from tf_cyclegan.progress import ProgressLine

from .report import Setting, add_cases, number, parser, print_header, print_row
from .train_step import contenders
from .turns import Contender, Ratio

STEPS = 3
NAMES = ("ours", "tutorial", "pytorch")


def measure(case_name: str, setting: Setting) -> dict:
    """Train a case for some steps with each contender, one after the other, in fresh processes.

    Returns:
        Medians of bytes, and the ratios to ours.
    """
    makers = contenders(case_name, setting)
    peaks = {name: [] for name in makers}
    libraries = {name: [] for name in makers}
    with ProgressLine(setting.options.rounds * len(makers), case_name) as line:
        for _ in range(setting.options.rounds):
            for name, maker in makers.items():
                contender = _after_some_steps(maker)
                peaks[name].append(contender.peak_bytes)
                libraries[name].append(contender.libraries_bytes)
                line.update(line.done + 1, name)
    others = [name for name in peaks if name != "ours"]
    rests = {
        name: [peak - base for peak, base in zip(peaks[name], libraries[name], strict=True)]
        for name in peaks
    }
    ratios = {name: Ratio.of(peaks["ours"], peaks[name]) for name in others}
    rest_ratios = {name: Ratio.of(rests["ours"], rests[name]) for name in others}
    return {
        "case": case_name,
        **{f"{name}_bytes": median(peaks[name]) if name in peaks else None for name in NAMES},
        "libraries_bytes": {name: median(numbers) for name, numbers in libraries.items()},
        "spread": max(ratio.spread for ratio in ratios.values()),
        "ratios": {name: vars(ratio) for name, ratio in ratios.items()},
        "ratios_without_libraries": {name: vars(ratio) for name, ratio in rest_ratios.items()},
        "machine": setting.machine,
    }


def _after_some_steps(maker: partial) -> Contender:
    """A contender that has done some steps and ended."""
    contender: Contender = maker()
    try:
        contender.work(STEPS)
        return contender
    finally:
        contender.close()


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    options = parser(__doc__, rounds=3)
    add_cases(options)
    setting = Setting.of(options.parse_args(arguments))
    print_header(
        *("case", "ours, GB (libraries)", "tutorial, GB (libraries)", "PyTorch, GB (libraries)"),
        *("share of the tutorial's", "share of PyTorch's", "the same without libraries"),
    )
    results = []
    for name in setting.options.cases:
        result = measure(name, setting)
        results.append(result)
        shares = [
            Ratio(**result[ratios][whose]).percent if whose in result[ratios] else "-"
            for ratios, whose in (
                ("ratios", "tutorial"),
                ("ratios", "pytorch"),
                ("ratios_without_libraries", "pytorch"),
            )
        ]
        print_row(name, *(_gigabytes(result, whose) for whose in NAMES), *shares)
        setting.save(results)


def _gigabytes(result: dict, name: str) -> str:
    if name not in result["libraries_bytes"]:
        return "-"
    peak, libraries = result[f"{name}_bytes"], result["libraries_bytes"][name]
    return f"{number(peak / 1e9)} ({number(libraries / 1e9)})"


if __name__ == "__main__":
    run_command(main)
