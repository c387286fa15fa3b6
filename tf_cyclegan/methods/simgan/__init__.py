"""SimGAN as the CycleGAN paper applied it (Shrivastava et al. 2017, https://arxiv.org/abs/1612.07828)."""

from ..method import Method
from .settings import PRESETS, Config


def _build(config, total_steps, replicas):
    from .step import SimGAN

    return SimGAN(config, total_steps, replicas)


METHOD = Method(
    Config,
    PRESETS,
    _build,
    "one translator whose images stay close to what they were (Shrivastava et al. 2017)",
    directions=("x_to_y",),
)
