"""How fast is a training step of CUT, FastCUT and DCLGAN?

    python -m benchmarks.contrastive --torch PYTHON [--cases fastcut_128 fastcut_64 cut_64 dclgan_64]

The package as its users get it, and the authors' step in PyTorch. Data are constant and on the device.
"""

from functools import partial
from statistics import median

from tf_cyclegan.commands import run_command
from tf_cyclegan.errors import UserError

from .cases import CONTRASTIVE
from .report import Setting, add_cases, number, parser, print_header, print_row
from .turns import Contender, Ratio, take_turns


def measure(case_name: str, setting: Setting) -> dict:
    """Let both train a case in turn: medians of seconds a step, and the ratio."""
    options = setting.options
    makers = {
        "ours": partial(Contender, "benchmarks.ours", "train_step", case_name),
        "pytorch": partial(
            Contender, "benchmarks.pytorch", "train_step", case_name, python=setting.torch.python
        ),
    }
    times = take_turns(makers, options.rounds, options.seconds, case_name)
    return {
        "case": case_name,
        "ours_s": median(times["ours"]),
        "pytorch_s": median(times["pytorch"]),
        "ratio": vars(Ratio.of(times["pytorch"], times["ours"])),
        "rounds": times,
        "machine": setting.machine,
    }


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    options = parser(__doc__, rounds=5, seconds=2.0)
    add_cases(options, CONTRASTIVE)
    setting = Setting.of(options.parse_args(arguments))
    if not setting.torch:
        raise UserError(
            "there is nobody to compare with: give --torch PYTHON, one that has PyTorch"
        )
    print_header("case", "ours, s", "PyTorch, s", "faster than PyTorch")
    results = []
    for name in setting.options.cases:
        results.append(measure(name, setting))
        ours, pytorch = (number(results[-1][f"{who}_s"]) for who in ("ours", "pytorch"))
        print_row(name, ours, pytorch, Ratio(**results[-1]["ratio"]))
        setting.save(results)


if __name__ == "__main__":
    run_command(main)
