"""Measure everything and write docs/fidelity.md: `python -m tests.fidelity`."""

import platform
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tf_cyclegan.files import write_file

from . import golden
from .checks import CHECKS, Check

PAGE = Path(__file__).parents[2] / "docs" / "fidelity.md"

ABOUT = {
    "Networks": """\
Against PyTorch in float64, for the same weights and images (`tests/golden/networks.npz`): the
authors' `resnet_6blocks`, `resnet_9blocks` and `basic` discriminator, and the tutorial's U-Net and
discriminator. The generators with `resize` upsampling are ours. The error is the largest difference,
relative to the largest value.""",
    "Training, paper": """\
In float64. Least squares, lambda 10, identity 0.5, a pool of 5 at batch 2 that fills and then
exchanges as the golden file says, the rate falling after the sixth step. The PyTorch script updates
in the authors' order: both generators, then the discriminators on pooled images of before that update.
The error is the largest over the network's arrays, each relative to its own length (see "How arrays
are compared").""",
    "Training, tutorial": """\
In float64. Cross-entropy, lambda 10, identity 0.5, no pool, constant rate, dropout off. The PyTorch
script takes all four gradients before any update, as the tutorial does.""",
    "Learning rate": """\
Against the paper's words (section 7.1), by hand: the same rate for the first 100 epochs, then linearly
to zero over the next 100. The last row is no error but a difference of design: ours falls with every
step, the authors' with every epoch, by `1 - max(0, epoch + 1 - n) / (n_decay + 1)` (epochs counted
from 1, n and n_decay 100), so that it is 1 - 1/101 in epoch 100 already and 0 in epoch 200. The row
gives the largest difference of the two, as a share of the first rate.""",
    "Image pool": """\
The choices of training steps (10,000 images, a pool of 50), and its bookkeeping against a plain Python
list that takes one image after the other.""",
    "Tutorial checkpoint": """\
A checkpoint that the tutorial's own lines write (`tf.train.Checkpoint`, `CheckpointManager`, one update
done, Keras 3), restored by name into `CycleGAN(PRESETS["tutorial"])` with fewer filters. Its networks
come from `tensorflow_examples`, which is on no package index: `tests/fidelity/tutorial.py` nests the
same layers in the same way.""",
}

PAGE_TEXT = """\
# Fidelity: every number against another computation

Written by `python -m tests.fidelity` with TensorFlow {tensorflow}, Keras {keras} and NumPy
{numpy} on {machine}; `pytest tests/project/test_fidelity.py` holds every row to its bound. The golden
files in `tests/golden` are written by `tools/make_golden.py`: PyTorch in float64, from the paper, the
tutorial and the authors' names and order, sharing with this package only the random numbers to start
from.

{tables}
## How arrays are compared

Gradients and changes of weights are kept as sketches, to keep the golden files small: an array of up
to eight numbers as it is, a longer one as its projections on eight random directions. The projection
of a difference has on average the length of the difference, so a wrong array shows. Arrays shorter than
1e-3 of the network's longest are measured against that. The bias of a convolution before a norm has
gradient zero, so what is there is rounding, which Adam makes larger: its change is left out.

## Known differences

- **Adam.** PyTorch divides by `sqrt(v / (1 - beta_2^t)) + 1e-8`, Keras by `sqrt(v) + 1e-7`, v not yet
  corrected for its start at zero (the "epsilon hat" of Kingma and Ba). The preset `paper` takes the
  first (`--epsilon-form pytorch --epsilon 1e-8`), and its golden files are written by PyTorch's own
  optimizer; `tutorial` takes the second, written out by hand. How far the two forms part on these small
  networks, as the length of the difference in the weights relative to the length of their change:
  {adam}.
- **Leaky ReLU.** TensorFlow holds its slope in float32, whatever it computes in; so do the golden
  files.
- **Learning rate.** A step at a time instead of an epoch at a time, see above.
- **PatchGAN, the tutorial's.** `padding="same"` as in the tutorial, which where a side is odd inside
  (image sides that are no multiple of 8) pads one pixel on the left and at the top and two on the
  right and at the bottom. The paper's (`norm_affine=False`) pads one pixel a side, as the authors do.
"""


def table(group: str, measured: list[tuple[Check, float]]) -> str:
    rows = ""
    for check, error in measured:
        verdict = "" if error <= check.bound else " **fails**"
        rows += f"| {check.what} | {error:.2g} | {check.bound:g}{verdict} |\n"
    return f"## {group}\n\n{ABOUT[group]}\n\n| check | measured | at most |\n|---|---|---|\n{rows}"


def adam_forms() -> str:
    return ", ".join(
        f"{float(golden.load(preset)[f'adam forms {steps}']):.2g} after {steps} "
        f"{'step' if steps == 1 else 'steps'} ({preset})"
        for preset in ("paper", "tutorial")
        for steps in (1, golden.STEPS)
    )


def measure(report: Callable[[str], None]) -> dict[str, list[tuple[Check, float]]]:
    groups: dict[str, list[tuple[Check, float]]] = {}
    for check in CHECKS:
        error = check.measure()
        groups.setdefault(check.group, []).append((check, error))
        verdict = "ok  " if error <= check.bound else "FAIL"
        report(f"{verdict} {error:8.2g} <= {check.bound:<7g} {check.group}: {check.what}")
    return groups


def main() -> None:
    groups = measure(lambda line: print(line, flush=True))
    tables = "\n".join(table(group, measured) for group, measured in groups.items())
    text = PAGE_TEXT.format(
        tensorflow=tf.__version__,
        keras=keras.__version__,
        numpy=np.__version__,
        machine="a GPU" if tf.config.list_physical_devices("GPU") else platform.machine(),
        tables=tables,
        adam=adam_forms(),
    )
    PAGE.parent.mkdir(exist_ok=True)
    write_file(PAGE, text)
    print(f"wrote {PAGE}")
    if not all(error <= check.bound for rows in groups.values() for check, error in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
