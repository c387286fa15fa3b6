"""The networks of junyanz/pytorch-CycleGAN-and-pix2pix, read from their state dicts.

Those of taesungp/contrastive-unpaired-translation too, the same but for anti-aliasing. What a network
is follows from the names and shapes of its tensors. The names count the layers of
PyTorch's containers, those without weights too: in `model.10.conv_block.5.weight` 10 is the first
residual block and 5 its second convolution, which is 6 where a dropout comes in between.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

from ..models import patchgan_discriminator, pix2pix_unet_generator, resnet_generator
from .checkpoint import read_checkpoint
from .pickle import CheckpointError

Tensors = dict[str, np.ndarray]

WRAPPERS = ("module.", "_orig_mod.")  # what DataParallel and torch.compile put before every name
MAX_LEVELS = 16
MAX_BLOCKS = 100
# The rows of CUT's filters, which it keeps in its checkpoints though they never change.
HALVING, DOUBLING = (1, 2, 1), (1, 3, 3, 1)


@dataclass(frozen=True)
class TorchNetwork:
    """A network read from a PyTorch checkpoint.

    Attributes:
        model: The same network in Keras.
        summary: Its architecture in a few words.
        size_multiple: What heights and widths must be multiples of; None for a discriminator.
    """

    model: keras.Model
    summary: str
    size_multiple: int | None


def convert_checkpoint(path: str | Path) -> keras.Model:
    """Turn a PyTorch checkpoint into a Keras model.

    Args:
        path: A generator or discriminator of junyanz/pytorch-CycleGAN-and-pix2pix, its state dict as
            torch.save or safetensors wrote it: `resnet_9blocks` and `resnet_6blocks` (or any number
            of blocks), `unet_256` and `unet_128` (any depth), `basic` and `n_layers`; or of CUT,
            FastCUT and DCLGAN, whose residual generators and PatchGANs have anti-aliasing.

    Returns:
        A model from `[N, H, W, channels]` in [-1, 1] that gives PyTorch's numbers in its eval mode:
        batch norms take their stored statistics (where pix2pix's test.py without `--eval` takes
        those of the picture) and dropout does nothing. Discriminators agree where heights and widths
        can be halved as often as they do it.

    Raises:
        UserError: The file is no checkpoint or of another network, or a tensor is missing, surplus
            or of another shape than the others ask for.

    Example:
        >>> generator = convert_checkpoint("latest_net_G.pth")
        >>> generator(np.zeros([1, 256, 256, 3], np.float32)).shape
        TensorShape([1, 256, 256, 3])
    """
    return build_network(read_checkpoint(path), path).model


def build_network(tensors: Tensors, path: str | Path) -> TorchNetwork:
    """`convert_checkpoint` of what `read_checkpoint` gave for `path`, with the network's facts."""
    try:
        tensors = _without_wrappers(tensors)
        plan = _plan(tensors)
        plan.check(tensors)
        model = plan.build()
        _fill(model, plan.layers, tensors)
    except CheckpointError as error:
        raise CheckpointError(f"{path} {error}") from error
    return TorchNetwork(model, plan.summary, plan.size_multiple)


def _without_wrappers(tensors: Tensors) -> Tensors:
    for prefix in WRAPPERS * 2:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


