"""CUT and FastCUT (Park et al. 2020, https://arxiv.org/abs/2007.15651)."""

from ..method import Method
from .settings import PRESETS, Config


def _build(config, total_steps, replicas):
    from .step import CUT

    return CUT(config, total_steps, replicas)


METHOD = Method(
    Config,
    PRESETS,
    _build,
    "one translator whose patches stay like those they came from (Park et al. 2020)",
    directions=("x_to_y",),
)
