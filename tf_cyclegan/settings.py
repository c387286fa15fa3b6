"""What a setting is, and the settings that every run has. Nothing heavy is imported here."""

import dataclasses
import json
import math
import os
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from .errors import UserError
from .paths import from_home

if TYPE_CHECKING:
    from typing_extensions import Self

    from .pixels import PixelFormat

# Those of a 64-megapixel sensor; a WebP, the worst, takes 1 GiB of memory while it is decoded.
MAX_PIXELS = 65_000_000

AUTO = "auto"
AUTO_SIZES = {True: 256, False: 128}  # pixels a side, with an accelerator and without
TEST_SHARE = 0.1  # of each of two piles of images is held out
COLOUR = 3  # channels, where neither settings nor data say


def setting(
    default: Any,
    group: str,
    help: str,
    *,
    lowest: float | None = None,
    above: float | None = None,
    highest: float | None = None,
    below: float | None = None,
    may_change: bool = False,
    is_place: bool = False,
    from_data: bool = False,
    aliases: tuple[str, ...] = (),
) -> Any:
    """Declare a setting, in the one place where all that is known of it stands.

    Args:
        default: Its value where nothing else is said.
        group: The heading that --help shows it under.
        help: One line, with the unit.
        lowest: The least value it takes; None is not compared.
        above: It takes values above this alone.
        highest: The largest value it takes.
        below: It takes values below this alone.
        may_change: Whether a run may go on with another value: it changes where or how often a run
            is looked at, or on what it runs, but not its weights (or no more than their rounding).
        is_place: Whether it is a path that may be another one on each worker of a run.
        from_data: Whether None means what the data are found to be, when a run begins.
        aliases: Other spellings of its option.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "group": group,
            "help": help,
            "lowest": lowest,
            "above": above,
            "highest": highest,
            "below": below,
            "may_change": may_change,
            "is_place": is_place,
            "from_data": from_data,
            "aliases": aliases,
        },
    )


@dataclass(frozen=True)
class RunSettings:
    """The settings that every run has, whatever its method.

    A method adds its own in a frozen dataclass on top of this one. Values are checked against what
    each setting declares; `check` is the place for what several must keep together.

    Attributes:
        method: Name of the method that the settings are of.

    Raises:
        UserError: A setting, or two together, cannot work.
    """

    method: ClassVar[str]

    dataset: str | None = setting(
        "emoji",
        "data",
        "a TFDS name (cycle_gan/horse2zebra), a folder or .zip with trainA and trainB, emoji or earth",
        is_place=True,
    )
    x: str | None = setting(
        None,
        "data",
        "a folder or .zip of images of one domain; with --y in place of --dataset",
        is_place=True,
    )
    y: str | None = setting(
        None, "data", "of images of the other; a tenth of both is held out for tests", is_place=True
    )
    data_dir: str | None = setting(
        None,
        "data",
        "where TFDS keeps prepared data sets (default: ~/tensorflow_datasets)",
        may_change=True,
        is_place=True,
    )
    image_size: int | str = setting(
        256,
        "data",
        f"pixels a side, or HEIGHTxWIDTH, to train at; auto is {AUTO_SIZES[True]} on a GPU or TPU, "
        f"{AUTO_SIZES[False]} without",
    )
    load_size: int | str | None = setting(
        None, "data", "size to scale to before the random crop (default: 286/256 of image-size)"
    )
    resize_method: Literal["nearest", "bilinear", "bicubic", "lanczos"] = setting(
        "nearest", "data", "interpolation; all but nearest filter against aliasing"
    )
    fit: Literal["stretch", "crop", "pad", "patches"] = setting(
        "stretch",
        "data",
        "pictures of another shape: stretched, cut at random from the shorter side on, padded, or cut "
        "from the whole without scaling",
    )
    keep_colour_space: bool = setting(
        False, "data", "leave colours as they are, instead of converting them to sRGB"
    )
    mirror: bool = setting(True, "data", "mirror every other training image left to right")
    batch_size: int = setting(
        1, "data", "images of each domain a step, on all devices together", lowest=1
    )
    skip_unreadable: bool = setting(
        False, "data", "leave out images that cannot be read, instead of stopping"
    )
    rotate: float = setting(
        0.0,
        "data",
        "turn training images by up to so many degrees either way",
        lowest=0,
        highest=180,
    )
    zoom: float = setting(
        0.0, "data", "magnify training images by up to this share", lowest=0, highest=1
    )
    color_jitter: float = setting(
        0.0,
        "data",
        "multiply brightness, contrast and saturation by up to this much more or less than 1",
        lowest=0,
        below=1,
    )
    held_out: float = setting(
        0.0,
        "data",
        "share of the training images that is not trained on, to see whether discriminators know the "
        "others by heart",
        lowest=0,
        highest=0.5,
    )
    max_pixels: int = setting(
        MAX_PIXELS,
        "data",
        "images of more pixels are not decoded: a small file can fill the memory",
        lowest=1,
        may_change=True,
    )

    channels_x: int | str | None = setting(
        None,
        "data",
        "rgb, grey or a number: make the pictures of X so (default: as they are)",
        from_data=True,
    )
    channels_y: int | str | None = setting(None, "data", "likewise of Y", from_data=True)
    type_x: str | None = setting(
        None,
        "data",
        "uint8, uint16, int16, float32 ...: make the samples of X so (default: as they are)",
        from_data=True,
    )
    type_y: str | None = setting(None, "data", "likewise of Y", from_data=True)
    range_x: str | None = setting(
        None,
        "data",
        "LOW,HIGH: the values of X that become -1 and 1 (default: all of 8 bits, else as measured)",
        from_data=True,
    )
    range_y: str | None = setting(None, "data", "likewise of Y", from_data=True)

    epochs: int = setting(10, "training", "an epoch shows the larger domain once", lowest=1)
    steps: int | None = setting(
        None, "training", "train for this many steps instead of epochs", lowest=1
    )
    learning_rate: float = setting(2e-4, "training", "of the Adam optimizers", above=0)
    beta_1: float = setting(
        0.5, "training", "first moment decay of the Adam optimizers", lowest=0, below=1
    )
    epsilon: float = setting(
        1e-7, "training", "what Adam adds to the root of the second moment", above=0
    )
    epsilon_form: Literal["keras", "pytorch"] = setting(
        "keras",
        "training",
        "whether that is the second moment as it stands, or corrected for its start at zero",
    )
    decay_start: float = setting(
        1.0,
        "training",
        "share of the run after which the rate falls to 0 (paper: 0.5)",
        lowest=0,
        highest=1,
    )
    decay: Literal["linear", "cosine", "step", "plateau"] = setting(
        "linear",
        "training",
        "how it falls; step is to a tenth, then to a hundredth, plateau to a fifth when what should "
        "fall no longer does",
    )
    warmup_steps: int = setting(
        0, "training", "steps over which the rate grows from nothing at first", lowest=0
    )
    seed: int = setting(
        0, "training", "initial weights, data order and every random choice", lowest=0
    )
    jit: Literal["auto", "on", "off"] = setting(
        "auto", "training", "compile the training step with XLA; auto does on a GPU"
    )
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = setting(
        "float32", "training", "what the networks compute in; their weights are float32"
    )
    remat: bool = setting(
        False,
        "training",
        "compute the generators' activations twice instead of keeping them",
        may_change=True,
    )
    strategy: Literal["auto", "one", "mirrored", "multiworker", "tpu"] = setting(
        "auto",
        "training",
        "devices: one, all of this machine, those of all workers of TF_CONFIG, a TPU; auto takes "
        "what there is",
        may_change=True,
    )
    steps_per_call: int = setting(
        1,
        "training",
        "steps between returns to Python; more help where launching is slow",
        lowest=1,
        may_change=True,
    )

    run_dir: str | None = setting(
        None,
        "run",
        "folder of the run (default: runs/DATASET); one that exists is continued",
        may_change=True,
        is_place=True,
    )
    checkpoint_every: int = setting(
        1000, "run", "steps between checkpoints", lowest=1, may_change=True
    )
    keep_checkpoints: int = setting(
        3, "run", "how many of the newest checkpoints to keep", lowest=1, may_change=True
    )
    sample_every: int = setting(
        500, "run", "steps between sample pictures; 0 is never", lowest=0, may_change=True
    )
    log_every: int = setting(
        10, "run", "steps between lines of metrics.jsonl", lowest=1, may_change=True
    )
    evaluate_every: int = setting(
        0,
        "run",
        "steps between evaluations of the test images into evaluations.jsonl; 0 is never",
        lowest=0,
        may_change=True,
        aliases=("--every",),
    )

    def __post_init__(self):
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            _check_value(self, field, hints[field.name])
        self._check_data()
        self._check_pixels()
        if self.decay != "linear" and self.decay_start >= 1:
            raise UserError(
                f"--decay {self.decay} does nothing at a constant rate: give --decay-start below 1"
            )
        if self.image_size == AUTO:
            return  # the rest is seen to where the size is known
        if any(load < size for load, size in zip(self.load_shape, self.image_shape, strict=True)):
            raise UserError(
                f"--load-size {self.load_size} is smaller than --image-size {self.image_size}, "
                "which is cropped from it"
            )
        self.check()

    def _check_data(self):
        """See that the data are named in one way; where --x and --y do, --dataset is None."""
        if (self.x is None) != (self.y is None):
            given, missing = ("x", "y") if self.y is None else ("y", "x")
            raise UserError(f"--{given} needs --{missing} too: the images of the other domain")
        if self.x is not None:
            if self.dataset not in (None, RunSettings.dataset):
                raise UserError(f"give either --dataset {self.dataset}, or --x and --y")
            object.__setattr__(self, "dataset", None)
        elif self.dataset is None:
            raise UserError("give the data: --dataset, or --x and --y")
        for name in ("dataset", "x", "y", "run_dir"):
            if (place := getattr(self, name)) and "://" in place:
                raise UserError(
                    f"{option(name)} {place} is an address: it takes a place on this machine's disks; "
                    "mount the bucket, or copy from it before and to it afterwards"
                )

    def _check_pixels(self) -> None:
        """See that what is said of the pixels can be read; alike is written alike."""
        names = [[f"{name}_{of}" for name in ("channels", "type", "range")] for of in "xy"]
        if all(getattr(self, name) is None for name in (*names[0], *names[1])):
            return
        from .pixels import parse_channels, parse_range, parse_type, range_text  # imports NumPy

        for of, (channels, type_, range_) in zip("xy", names, strict=True):
            if (value := getattr(self, channels)) is not None:
                object.__setattr__(self, channels, parse_channels(f"channels-{of}", value))
            if (value := getattr(self, type_)) is not None:
                parse_type(f"type-{of}", value)
            if (value := getattr(self, range_)) is not None:
                object.__setattr__(self, range_, range_text(*parse_range(f"range-{of}", value)))

    def check(self) -> None:
        """See that the settings of a method fit each other; methods with rules of their own add them.

        Raises:
            UserError: They do not.
        """

    def cautions(self, total_steps: int) -> list[str]:
        """What a reader of the settings might not expect of a run of so many steps, in sentences."""
        return []

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of training images; `--image-size auto` has none before it is `sized`."""
        if self.image_size == AUTO:
            raise UserError("--image-size auto is known where training begins: give a number here")
        return parse_size("image-size", self.image_size)

    def sized(self, accelerated: bool) -> "Self":
        """These settings with a number for `--image-size auto`; `accelerated`: by a GPU or TPU."""
        if self.image_size != AUTO:
            return self
        return dataclasses.replace(self, image_size=AUTO_SIZES[accelerated])

    @property
    def load_shape(self) -> tuple[int, int]:
        """Height and width that training images are scaled to before the random crop."""
        if self.load_size is None:
            height, width = self.image_shape
            return (round(height * 286 / 256), round(width * 286 / 256))
        return parse_size("load-size", self.load_size)

    @property
    def train_shape(self) -> tuple[int, int]:
        """Height and width that training images are made before they are cut."""
        return self.image_shape if self.fit == "patches" else self.load_shape

    @property
    def size_multiple(self) -> int:
        """Heights and widths that the translators take are multiples of this."""
        return 1

    @property
    def pixels(self) -> "tuple[PixelFormat, PixelFormat]":
        """What the pixels of X and Y are: 8-bit colour where neither settings nor data say."""
        from .pixels import RGB8, PixelFormat, parse_channels, parse_range, parse_type

        x, y = (
            PixelFormat(
                RGB8.channels if channels is None else parse_channels(f"channels-{of}", channels),
                RGB8.dtype if type_ is None else parse_type(f"type-{of}", type_),
                *((RGB8.low, RGB8.high) if range_ is None else parse_range(f"range-{of}", range_)),
            )
            for of, channels, type_, range_ in (
                ("x", self.channels_x, self.type_x, self.range_x),
                ("y", self.channels_y, self.type_y, self.range_y),
            )
        )
        return x, y

    @property
    def channels(self) -> tuple[int, int]:
        """How many channels the images of X and Y have."""
        x, y = (
            COLOUR if value is None else int(value) for value in (self.channels_x, self.channels_y)
        )
        return x, y

    @property
    def has_averages(self) -> bool:
        """Whether checkpoints hold moving averages, which translate in place of the networks."""
        return False

    @property
    def domains(self) -> tuple[str, str]:
        """Which of the data's domains, A and B, are X and Y."""
        return "A", "B"

    @property
    def data_places(self) -> list[str]:
        """Where the data are: `--dataset`, or both `--x` and `--y`."""
        return [place for place in (self.dataset, self.x, self.y) if place is not None]

    @property
    def data_name(self) -> str:
        """The data in words, as they were given."""
        return " and ".join(self.data_places)

    def has_data_of(self, other: "RunSettings") -> bool:
        """Whether others name the same data, however they spell the path."""

        def real(place: str) -> str:
            path = from_home(place)
            return os.path.realpath(path) if path.exists() else place

        return [real(p) for p in self.data_places] == [real(p) for p in other.data_places]

    @property
    def short_name(self) -> str:
        """The data in a word that a folder can have: horses2zebras for my/horses and my/zebras."""
        return "2".join(_last_name(place) for place in self.data_places)

    @property
    def run_folder(self) -> Path:
        """Where the run keeps its files."""
        return Path(self.run_dir) if self.run_dir else Path("runs") / self.short_name

    def to_json(self) -> str:
        """The settings as a JSON object, the name of their method first."""
        return json.dumps({"method": self.method} | dataclasses.asdict(self), indent=2) + "\n"


