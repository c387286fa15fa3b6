"""CycleGAN's settings and presets."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ...errors import UserError
from ...settings import setting
from ..network_settings import (
    DEMO,
    PAPER,
    PHOTOS,
    TwoWay,
    UnpairedSettings,
    check_equal_channels,
)


@dataclass(frozen=True)
class Config(TwoWay, UnpairedSettings):
    """Every setting of a run of CycleGAN; the defaults are those of the `tutorial` preset.

    Raises:
        UserError: A setting, or two together, cannot work.
    """

    method: ClassVar[str] = "cyclegan"

    lambda_adversarial: float = setting(
        1.0, "objective", "weight of the adversarial loss; 0 trains no discriminators", lowest=0
    )
    lambda_cycle: float = setting(
        10.0, "objective", "weight of the cycle consistency loss", lowest=0
    )
    cycle_terms: Literal["both", "forward", "backward"] = setting(
        "both", "objective", "forward is F(G(x)) = x, backward is G(F(y)) = y"
    )
    lambda_identity: float = setting(
        0.5,
        "objective",
        "weight of the identity loss, as a factor of lambda-cycle; 0 is off",
        lowest=0,
    )

    def check(self):
        super().check()
        if not self.lambda_adversarial and not self.lambda_cycle:
            raise UserError(
                "--lambda-adversarial and --lambda-cycle are both 0, which leaves nothing to learn"
            )
        if self.lambda_identity and self.lambda_cycle:
            check_equal_channels(
                self,
                "the identity loss compares G(y) with y",
                "leave it out with --lambda-identity 0, or ",
            )


PRESETS: dict[str, Config] = {
    # The TensorFlow tutorial, setting for setting.
    "tutorial": Config(),
    "paper": Config(**PAPER),
    "photos": Config(**PHOTOS),
    "demo": Config(**DEMO),
}
