"""BiGAN's settings and presets."""

from dataclasses import dataclass
from typing import ClassVar

from ...errors import UserError
from ..network_settings import DEMO, PAPER, TwoWay, UnpairedSettings


@dataclass(frozen=True)
class Config(TwoWay, UnpairedSettings):
    """Every setting of a run of BiGAN.

    Raises:
        UserError: A setting, or two together, cannot work.
    """

    method: ClassVar[str] = "bigan"

    def check(self):
        super().check()
        if self.generator == "tensorflow_examples":
            raise UserError(
                "--generator is tensorflow_examples, whose discriminator takes no pair of images "
                "joined; bigan takes unet or resnet9 (or resnet with any number of blocks)"
            )


PRESETS: dict[str, Config] = {
    # As the authors of CycleGAN compared it.
    "paper": Config(**PAPER),
    "demo": Config(**DEMO),
}