def _last_name(place: str) -> str:
    """The name of a folder or .zip, whole but for the ".zip"; a TFDS name as a file can have it."""
    path = from_home(place)
    if not path.exists():
        return place.replace("/", "_").replace(":", "_")
    name = path.absolute().name
    return name[:-4] if name.lower().endswith(".zip") else name


def option(name: str) -> str:
    """The option of a setting: --batch-size for batch_size."""
    return "--" + name.replace("_", "-")


def named(fields, **wanted) -> set[str]:
    """The names of those dataclass fields whose declaration has the values that are wanted."""
    return {
        field.name
        for field in fields
        if all(field.metadata[key] == value for key, value in wanted.items())
    }


def in_groups(kind: type[RunSettings]) -> dict[str, list[dataclasses.Field]]:
    """The settings of a kind by group: the data first, training and run last, a method's between."""
    groups: dict[str, list[dataclasses.Field]] = {"data": []}
    for field in dataclasses.fields(kind):
        groups.setdefault(field.metadata["group"], []).append(field)
    last = ("training", "run")
    return {name: groups[name] for name in sorted(groups, key=lambda name: name in last)}


def parse_size(name: str, size: int | str) -> tuple[int, int]:
    """Height and width from 256 or 256x192; `name` is the option that an error names."""
    try:
        sides = [int(side) for side in str(size).lower().split("x")]
        height, width = sides * 2 if len(sides) == 1 else sides
    except ValueError:
        raise UserError(f"--{name} is {size!r}; it takes 256 or 256x192 (height x width)") from None
    if min(height, width) < 1:
        raise UserError(f"--{name} is {size}; both sides must be positive")
    return height, width


