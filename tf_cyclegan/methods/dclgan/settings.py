"""DCLGAN's settings and presets."""

from dataclasses import dataclass
from typing import ClassVar

from ...settings import setting
from ..contrastive_settings import CONTRASTIVE_DEMO, CONTRASTIVE_PAPER, ContrastiveSettings
from ..network_settings import TwoWay


@dataclass(frozen=True)
class Config(TwoWay, ContrastiveSettings):
    """Every setting of a run of DCLGAN.

    Raises:
        UserError: A setting, or two together, cannot work.
    """

    method: ClassVar[str] = "dclgan"

    lambda_identity: float = setting(
        1.0, "objective", "weight of the distance of G(y) to y and F(x) to x; 0 is off", lowest=0
    )
    projection_learning_rate: float = setting(
        1e-3, "training", "of the Adam of the networks that features pass", above=0
    )
    projection_beta_1: float = setting(
        0.9, "training", "first moment decay of that", lowest=0, below=1
    )


# The authors' code, but for SimDCL: more weight than CUT's, and nothing of the pixels themselves.
DUAL = {"lambda_nce": 2.0, "nce_layers": "4,8,12,16"}

PRESETS: dict[str, Config] = {
    "paper": Config(**CONTRASTIVE_PAPER | DUAL | {"adversarial_loss": "hinge"}),
    "demo": Config(**CONTRASTIVE_DEMO | DUAL),
}
