"""CoGAN (Liu and Tuzel 2016, https://arxiv.org/abs/1606.07536)."""

from ..method import Method
from .settings import PRESETS, Config


def _build(config, total_steps, replicas):
    from .step import CoGAN

    return CoGAN(config, total_steps, replicas)


METHOD = Method(
    Config, PRESETS, _build, "both domains rendered from one latent vector (Liu and Tuzel 2016)"
)
