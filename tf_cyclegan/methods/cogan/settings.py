"""CoGAN's settings and presets."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ...errors import UserError
from ...settings import setting
from ..network_settings import AveragedSettings

SMALLEST_IMAGE = 16


@dataclass(frozen=True)
class Config(AveragedSettings):
    """Every setting of a run of CoGAN.

    Raises:
        UserError: A setting, or two together, cannot work.
    """

    method: ClassVar[str] = "cogan"

    latent_size: int = setting(100, "networks", "numbers in a latent vector", lowest=1)
    filters: int = setting(
        32,
        "networks",
        "channels of a generator's last layer before the image; they double towards the latent "
        "vector, up to 32 times this",
        lowest=1,
    )
    discriminator_filters: int = setting(
        32,
        "networks",
        "channels of a discriminator's first layer; they double, up to 32 times this",
        lowest=1,
    )
    generator_own_layers: int = setting(
        2,
        "networks",
        "last layers that each generator has for itself; those before are tied",
        lowest=1,
    )
    discriminator_own_layers: int = setting(
        2,
        "networks",
        "first layers that each discriminator has for itself; those after are tied",
        lowest=1,
    )

    weight_decay: float = setting(
        1e-4, "objective", "share of a kernel that is added to its gradient", lowest=0
    )

    search_steps: int = setting(
        100,
        "search",
        "latent vectors that a translation tries, one after the other",
        lowest=1,
        may_change=True,
    )
    search_rate: float = setting(
        0.1,
        "search",
        "of Adam on the latent vector at the start, falling linearly to 0",
        above=0,
        may_change=True,
    )
    search_distance: Literal["l2", "l1"] = setting(
        "l2",
        "search",
        "between the image and what a latent vector renders: Euclidean, or absolute",
        may_change=True,
    )
    search_starts: int = setting(
        1,
        "search",
        "places that a translation sets out from, of which the nearest end counts",
        lowest=1,
        may_change=True,
    )

    def check(self):
        super().check()
        height, width = self.image_shape
        if height != width or height < SMALLEST_IMAGE or height & (height - 1):
            raise UserError(
                f"--image-size {self.image_size} does not fit cogan, whose generators render squares "
                f"of {SMALLEST_IMAGE}, 32, 64, 128, 256 ... pixels a side"
            )
        most = height.bit_length() - 2
        for name in ("generator_own_layers", "discriminator_own_layers"):
            if getattr(self, name) > most:
                raise UserError(
                    f"--{name.replace('_', '-')} is {getattr(self, name)}; with --image-size "
                    f"{self.image_size} it must be from 1 to {most}, so that some layers are tied"
                )
        if self.batch_size < 2:
            raise UserError(
                "--batch-size 1 does not fit cogan, whose batch norms compare the images of a batch; "
                "it must be at least 2"
            )
        if self.remat:
            raise UserError(
                "--remat does not fit cogan, whose batch norms would count every batch twice; leave "
                "it out"
            )


PRESETS: dict[str, Config] = {
    # The face model of the authors' code, whose Adam is Caffe's. Its 100,000 iterations update
    # discriminators and generators in turns, which are 50,000 steps.
    "paper": Config(
        image_size=128,
        load_size=132,
        resize_method="bicubic",
        batch_size=128,
        steps=50_000,
        epsilon=1e-8,
    ),
    # As small as the other methods' for two CPU cores.
    "demo": Config(
        image_size=64,
        load_size=64,
        resize_method="bicubic",
        batch_size=4,
        learning_rate=5e-4,
        steps=2000,
        decay_start=0.5,
        checkpoint_every=250,
        sample_every=250,
    ),
}
