"""pix2pix's settings and presets."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ...errors import UserError
from ...settings import setting
from ..network_settings import DEMO, NetworkSettings, OneWay


@dataclass(frozen=True)
class Config(OneWay, NetworkSettings):
    """Every setting of a run of pix2pix; the defaults are those of the `tutorial` preset.

    Raises:
        UserError: A setting, or two together, cannot work.
    """

    method: ClassVar[str] = "pix2pix"

    layers: Literal["tutorial", "authors"] = setting(
        "tutorial", "networks", "whose U-Net and whose batch norms, where the two differ"
    )
    dropout: float = setting(
        0.5,
        "networks",
        "share of the generator's features that are dropped, in training and in translating",
        lowest=0,
        below=1,
    )

    adversarial_loss: Literal["bce", "lsgan", "hinge", "wgan"] = setting(
        "bce",
        "objective",
        "cross-entropy as in the paper, least squares, hinge, or a critic's score",
    )
    lambda_adversarial: float = setting(
        1.0, "objective", "weight of the adversarial loss; 0 trains no discriminator", lowest=0
    )
    lambda_l1: float = setting(100.0, "objective", "weight of the distance of G(x) to y", lowest=0)
    halve_discriminator: bool = setting(
        False, "objective", "halve the loss of the discriminator, as the authors do"
    )

    def check(self):
        super().check()
        if self.generator == "tensorflow_examples":
            raise UserError(
                "--generator is tensorflow_examples, which has the same networks with instance norms; "
                "pix2pix takes unet or resnet9 (or resnet with any number of blocks)"
            )
        if self.generator == "unet" and self.layers == "authors" and self.upsampling != "transpose":
            raise UserError(
                f"--upsampling {self.upsampling} does not go with the authors' U-Net; give "
                "--upsampling transpose or --layers tutorial"
            )
        if self.unet_outer_skip and self.layers == "authors":
            raise UserError(
                "--unet-outer-skip does not go with the authors' U-Net; give --layers tutorial"
            )
        if not self.lambda_adversarial and not self.lambda_l1:
            raise UserError(
                "--lambda-adversarial and --lambda-l1 are both 0, which leaves nothing to learn"
            )


PRESETS: dict[str, Config] = {
    # The TensorFlow tutorial, setting for setting.
    "tutorial": Config(steps=40_000),
    # The paper (section 3 and appendix 6), on facades, and its code, whose Adam is Torch's.
    "paper": Config(
        resize_method="bilinear",
        layers="authors",
        leaky_slope=0.2,
        halve_discriminator=True,
        epochs=200,
        epsilon=1e-8,
    ),
    # Small enough for two CPU cores: CycleGAN's, with this method's objective.
    "demo": Config(**DEMO | {"adversarial_loss": "bce"}, halve_discriminator=True),
}