def _check_value(settings: RunSettings, field: dataclasses.Field, hint: Any) -> None:
    """Hold one value to the type and the limits that its setting declares; paths become text."""
    value, told = getattr(settings, field.name), option(field.name)
    is_union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    alternatives = typing.get_args(hint) if is_union else (hint,)
    if value is None and type(None) in alternatives:
        return
    if isinstance(value, os.PathLike) and str in alternatives:
        value = os.fspath(value)
        object.__setattr__(settings, field.name, value)
    if field.metadata["is_place"] and isinstance(value, str) and value.startswith("~"):
        value = str(from_home(value))
        object.__setattr__(settings, field.name, value)
    choices = [c for hint in alternatives for c in typing.get_args(hint)]
    if choices:
        if value not in choices:
            raise UserError(f"{told} is {value!r}; it takes {', '.join(map(str, choices))}")
        return
    kinds = tuple(kind for kind in alternatives if kind is not type(None))
    takes = (*kinds, int) if float in kinds else kinds
    if not isinstance(value, takes) or (isinstance(value, bool) and bool not in kinds):
        raise UserError(f"{told} is {value!r}; it takes {' or '.join(_KINDS[k] for k in kinds)}")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise UserError(f"{told} has {len(str(abs(value)))} digits; it must be below 2^63")
    if not isinstance(value, bool | str) and not _within(value, field.metadata):
        raise UserError(f"{told} is {value}; it must be {_limits(field.metadata)}")


_KINDS = {int: "a whole number", float: "a number", str: "text", bool: "True or False"}


def _within(value: float, limits: Mapping) -> bool:
    return (
        math.isfinite(value)
        and (limits["lowest"] is None or value >= limits["lowest"])
        and (limits["above"] is None or value > limits["above"])
        and (limits["highest"] is None or value <= limits["highest"])
        and (limits["below"] is None or value < limits["below"])
    )


def _limits(limits: Mapping) -> str:
    """The limits in words: "from 0 to below 1"."""
    low, high = limits["lowest"], limits["highest"]
    upper = f"below {limits['below']}" if high is None else str(high)
    if high is not None or limits["below"] is not None:
        return f"from {low} to {upper}"
    if limits["above"] is not None:
        return f"above {limits['above']}"
    return "a finite number" if low is None else f"at least {low}"
