"""DCLGAN's settings and presets."""

from dataclasses import dataclass
from typing import ClassVar

from ...settings import setting
from ..contrastive_settings import CONTRASTIVE_DEMO, CONTRASTIVE_PAPER, ContrastiveSettings
from ..network_settings import TwoWay, check_equal_channels


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

    def check(self):
        super().check()
        if self.lambda_identity:
            check_equal_channels(
                self,
                "the identity loss compares G(y) with y",
                "leave it out with --lambda-identity 0, or ",
            )
        if 0 in self.layer_numbers:
            check_equal_channels(
                self, "layer 0 of --nce-layers compares pixels", "leave that layer out, or "
            )


# The authors' code, but for SimDCL: more weight than CUT's, and nothing of the pixels themselves.
DUAL = {"lambda_nce": 2.0, "nce_layers": "4,8,12,16"}

PRESETS: dict[str, Config] = {
    "paper": Config(**CONTRASTIVE_PAPER | DUAL | {"adversarial_loss": "hinge"}),
    "demo": Config(**CONTRASTIVE_DEMO | DUAL),
}
