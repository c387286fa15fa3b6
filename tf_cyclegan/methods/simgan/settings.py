"""SimGAN's settings and presets."""

from dataclasses import dataclass
from typing import ClassVar

from ...settings import setting
from ..network_settings import DEMO, PAPER, OneWay, UnpairedSettings, check_equal_channels


@dataclass(frozen=True)
class Config(OneWay, UnpairedSettings):
    """Every setting of a run of SimGAN.

    Raises:
        UserError: A setting, or two together, cannot work.
    """

    method: ClassVar[str] = "simgan"

    lambda_distance: float = setting(
        10.0, "objective", "weight of the distance that G(x) keeps from x", above=0
    )

    def check(self):
        super().check()
        check_equal_channels(self, f"{self.method} compares G(x) with x")


PRESETS: dict[str, Config] = {
    # As the authors of CycleGAN compared it; their code for it never lowers the rate.
    "paper": Config(**PAPER | {"decay_start": 1.0}),
    "demo": Config(**DEMO),
}
