"""The settings and presets of feature loss + GAN."""

from dataclasses import dataclass
from typing import ClassVar

from ...errors import UserError
from ...settings import setting
from ..network_settings import DEMO, PAPER
from ..simgan import settings as simgan


@dataclass(frozen=True)
class Config(simgan.Config):
    """Every setting of a run of feature loss + GAN: those of SimGAN, and of the features.

    Raises:
        UserError: A setting, or two together, cannot work.
    """

    method: ClassVar[str] = "feature_loss"

    features: str | None = setting(
        None,
        "features",
        "the network that the distance is measured with: vgg16 (fetched once), or a .keras file",
        is_place=True,
    )
    feature_layer: str = setting(
        "block4_conv2", "features", "its layer that is compared; block4_conv2 is VGG's relu4_2"
    )
    feature_size: int = setting(
        224, "features", "pixels a side that images are scaled to for it", lowest=8
    )

    def check(self):
        super().check()
        if self.channels != (3, 3):
            raise UserError(
                "feature_loss takes the features of colour images; pass --channels-x rgb and "
                "--channels-y rgb, or choose another --method"
            )


PRESETS: dict[str, Config] = {
    # As the authors of CycleGAN compared it; their code for it never lowers the rate.
    "paper": Config(**PAPER | {"decay_start": 1.0}),
    # At 224 pixels VGG would take ten times as long as all else.
    "demo": Config(**DEMO, feature_size=64),
}
