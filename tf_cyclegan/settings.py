"""Every setting of a run, in one frozen dataclass."""

import dataclasses
import json
import math
import re
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .errors import UserError

MIN_IMAGE_SIZE = 24  # below it the PatchGAN has no patch left
# Those of a 64-megapixel sensor; a WebP, the worst, takes 1 GiB of memory while it is decoded.
MAX_PIXELS = 65_000_000


def _setting(default: Any, group: str, text: str, aliases: tuple[str, ...] = ()) -> Any:
    metadata = {"group": group, "help": text, "aliases": aliases}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Config:
    """Every setting of a run; the defaults are those of the `tutorial` preset.

    Raises:
        UserError: A setting, or two together, cannot work.
    """

    dataset: str = _setting(
        "emoji",
        "data",
        "a TFDS name (cycle_gan/horse2zebra), a folder or .zip with trainA and trainB, emoji or earth",
    )
    data_dir: str | None = _setting(
        None, "data", "where TFDS keeps prepared data sets (default: ~/tensorflow_datasets)"
    )
    image_size: int | str = _setting(256, "data", "pixels a side, or HEIGHTxWIDTH, to train at")
    load_size: int | str | None = _setting(
        None, "data", "size to scale to before the random crop (default: 286/256 of image-size)"
    )
    resize_method: Literal["nearest", "bilinear", "bicubic", "lanczos"] = _setting(
        "nearest", "data", "interpolation; all but nearest filter against aliasing"
    )
    mirror: bool = _setting(True, "data", "mirror every other training image left to right")
    batch_size: int = _setting(1, "data", "images of each domain a step, on all devices together")
    skip_unreadable: bool = _setting(
        False, "data", "leave out images that cannot be read, instead of stopping"
    )
    max_pixels: int = _setting(
        MAX_PIXELS,
        "data",
        "images of more pixels are not decoded: a small file can fill the memory",
    )

    generator: str = _setting(
        "unet",
        "networks",
        "unet (the tutorial's), resnet9 or resnet6 (the paper's, with so many residual blocks), "
        "or tensorflow_examples",
    )
    filters: int = _setting(64, "networks", "channels of a generator's first layer")
    unet_levels: int | None = _setting(
        None, "networks", "how often the U-Net halves the image (default: down to 1x1, at most 8)"
    )
    upsampling: Literal["transpose", "resize"] = _setting(
        "transpose", "networks", "transposed convolution, or nearest resize and convolution"
    )
    norm_affine: bool = _setting(
        True, "networks", "instance norms learn a scale and an offset (the paper's do not)"
    )
    discriminator_filters: int = _setting(
        64, "networks", "channels of a discriminator's first layer"
    )
    leaky_slope: float = _setting(
        0.3, "networks", "negative slope of the discriminators' leaky ReLUs (paper: 0.2)"
    )
    init_generator_g: str | None = _setting(
        None, "networks", "start G from a PyTorch checkpoint or what convert made of one"
    )
    init_generator_f: str | None = _setting(
        None, "networks", "start F from a PyTorch checkpoint or what convert made of one"
    )

    adversarial_loss: Literal["bce", "lsgan"] = _setting(
        "bce", "objective", "cross-entropy, or least squares as in the paper"
    )
    lambda_adversarial: float = _setting(
        1.0, "objective", "weight of the adversarial loss; 0 trains no discriminators"
    )
    lambda_cycle: float = _setting(10.0, "objective", "weight of the cycle consistency loss")
    cycle_terms: Literal["both", "forward", "backward"] = _setting(
        "both", "objective", "forward is F(G(x)) = x, backward is G(F(y)) = y"
    )
    lambda_identity: float = _setting(
        0.5, "objective", "weight of the identity loss, as a factor of lambda-cycle; 0 is off"
    )
    pool_size: int = _setting(
        0, "objective", "past generated images the discriminators see (paper: 50); 0 is off"
    )

    epochs: int = _setting(10, "training", "an epoch shows the larger domain once")
    steps: int | None = _setting(None, "training", "train for this many steps instead of epochs")
    learning_rate: float = _setting(2e-4, "training", "of the four Adam optimizers")
    beta_1: float = _setting(0.5, "training", "first moment decay of the four Adam optimizers")
    decay_start: float = _setting(
        1.0, "training", "share of the run after which the rate falls linearly to 0 (paper: 0.5)"
    )
    seed: int = _setting(0, "training", "initial weights, data order and every random choice")
    jit: Literal["auto", "on", "off"] = _setting(
        "auto", "training", "compile the training step with XLA; auto does on a GPU"
    )
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = _setting(
        "float32", "training", "what the networks compute in; their weights are float32"
    )
    remat: bool = _setting(
        False, "training", "compute the generators' activations twice instead of keeping them"
    )
    strategy: Literal["auto", "one", "mirrored", "multiworker", "tpu"] = _setting(
        "auto",
        "training",
        "devices: one, all of this machine, those of all workers of TF_CONFIG, a TPU; auto takes "
        "what there is",
    )
    steps_per_call: int = _setting(
        1, "training", "steps between returns to Python; more help where launching is slow"
    )

    run_dir: str | None = _setting(
        None, "run", "folder of the run (default: runs/DATASET); one that exists is continued"
    )
    checkpoint_every: int = _setting(1000, "run", "steps between checkpoints")
    keep_checkpoints: int = _setting(3, "run", "how many of the newest checkpoints to keep")
    sample_every: int = _setting(500, "run", "steps between sample pictures; 0 is never")
    log_every: int = _setting(10, "run", "steps between lines of metrics.jsonl")
    evaluate_every: int = _setting(
        0,
        "run",
        "steps between evaluations of the test images into evaluations.jsonl; 0 is never",
        aliases=("--every",),
    )

    def __post_init__(self):
        if not re.fullmatch(r"unet|resnet\d+|tensorflow_examples", self.generator):
            raise UserError(
                f"--generator is {self.generator!r}; it takes unet, resnet9 (or resnet with any "
                "number of blocks) or tensorflow_examples"
            )
        for name, allowed in _choices().items():
            if getattr(self, name) not in allowed:
                raise UserError(
                    f"--{_option(name)} is {getattr(self, name)!r}; it takes {', '.join(allowed)}"
                )
        for name, lowest in _LOWEST.items():
            value = getattr(self, name)
            if value is not None and not (lowest <= value < math.inf):
                raise UserError(f"--{_option(name)} is {value}; it must be at least {lowest}")
        for name in ("learning_rate",):
            if not 0 < getattr(self, name) < math.inf:
                raise UserError(f"--{_option(name)} is {getattr(self, name)}; it must be above 0")
        if not 0 <= self.beta_1 < 1:
            raise UserError(f"--beta-1 is {self.beta_1}; it must be from 0 to below 1")
        if not 0 <= self.decay_start <= 1:
            raise UserError(f"--decay-start is {self.decay_start}; it is a share, from 0 to 1")
        if not self.lambda_adversarial and not self.lambda_cycle:
            raise UserError(
                "--lambda-adversarial and --lambda-cycle are both 0, which leaves nothing to learn"
            )
        self._check_sizes()

    def _check_sizes(self):
        multiple = self.size_multiple
        for side in self.image_shape:
            if side % multiple or side < MIN_IMAGE_SIZE:
                below = side // multiple * multiple
                fitting = [s for s in (below, below + multiple) if s >= MIN_IMAGE_SIZE]
                fitting = fitting or [-(-MIN_IMAGE_SIZE // multiple) * multiple]
                raise UserError(
                    f"--image-size {self.image_size} does not fit the {self.generator} generator, "
                    f"which takes multiples of {multiple} from {MIN_IMAGE_SIZE} on: "
                    f"the nearest to {side} {'are' if len(fitting) > 1 else 'is'} "
                    f"{' and '.join(map(str, fitting))}"
                )
        if any(load < size for load, size in zip(self.load_shape, self.image_shape, strict=True)):
            raise UserError(
                f"--load-size {self.load_size} is smaller than --image-size {self.image_size}, "
                "which is cropped from it"
            )

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of training images."""
        return parse_size("image-size", self.image_size)

    @property
    def load_shape(self) -> tuple[int, int]:
        """Height and width that training images are scaled to before the random crop."""
        if self.load_size is None:
            height, width = self.image_shape
            return (round(height * 286 / 256), round(width * 286 / 256))
        return parse_size("load-size", self.load_size)

    @property
    def levels(self) -> int:
        """How often the U-Net halves the image."""
        return self.unet_levels or min(8, min(self.image_shape).bit_length() - 1)

    @property
    def size_multiple(self) -> int:
        """Image heights and widths must be multiples of this."""
        if self.generator == "unet":
            return 2**self.levels
        return 256 if self.generator == "tensorflow_examples" else 4

    @property
    def run_folder(self) -> Path:
        """Where the run keeps its files."""
        if self.run_dir:
            return Path(self.run_dir)
        name = Path(self.dataset).stem if Path(self.dataset).exists() else self.dataset
        return Path("runs") / name.replace("/", "_").replace(":", "_")

    def to_json(self) -> str:
        """The settings as a JSON object."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, path: Path) -> "Config":
        """Read what `to_json` wrote.

        Raises:
            UserError: The file cannot be read, is not JSON or names a setting that does not exist.
        """
        try:
            values = json.loads(path.read_text())
            return cls(**values)
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, TypeError) as error:
            raise UserError(f"{path} is not the config.json of a run: {error}") from error


_LOWEST = {
    "batch_size": 1,
    "max_pixels": 1,
    "filters": 1,
    "unet_levels": 2,
    "discriminator_filters": 1,
    "leaky_slope": 0,
    "lambda_adversarial": 0,
    "lambda_cycle": 0,
    "lambda_identity": 0,
    "pool_size": 0,
    "epochs": 1,
    "steps": 1,
    "seed": 0,
    "checkpoint_every": 1,
    "keep_checkpoints": 1,
    "sample_every": 0,
    "log_every": 1,
    "evaluate_every": 0,
    "steps_per_call": 1,
}


def _option(field_name: str) -> str:
    return field_name.replace("_", "-")


def _choices() -> dict[str, tuple[str, ...]]:
    hints = typing.get_type_hints(Config)
    return {
        name: typing.get_args(hint)
        for name, hint in hints.items()
        if typing.get_origin(hint) is Literal
    }


def parse_size(option: str, size: int | str) -> tuple[int, int]:
    """Height and width from 256 or 256x192; `option` is what an error names."""
    try:
        sides = [int(side) for side in str(size).lower().split("x")]
        height, width = sides * 2 if len(sides) == 1 else sides
    except ValueError:
        raise UserError(
            f"--{option} is {size!r}; it takes 256 or 256x192 (height x width)"
        ) from None
    if min(height, width) < 1:
        raise UserError(f"--{option} is {size}; both sides must be positive")
    return height, width


PRESETS: dict[str, Config] = {
    # The TensorFlow tutorial, setting for setting.
    "tutorial": Config(),
    # The paper (section 7) and the authors' code.
    "paper": Config(
        resize_method="bicubic",
        generator="resnet9",
        norm_affine=False,
        leaky_slope=0.2,
        adversarial_loss="lsgan",
        pool_size=50,
        epochs=200,
        decay_start=0.5,
    ),
    # Small enough for two CPU cores; chosen by benchmarks/demo_search.py.
    "demo": Config(
        image_size=64,
        load_size=64,
        resize_method="bicubic",
        filters=32,
        unet_levels=5,
        upsampling="resize",
        discriminator_filters=32,
        leaky_slope=0.2,
        adversarial_loss="lsgan",
        batch_size=4,
        learning_rate=5e-4,
        steps=2000,
        decay_start=0.5,
        checkpoint_every=250,
        sample_every=250,
    ),
}