@dataclass
class _Plan:
    """The layers that a network should have, collected from its input to its output.

    Attributes:
        norm: "instance" or "batch".
        affine: Whether norms have a scale and an offset.
        use_bias: Whether convolutions before a norm have a bias.
        layers: For every layer with weights the names and shapes of its tensors.
        constants: Tensors without a layer of weights, and what they must be.
        ignored: Names of tensors that may be there and mean nothing.
        build: Makes the Keras model.
    """

    norm: str
    affine: bool
    use_bias: bool
    layers: list[dict[str, tuple[int, ...]]] = field(default_factory=list)
    constants: Tensors = field(default_factory=dict)
    ignored: set[str] = field(default_factory=set)
    summary: str = ""
    size_multiple: int | None = None
    build: Callable[[], keras.Model] | None = None

    def add_conv(self, name, inputs, outputs, kernel, bias=None, transposed=False):
        """A convolution; one that a norm follows takes its bias from `use_bias`."""
        channels = (inputs, outputs) if transposed else (outputs, inputs)
        layer = {f"{name}.weight": (*channels, kernel, kernel)}
        if self.use_bias if bias is None else bias:
            layer[f"{name}.bias"] = (outputs,)
        self.layers.append(layer)

    def add_blur(self, name, channels, row):
        """A filter of every channel, the outer product of a row with itself; doubling makes up for
        the zeros between the pixels.
        """
        row = np.array(row) / sum(row) * (2 if row == DOUBLING else 1)
        self.constants[f"{name}.filt"] = np.tile(np.outer(row, row), (channels, 1, 1, 1))

    def add_norm(self, name, channels):
        self.ignored.add(f"{name}.num_batches_tracked")
        stored = ["running_mean", "running_var"]
        if self.norm == "instance":
            # PyTorch before 0.4 kept statistics for instance norms, too, and did not use them.
            self.ignored |= {f"{name}.{statistic}" for statistic in stored}
            stored = []
        if self.affine:
            parts = ["weight", "bias", *stored]
            self.layers.append({f"{name}.{part}": (channels,) for part in parts})

    def check(self, tensors: Tensors) -> None:
        """See that the tensors are those of the layers.

        Raises:
            CheckpointError: One is missing, surplus or has another shape, or is not finite.
        """
        expected = {name: shape for layer in self.layers for name, shape in layer.items()}
        expected |= {name: constant.shape for name, constant in self.constants.items()}
        for name, shape in expected.items():
            if name not in tensors:
                raise CheckpointError(
                    f"lacks the tensor {name} of shape {list(shape)}, which {self.summary} has"
                )
            if tensors[name].shape != shape:
                raise CheckpointError(
                    f"has the tensor {name} in the shape {list(tensors[name].shape)}; "
                    f"{self.summary} has it in the shape {list(shape)}"
                )
            if not np.isfinite(tensors[name].astype(np.float32)).all():
                raise CheckpointError(f"has infinite or undefined numbers in the tensor {name}")
            if name in self.constants and not np.allclose(tensors[name], self.constants[name]):
                raise CheckpointError(
                    f"has another filter in the tensor {name} than {self.summary} has"
                )
        for name, tensor in tensors.items():
            if name not in expected and name not in self.ignored:
                raise CheckpointError(
                    f"has the tensor {name[:200]!r} of shape {list(tensor.shape)}, "
                    f"which {self.summary} does not have"
                )


def _plan(tensors: Tensors) -> _Plan:
    """Tell from the names which network it is."""
    if any(re.match(r"model\.\d+\.conv_block\.", name) for name in tensors):
        return _plan_resnet(tensors)
    if any(name.startswith("model.model.") for name in tensors):
        return _plan_unet(tensors)
    if all(re.fullmatch(r"model\.\d+\.[a-z_]+", name) for name in tensors):
        return _plan_patchgan(tensors)
    name, tensor = next(iter(tensors.items()))
    raise CheckpointError(
        "is no residual generator, U-Net or PatchGAN of junyanz/pytorch-CycleGAN-and-pix2pix or of "
        f"CUT: its first of {len(tensors)} tensors is {name[:200]!r} of shape {list(tensor.shape)}"
    )


def _plan_resnet(tensors: Tensors) -> _Plan:
    found = {re.match(r"model\.(\d{1,6})\.conv_block\.", name) for name in tensors} - {None}
    places = sorted({int(match[1]) for match in found})
    blocks = len(places)
    if blocks > MAX_BLOCKS:
        raise CheckpointError(f"is a residual generator of more than {MAX_BLOCKS} blocks")
    antialias = "model.7.filt" in tensors  # a layer more for each halving, and each doubling
    downs = (4, 8) if antialias else (4, 7)
    first = 12 if antialias else 10
    last = first + blocks  # the first layer after the blocks
    if places != list(range(first, last)):
        raise CheckpointError(
            f"has residual blocks at {', '.join(f'model.{place}' for place in places[:20])}; "
            f"{blocks} of them should stand from model.{first} to model.{last - 1}"
        )
    blur = f"model.{last}.filt" in tensors
    ups = (last + 1, last + 5) if blur else (last, last + 3)
    out = f"model.{ups[1] + 4}"
    second = "conv_block.6"  # a norm if there is no dropout
    dropout = any(
        name.endswith(f"{second}.weight") and tensor.ndim == 4 for name, tensor in tensors.items()
    )
    second = 6 if dropout else 5
    filters = _channels(
        tensors,
        ("model.1.weight", 0, 1),
        (f"model.{downs[0]}.weight", 1, 1),
        (f"model.{downs[1]}.weight", 1, 2),
        (f"{out}.weight", 1, 1),
    )
    input_channels = _input_channels(tensors, "model.1.weight", filters)
    output_channels = _channels(tensors, (f"{out}.bias", 0, 1), (f"{out}.weight", 0, 1))

    plan = _Plan(*_norm(tensors, *(f"model.{place}.bias" for place in (1, *downs))))
    plan.add_conv("model.1", input_channels, filters, 7)
    plan.add_norm("model.2", filters)
    for place, inputs in zip(downs, (filters, 2 * filters), strict=True):
        plan.add_conv(f"model.{place}", inputs, 2 * inputs, 3)
        plan.add_norm(f"model.{place + 1}", 2 * inputs)
        if antialias:
            plan.add_blur(f"model.{place + 3}", 2 * inputs, HALVING)
    for place in places:
        for conv in (1, second):
            plan.add_conv(f"model.{place}.conv_block.{conv}", 4 * filters, 4 * filters, 3)
            plan.add_norm(f"model.{place}.conv_block.{conv + 1}", 4 * filters)
    for place, outputs in zip(ups, (2 * filters, filters), strict=True):
        if blur:
            plan.add_blur(f"model.{place - 1}", 2 * outputs, DOUBLING)
        plan.add_conv(f"model.{place}", 2 * outputs, outputs, 3, transposed=not blur)
        plan.add_norm(f"model.{place + 1}", outputs)
    plan.add_conv(out, filters, output_channels, 7, bias=True)

    plan.summary = (
        f"a residual generator of {blocks} block{'s' * (blocks != 1)}"
        f"{' with dropout' if dropout else ''}{' with anti-aliasing' if antialias or blur else ''}, "
        f"{_in_words(plan, filters, input_channels, output_channels)}"
    )
    plan.size_multiple = 4
    plan.build = lambda: resnet_generator(
        blocks,
        filters,
        norm=plan.norm,
        affine=plan.affine,
        use_bias=plan.use_bias,
        dropout=0.5 if dropout else 0.0,
        antialias=antialias,
        upsampling="blur" if blur else "transpose",
        input_channels=input_channels,
        output_channels=output_channels,
    )
    return plan


