"""The settings that several methods share; TensorFlow is not needed to read them."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import UserError
from ..settings import AUTO, RunSettings, setting

MIN_IMAGE_SIZE = 24  # below it the PatchGAN has no patch left
AUGMENT_POLICIES = ("color", "translation", "cutout")


@dataclass(frozen=True)
class AveragedSettings(RunSettings):
    """The settings of methods whose translators may be moving averages of their networks."""

    ema: float = setting(
        0.0,
        "training",
        "half-life, in images, of the average of the generators that translates; 0 is off",
        lowest=0,
    )
    ema_ramp: float = setting(
        0.05, "training", "that half-life is at most this share of the images seen so far", above=0
    )

    @property
    def has_averages(self) -> bool:
        return self.ema > 0


@dataclass(frozen=True)
class NetworkSettings(AveragedSettings):
    """The settings of generators from image to image and of the discriminators that judge them."""

    generator: str = setting(
        "unet",
        "networks",
        "unet (the tutorial's), resnet9 or resnet6 (the paper's, with so many residual blocks), "
        "or tensorflow_examples",
    )
    filters: int = setting(64, "networks", "channels of a generator's first layer", lowest=1)
    unet_levels: int | None = setting(
        None,
        "networks",
        "how often the U-Net halves the image (default: down to 1x1, at most 8)",
        lowest=2,
    )
    unet_outer_skip: bool = setting(
        False, "networks", "the U-Net's last layer sees features of the image at full size, too"
    )
    upsampling: Literal["transpose", "resize", "blur"] = setting(
        "transpose",
        "networks",
        "transposed convolution, or nearest resize (blur: and the filter [1, 3, 3, 1]) and convolution",
    )
    antialias: bool = setting(
        False,
        "networks",
        "halve images by stride 1, the filter [1, 2, 1] and every other pixel; resnet generators",
    )
    initial_kernels: Literal["normal", "xavier"] = setting(
        "normal",
        "networks",
        "N(0, 0.02), or Xavier's of resnet generators times 0.02, as in CUT's code",
    )
    norm_affine: bool = setting(
        True, "networks", "instance norms learn a scale and an offset (the paper's do not)"
    )
    discriminator_filters: int = setting(
        64, "networks", "channels of a discriminator's first layer", lowest=1
    )
    leaky_slope: float = setting(
        0.3, "networks", "negative slope of the discriminators' leaky ReLUs (paper: 0.2)", lowest=0
    )
    discriminator_halvings: int = setting(
        3,
        "networks",
        "strided convolutions of a discriminator: 3 judge patches of 70 pixels, 2 of 34, 1 of 16",
        lowest=1,
        highest=6,
    )
    discriminator_scales: int = setting(
        1,
        "networks",
        "discriminators that judge an image together: one at full size, one at half of it, ...",
        lowest=1,
        highest=4,
    )
    discriminator_norm: Literal["instance", "spectral"] = setting(
        "instance", "networks", "norm layers, or kernels of norm 1 (Miyato et al. 2018)"
    )

    discriminator_learning_rate: float | None = setting(
        None, "discriminators", "of their optimizers (default: learning-rate)", above=0
    )
    penalty: Literal["none", "r1", "zero", "wgan-gp"] = setting(
        "none",
        "discriminators",
        "price of their slope: at real images, between real and generated ones, or of its distance "
        "from 1 there",
    )
    penalty_weight: float = setting(
        1.0, "discriminators", "of the penalty: half of it for r1, as in its paper", above=0
    )
    penalty_every: int = setting(
        1, "discriminators", "steps between penalties, each then so many times as large", lowest=1
    )
    penalty_start: float = setting(
        0.0, "discriminators", "share of the run after which it begins", lowest=0, below=1
    )
    augment: str = setting(
        "",
        "discriminators",
        "change all images that they see: color, translation, cutout, or several with commas",
    )
    augment_probability: float = setting(
        1.0,
        "discriminators",
        "of each change at each image; with augment-target it is where that begins",
        lowest=0,
        highest=1,
    )
    augment_target: float | None = setting(
        None,
        "discriminators",
        "adapt the probability until they call this share of real images real (StyleGAN2-ADA: 0.8)",
        above=0,
        below=1,
    )
    augment_images: int = setting(
        500_000, "discriminators", "images it then takes from 0 to 1", lowest=1
    )

    def check(self):
        super().check()
        unknown = [name for name in self.augment_policies if name not in AUGMENT_POLICIES]
        if unknown:
            raise UserError(
                f"--augment has {unknown[0]!r}; it takes {', '.join(AUGMENT_POLICIES)}, or several "
                "with commas between them"
            )
        if self.augment_target is not None and not self.augment:
            raise UserError("--augment-target has nothing to adapt: say what to --augment")
        if getattr(self, "adversarial_loss", None) == "wgan":
            is_free = self.penalty == "none" or self.penalty_start
            if is_free and self.discriminator_norm != "spectral":
                raise UserError(
                    "--adversarial-loss wgan needs a limit to the discriminators' slopes from the "
                    "first step on: --penalty wgan-gp --penalty-start 0 (Gulrajani et al. 2017) or "
                    "--discriminator-norm spectral"
                )
            if self.augment_target is not None:
                raise UserError(
                    "--adversarial-loss wgan calls no image real, which --augment-target counts; "
                    "leave it out"
                )
            if self.held_out:
                raise UserError(
                    "--adversarial-loss wgan calls no image real, which --held-out is for; leave it out"
                )
        own_discriminator = (
            self.discriminator_halvings,
            self.discriminator_scales,
            self.discriminator_norm,
        )
        if self.generator == "tensorflow_examples" and own_discriminator != (3, 1, "instance"):
            raise UserError(
                "--generator tensorflow_examples brings its own discriminators; leave out "
                "--discriminator-halvings, --discriminator-scales and --discriminator-norm, or take a "
                "--preset without them"
            )
        if not re.fullmatch(r"unet|resnet\d+|tensorflow_examples", self.generator):
            raise UserError(
                f"--generator is {self.generator!r}; it takes unet, resnet9 (or resnet with any "
                "number of blocks) or tensorflow_examples"
            )
        for told, is_chosen in (
            ("--antialias", self.antialias),
            ("--upsampling blur", self.upsampling == "blur"),
            ("--initial-kernels xavier", self.initial_kernels == "xavier"),
        ):
            if is_chosen and not self.generator.startswith("resnet"):
                raise UserError(
                    f"{told} is of residual generators and the discriminators beside them, and "
                    f"--generator is {self.generator}; give --generator resnet9 (or resnet with any "
                    "number of blocks)"
                )
        check_sides(self, f"the {self.generator} generator")
        if self.generator == "tensorflow_examples" and self.channels != (3, 3):
            raise UserError(
                "--generator is tensorflow_examples, whose networks take 3 channels; choose "
                "another, or pass --channels-x rgb and --channels-y rgb"
            )
        smallest = 3 * 2 ** (self.discriminator_halvings + self.discriminator_scales - 1)
        if min(self.image_shape) < smallest:
            raise UserError(
                f"--image-size {self.image_size} leaves no patch to a discriminator of "
                f"{self.discriminator_halvings} halvings in {self.discriminator_scales} scales: it "
                f"needs {smallest} pixels a side, or fewer --discriminator-halvings or "
                "--discriminator-scales"
            )
        if "color" in self.augment_policies and self.channels != (3, 3):
            raise UserError(
                "--augment color is of colour images; leave it out, or pass --channels-x rgb and "
                "--channels-y rgb"
            )

    @property
    def augment_policies(self) -> list[str]:
        """What `augment` names, in its order."""
        return self.augment.split(",") if self.augment else []

    @property
    def levels(self) -> int:
        """How often the U-Net halves the image."""
        return self.unet_levels or min(8, min(self.image_shape).bit_length() - 1)

    @property
    def size_multiple(self) -> int:
        if self.generator == "unet":
            return 2**self.levels
        return 256 if self.generator == "tensorflow_examples" else 4


@dataclass(frozen=True)
class OneWay(RunSettings):
    """Which way a method translates that learns but one translator, G: X -> Y."""

    direction: Literal["a_to_b", "b_to_a"] = setting(
        "a_to_b", "data", "which way to translate: from the images of A to those of B, or back"
    )

    @property
    def domains(self) -> tuple[str, str]:
        return ("A", "B") if self.direction == "a_to_b" else ("B", "A")


@dataclass(frozen=True)
class TwoWay(RunSettings):
    """What methods share that learn a second translator, F: Y -> X, beside G: X -> Y."""

    init_generator_f: str | None = setting(
        None, "networks", "start F from a PyTorch checkpoint or what convert made of one"
    )


@dataclass(frozen=True)
class UnpairedSettings(NetworkSettings):
    """What CycleGAN shares with the methods that the paper compares it with."""

    init_generator_g: str | None = setting(
        None, "networks", "start G from a PyTorch checkpoint or what convert made of one"
    )
    adversarial_loss: Literal["bce", "lsgan", "hinge", "wgan"] = setting(
        "bce",
        "objective",
        "cross-entropy, least squares as in the paper, hinge, or a critic's score",
    )
    dropout: float | None = setting(
        None,
        "networks",
        "rate of dropout in the first three layers up of a U-Net, or in residual blocks, in training "
        "(default: 0.5 and none, as published)",
        lowest=0,
        below=1,
    )
    pool_size: int = setting(
        0,
        "objective",
        "past generated images the discriminators see (paper: 50); 0 is off",
        lowest=0,
    )

    def check(self):
        super().check()
        if self.generator == "tensorflow_examples" and self.dropout is not None:
            raise UserError(
                "--generator tensorflow_examples brings its own dropout; leave out --dropout, or "
                "take a --preset without it"
            )


# The presets of the methods that the paper compares "using the same architecture and details"
# (section 5.1): the paper's own (section 7), with the Adam of the authors' PyTorch code.
PAPER: dict[str, Any] = {
    "resize_method": "bicubic",
    "generator": "resnet9",
    "norm_affine": False,
    "leaky_slope": 0.2,
    "adversarial_loss": "lsgan",
    "pool_size": 50,
    "epochs": 200,
    "epsilon": 1e-8,
    "epsilon_form": "pytorch",
    "decay_start": 0.5,
}

# For folders of photographs: the paper's objective and networks, and what the years since have shown
# to be kinder: no checkerboards of transposed convolutions, and a length that does not depend on how
# few the pictures are.
PHOTOS: dict[str, Any] = {
    "image_size": AUTO,
    "fit": "crop",  # the shape kept
    "resize_method": "bicubic",
    "generator": "resnet9",
    "upsampling": "resize",
    "leaky_slope": 0.2,
    "adversarial_loss": "lsgan",
    "pool_size": 50,
    "steps": 20_000,
    "decay_start": 0.5,
}

# Small enough for two CPU cores; chosen by benchmarks/demo_search.py.
DEMO: dict[str, Any] = {
    "image_size": 64,
    "load_size": 64,
    "resize_method": "bicubic",
    "filters": 32,
    "unet_levels": 5,
    "upsampling": "resize",
    "discriminator_filters": 32,
    "leaky_slope": 0.2,
    "adversarial_loss": "lsgan",
    "batch_size": 4,
    "learning_rate": 5e-4,
    "steps": 2000,
    "decay_start": 0.5,
    "checkpoint_every": 250,
    "sample_every": 250,
}


def check_sides(settings: RunSettings, taker: str) -> None:
    """See that training images have sides that the networks take.

    Args:
        settings: With `image_shape` and `size_multiple`.
        taker: What an error says takes them.

    Raises:
        UserError: They have not; the nearest that fit are named.
    """
    multiple = settings.size_multiple
    for side in settings.image_shape:
        if side % multiple or side < MIN_IMAGE_SIZE:
            below = side // multiple * multiple
            fitting = [s for s in (below, below + multiple) if s >= MIN_IMAGE_SIZE]
            fitting = fitting or [-(-MIN_IMAGE_SIZE // multiple) * multiple]
            raise UserError(
                f"--image-size {settings.image_size} does not fit {taker}, which takes multiples of "
                f"{multiple} from {MIN_IMAGE_SIZE} on: the nearest to {side} "
                f"{'are' if len(fitting) > 1 else 'is'} {' and '.join(map(str, fitting))}"
            )


def check_equal_channels(settings: RunSettings, compares: str, way_out: str = "") -> None:
    """See that X and Y have as many channels, which a method needs that compares images of both.

    Args:
        settings: With `channels`.
        compares: What an error says compares them.
        way_out: What it says would do without, if anything does.

    Raises:
        UserError: They have not.
    """
    if (settings.channels_x is None) != (settings.channels_y is None):
        return  # the data will tell
    x, y = settings.channels
    if x != y:
        raise UserError(
            f"{compares}, which needs as many channels in X as in Y, and X has {x}, Y {y}: {way_out}"
            "make them alike with --channels-x and --channels-y"
        )
