"""CycleGAN (Zhu, Park, Isola, Efros 2017, https://arxiv.org/abs/1703.10593)."""

from ..method import Method
from .settings import PRESETS, Config


def _build(config, total_steps, replicas):
    from .step import CycleGAN

    return CycleGAN(config, total_steps, replicas)


METHOD = Method(Config, PRESETS, _build, "two translators that undo each other (Zhu et al. 2017)")
