"""CUT's settings and presets."""

from dataclasses import dataclass
from typing import ClassVar

from ...settings import setting
from ..contrastive_settings import CONTRASTIVE_DEMO, CONTRASTIVE_PAPER, ContrastiveSettings
from ..network_settings import OneWay, check_equal_channels


@dataclass(frozen=True)
class Config(OneWay, ContrastiveSettings):
    """Every setting of a run of CUT.

    Raises:
        UserError: A setting, or two together, cannot work.
    """

    method: ClassVar[str] = "cut"

    nce_identity: bool = setting(
        True, "objective", "compare the patches of G(y) and y too, and halve both"
    )
    flip_equivariance: bool = setting(
        False, "objective", "translate the mirror image in half of the steps, and compare with x"
    )

    def check(self):
        super().check()
        check_equal_channels(self, "cut compares patches of G(x) with those of x in one network")


# FastCUT (section 4.1 of the paper): without the identity, which a larger weight makes up for.
FAST = {"lambda_nce": 10.0, "nce_identity": False, "flip_equivariance": True}

PRESETS: dict[str, Config] = {
    "paper": Config(**CONTRASTIVE_PAPER),
    "fastcut": Config(**CONTRASTIVE_PAPER | FAST | {"epochs": 200, "decay_start": 0.75}),
    "demo": Config(**CONTRASTIVE_DEMO),
    "fastcut_demo": Config(**CONTRASTIVE_DEMO | FAST),
}
