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
    cycle_noise: float = setting(
        0.0,
        "objective",
        "standard deviation of noise that translations get before they go back, for images in "
        "[-1, 1]; 0 is off",
        lowest=0,
    )
    lambda_identity: float = setting(
        0.5,
        "objective",
        "weight of the identity loss, as a factor of lambda-cycle; 0 is off",
        lowest=0,
    )

    copy_steps: int = setting(
        0,
        "objective",
        "steps at the start in which generators learn to copy, before anything is to look otherwise",
        lowest=0,
    )

    perceptual: str | None = setting(
        None,
        "perceptual",
        "a network whose features the cycle and identity losses compare too: vgg16 (fetched once), or "
        "a .keras file",
        is_place=True,
    )
    perceptual_layer: str = setting("block3_conv3", "perceptual", "its layer that is compared")
    perceptual_size: int = setting(
        224, "perceptual", "pixels a side that images are scaled to for it", lowest=8
    )
    lambda_perceptual: float = setting(
        1.0,
        "perceptual",
        "weight of the distance of features, as a factor of that of the pixels'",
        above=0,
    )

    def check(self):
        super().check()
        if self.perceptual and self.channels != (3, 3):
            raise UserError(
                "--perceptual is of colour images; leave it out, or pass --channels-x rgb and "
                "--channels-y rgb"
            )
        if not self.lambda_adversarial and not self.lambda_cycle:
            raise UserError(
                "--lambda-adversarial and --lambda-cycle are both 0, which leaves nothing to learn"
            )
        if self.copy_steps and not self.lambda_cycle:
            raise UserError(
                "--copy-steps weighs its loss as the cycle's: leave it out with --copy-steps 0, or "
                "give --lambda-cycle"
            )
        if self.copy_steps:
            check_equal_channels(
                self,
                "--copy-steps compares G(x) with x",
                "leave it out with --copy-steps 0, or ",
            )
        if self.lambda_identity and self.lambda_cycle:
            check_equal_channels(
                self,
                "the identity loss compares G(y) with y",
                "leave it out with --lambda-identity 0, or ",
            )

    def cautions(self, total_steps: int) -> list[str]:
        if self.copy_steps < total_steps:
            return []
        return [
            f"all {total_steps} steps are of --copy-steps {self.copy_steps}, in which generators learn "
            "to copy and nothing else; take more --steps, or --copy-steps 0"
        ]


# Found on tuning pictures: docs/quality.md. Unpaired translation has no use for dropout; generators
# that begin as copies find the right colours; averages, and discriminators of limited slope, keep
# noise and grids away.
_CLEAN = DEMO | {"dropout": 0.0, "copy_steps": 100, "ema": 1400, "ema_ramp": 0.1}
PRESETS: dict[str, Config] = {
    # The TensorFlow tutorial, setting for setting.
    "tutorial": Config(),
    "paper": Config(**PAPER),
    "photos": Config(**PHOTOS),
    # For ten minutes.
    "demo": Config(**_CLEAN | {"discriminator_norm": "spectral"}),
    # For forty: when colours are found, discriminators that are flat at real pictures come to know
    # fewer of them by heart.
    "modern": Config(
        **_CLEAN | {"penalty": "r1", "penalty_weight": 0.05, "penalty_start": 0.25, "steps": 6800}
    ),
    # The demo of the other methods: to stand beside them, and to measure what an option adds.
    "plain": Config(**DEMO),
}