def _plan_unet(tensors: Tensors) -> _Plan:
    # Each level stands within the one before.
    inner = ["model.model.1.model"]
    while any(name.startswith(f"{inner[-1]}.3.model.") for name in tensors):
        inner.append(f"{inner[-1]}.3.model")
        if len(inner) > MAX_LEVELS:
            raise CheckpointError(f"is a U-Net of more than {MAX_LEVELS} levels")
    levels = 1 + len(inner)
    outermost_down, outermost_up = "model.model.0", "model.model.3"
    filters = _channels(
        tensors,
        (f"{outermost_down}.weight", 0, 1),
        (f"{inner[0]}.1.weight", 1, 1),
        (f"{outermost_up}.weight", 0, 2),
    )
    input_channels = _input_channels(tensors, f"{outermost_down}.weight", filters)
    output_channels = _channels(
        tensors, (f"{outermost_up}.bias", 0, 1), (f"{outermost_up}.weight", 1, 1)
    )
    widths = [filters * min(2**level, 8) for level in range(levels)]

    plan = _Plan(*_norm(tensors, f"{outermost_down}.bias", *(f"{name}.1.bias" for name in inner)))
    plan.add_conv(outermost_down, input_channels, filters, 4)
    for name, inputs, outputs in zip(inner, widths[:-1], widths[1:], strict=True):
        plan.add_conv(f"{name}.1", inputs, outputs, 4)
        if name != inner[-1]:
            plan.add_norm(f"{name}.2", outputs)
    for name, outputs, inputs in reversed(list(zip(inner, widths[:-1], widths[1:], strict=True))):
        innermost = name == inner[-1]
        place = 3 if innermost else 5
        inputs = inputs if innermost else 2 * inputs  # from below, and from the same level
        plan.add_conv(f"{name}.{place}", inputs, outputs, 4, transposed=True)
        plan.add_norm(f"{name}.{place + 1}", outputs)
    plan.add_conv(outermost_up, 2 * filters, output_channels, 4, bias=True, transposed=True)

    plan.size_multiple = 2**levels
    plan.summary = (
        f"a U-Net of {levels} levels (unet_{2**levels}), "
        f"{_in_words(plan, filters, input_channels, output_channels)}"
    )
    plan.build = lambda: pix2pix_unet_generator(
        filters,
        levels,
        norm=plan.norm,
        affine=plan.affine,
        use_bias=plan.use_bias,
        input_channels=input_channels,
        output_channels=output_channels,
    )
    return plan


