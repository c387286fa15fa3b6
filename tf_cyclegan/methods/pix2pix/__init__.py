"""pix2pix (Isola, Zhu, Zhou, Efros 2017, https://arxiv.org/abs/1611.07004)."""

from ..method import Method
from .settings import PRESETS, Config


def _build(config, total_steps, replicas):
    from .step import Pix2Pix

    return Pix2Pix(config, total_steps, replicas)


METHOD = Method(
    Config,
    PRESETS,
    _build,
    "one translator, learnt from pairs (Isola et al. 2017)",
    directions=("x_to_y",),
    paired=True,
)
