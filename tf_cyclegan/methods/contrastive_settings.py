"""The settings that the methods share which compare patches; TensorFlow is not needed to read them."""

import re
from dataclasses import dataclass
from typing import Any

from ..errors import UserError
from ..settings import setting
from .network_settings import DEMO, PAPER, UnpairedSettings

FIRST_BLOCK = 12  # of the authors' numbers; the layers before it are in `layer_name`


@dataclass(frozen=True)
class ContrastiveSettings(UnpairedSettings):
    """The settings of PatchNCE (Park et al. 2020, section 3), on the layers of a residual generator."""

    generator: str = setting(
        "resnet9", "networks", "resnet9 or resnet6: the paper's, with so many residual blocks"
    )
    lambda_nce: float = setting(1.0, "objective", "weight of the patches' loss", above=0)
    nce_layers: str = setting(
        "0,4,8,12,16",
        "objective",
        "whose features are compared, by the authors' numbers: 0 pixels, 4 and 8 the convolutions "
        "before a halving, 12 the first residual block, 13 the second ...",
    )
    nce_patches: int = setting(
        256, "objective", "places of every layer that are compared, at most", lowest=2
    )
    nce_temperature: float = setting(
        0.07, "objective", "what the cosines of features are divided by", above=0
    )
    nce_features: int = setting(
        256, "objective", "numbers that a patch's features are projected to", lowest=1
    )

    def check(self):
        super().check()
        if not re.fullmatch(r"resnet[1-9]\d*", self.generator):
            raise UserError(
                f"--generator is {self.generator}; {self.method} compares the features of residual "
                "generators, and takes resnet9 or resnet with any number of blocks from 1 on"
            )
        last = FIRST_BLOCK + self.blocks - 1
        if not re.fullmatch(r"\d{1,4}(,\d{1,4})*", self.nce_layers):
            raise UserError(
                f"--nce-layers is {self.nce_layers!r}; it takes numbers with commas between: 0,4,8,12"
            )
        for number in self.layer_numbers:
            if number not in (0, 4, 8, *range(FIRST_BLOCK, last + 1)):
                raise UserError(
                    f"--nce-layers names {number}; {self.generator} has 0, 4, 8 and its blocks "
                    f"{FIRST_BLOCK} to {last}"
                )
        if len({*self.layer_numbers}) < len(self.layer_numbers):
            raise UserError(f"--nce-layers {self.nce_layers} names a layer twice")

    @property
    def blocks(self) -> int:
        """Residual blocks of a generator."""
        return int(self.generator.removeprefix("resnet"))

    @property
    def layer_numbers(self) -> list[int]:
        """The layers whose features are compared, by the authors' numbers, in the network's order."""
        return sorted(map(int, self.nce_layers.split(",")))

    def layer_name(self, number: int) -> str:
        """The layer of `resnet_generator` that has one of the authors' numbers.

        Theirs are the places in PyTorch's Sequential of the anti-aliased network. A layer here is the
        same without anti-aliasing, where the places would be others.
        """
        if number < FIRST_BLOCK:
            return {0: "pad_in", 4: f"d{2 * self.filters}", 8: f"d{4 * self.filters}"}[number]
        return f"R{4 * self.filters}_{number - FIRST_BLOCK + 1}_add"

    def layer_channels(self, number: int) -> int:
        """How many features a place of a layer has, by the authors' number of the layer."""
        return {0: self.channels[0], 4: 2 * self.filters}.get(number, 4 * self.filters)


# What the authors' code has for CUT, FastCUT and DCLGAN alike: that of CycleGAN's, and what is new.
CONTRASTIVE_PAPER: dict[str, Any] = PAPER | {
    "antialias": True,
    "upsampling": "blur",
    "initial_kernels": "xavier",
    "pool_size": 0,
    "epochs": 400,
}
CONTRASTIVE_DEMO: dict[str, Any] = {
    **{name: value for name, value in DEMO.items() if name != "unet_levels"},
    "generator": "resnet6",
    "norm_affine": False,
    "antialias": True,
    "upsampling": "blur",
}