def _plan_patchgan(tensors: Tensors) -> _Plan:
    # Convolutions stand at 0, 2, 5, 8, ...: from the second on with a norm and a ReLU behind them.
    # With anti-aliasing a filter stands before each but the first and the last.
    last = max(int(name.split(".")[1][:6]) for name in tensors)
    antialias = "model.2.filt" in tensors
    apart = 4 if antialias else 3
    halvings = (last - 2) // apart
    if not 1 <= halvings <= MAX_LEVELS:
        raise CheckpointError(f"is no PatchGAN: its last layer is model.{last}")
    places = [apart * i - 1 for i in range(1, halvings + 1)]
    filters = _channels(tensors, ("model.0.weight", 0, 1), (f"model.{places[0]}.weight", 1, 1))
    input_channels = _input_channels(tensors, "model.0.weight", filters)
    widths = [filters * min(2**level, 8) for level in range(halvings + 1)]

    plan = _Plan(*_norm(tensors, *(f"model.{place}.bias" for place in places)))
    plan.add_conv("model.0", input_channels, filters, 4, bias=True)
    for place, inputs, outputs in zip(places, widths[:-1], widths[1:], strict=True):
        if antialias:
            plan.add_blur(f"model.{place - 1}", inputs, HALVING)
        plan.add_conv(f"model.{place}", inputs, outputs, 4)
        plan.add_norm(f"model.{place + 1}", outputs)
    plan.add_conv(f"model.{places[-1] + 3}", widths[-1], 1, 4, bias=True)

    words = _in_words(plan, filters, input_channels, 1)
    blurred = " with anti-aliasing" if antialias else ""
    plan.summary = f"a PatchGAN discriminator of {halvings} layers{blurred}, {words}"
    plan.build = lambda: patchgan_discriminator(
        filters,
        leaky_slope=0.2,
        norm=plan.norm,
        affine=plan.affine,
        use_bias=plan.use_bias,
        input_channels=input_channels,
        halvings=halvings,
        antialias=antialias,
    )
    return plan


def _channels(tensors: Tensors, *places: tuple[str, int, int]) -> int:
    """A number of channels that several tensors tell by an axis and a factor: what most say."""
    told = Counter(
        tensors[name].shape[axis] // factor
        for name, axis, factor in places
        if name in tensors and tensors[name].ndim > axis
    )
    if not told or min(told) < 1:
        names = ", ".join(dict.fromkeys(name for name, _, _ in places))
        raise CheckpointError(f"lacks usable tensors {names}, which tell its channels")
    return told.most_common(1)[0][0]


def _input_channels(tensors: Tensors, name: str, filters: int) -> int:
    """What the first convolution has beside `filters`, be its axes exchanged or not."""
    shape = tensors[name].shape if name in tensors else ()
    if 0 in shape:
        raise CheckpointError(
            f"has the tensor {name} in the shape {list(shape)}: a network of no channels translates "
            "nothing"
        )
    if len(shape) != 4:
        raise CheckpointError(
            f"lacks the tensor {name} of shape [{filters}, ...], its first convolution"
        )
    return shape[1] if shape[0] == filters else shape[0]


def _norm(tensors: Tensors, *biases: str) -> tuple[str, bool, bool]:
    """Tell the kind of norm, whether it is affine and whether convolutions before one have a bias.

    Only norms have weights of one dimension. Instance norms without weights leave no trace, or the
    running statistics of old versions.
    """
    affine = any(name.endswith(".weight") and tensors[name].ndim == 1 for name in tensors)
    batch = affine and any(name.endswith(".running_mean") for name in tensors)
    use_bias = any(name in tensors for name in biases)
    if not affine and not use_bias:
        raise CheckpointError(
            "is a network without norms (neither they nor the convolutions before them have "
            "weights), which is not supported"
        )
    return "batch" if batch else "instance", affine, use_bias


def _in_words(plan: _Plan, filters: int, inputs: int, outputs: int) -> str:
    norm = f"{plan.norm} norm"
    if plan.norm == "instance":
        norm += f" {'with' if plan.affine else 'without'} scale and offset"
    return f"{filters} filters, {norm}, {inputs} channels to {outputs}"


def _fill(model: keras.Model, layers: list[dict[str, tuple[int, ...]]], tensors: Tensors) -> None:
    """Give the model's layers their weights; both are in the order from input to output."""
    for layer, names in zip(_layers_with_weights(model), layers, strict=True):
        layer.set_weights([_in_keras_layout(tensors[name]) for name in names])


def _layers_with_weights(model: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers_with_weights(layer)
        elif layer.weights:
            yield layer


def _in_keras_layout(tensor: np.ndarray) -> np.ndarray:
    """PyTorch's OIHW to HWIO; by the same permutation a transposed convolution's IOHW to HWOI."""
    tensor = tensor.astype(np.float32)
    return tensor.transpose(2, 3, 1, 0) if tensor.ndim == 4 else tensor
