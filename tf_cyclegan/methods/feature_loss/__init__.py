"""Feature loss + GAN, a variant of SimGAN (https://arxiv.org/abs/1703.10593, section 5.1)."""

from ..method import Method
from .settings import PRESETS, Config


def _build(config, total_steps, replicas):
    from .step import FeatureLoss

    return FeatureLoss(config, total_steps, replicas)


METHOD = Method(
    Config,
    PRESETS,
    _build,
    "simgan with a distance of deep features (Zhu et al. 2017)",
    directions=("x_to_y",),
)
