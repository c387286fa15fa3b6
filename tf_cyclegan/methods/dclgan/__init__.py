"""DCLGAN (Han et al. 2021, https://arxiv.org/abs/2104.07689)."""

from ..method import Method
from .settings import PRESETS, Config


def _build(config, total_steps, replicas):
    from .step import DCLGAN

    return DCLGAN(config, total_steps, replicas)


METHOD = Method(
    Config,
    PRESETS,
    _build,
    "two translators whose patches stay like those they came from (Han et al. 2021)",
)
