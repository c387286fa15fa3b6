"""BiGAN, alias ALI (https://arxiv.org/abs/1605.09782, https://arxiv.org/abs/1606.00704)."""

from ..method import Method
from .settings import PRESETS, Config


def _build(config, total_steps, replicas):
    from .step import BiGAN

    return BiGAN(config, total_steps, replicas)


METHOD = Method(
    Config,
    PRESETS,
    _build,
    "two translators whose pairs are to look alike (Donahue et al., Dumoulin et al. 2017)",
)
