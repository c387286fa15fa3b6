"""Write tests/golden: small PyTorch networks in every file format, and what they make of images.

    pip install torch safetensors numpy
    python tools/make_golden_torch.py

The networks are written from the papers and the layer order that the checkpoints of
junyanz/pytorch-CycleGAN-and-pix2pix have, and give their names to the tensors. Outputs are computed
in float64 from weights that float32 holds exactly.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

GOLDEN = Path(__file__).parent.parent / "tests" / "golden"


def norm_layers(norm, channels):
    """The norm, as a list."""
    return [nn.BatchNorm2d(channels) if norm == "batch" else nn.InstanceNorm2d(channels)]


class Blur(nn.Module):
    """Every channel filtered by the outer product of a row with itself, as CUT's layers keep it."""

    def __init__(self, channels, row, doubling):
        super().__init__()
        row = torch.tensor(row) / sum(row) * (2 if doubling else 1)
        kernel = row[:, None] * row
        self.register_buffer("filt", kernel.repeat(channels, 1, 1, 1))
        self.doubling = doubling

    def forward(self, x):
        kwargs = {"stride": 2, "groups": x.shape[1]}
        x = nn.functional.pad(x, (1,) * 4, "replicate" if self.doubling else "reflect")
        if self.doubling:
            return nn.functional.conv_transpose2d(x, self.filt, padding=3, **kwargs)
        return nn.functional.conv2d(x, self.filt, **kwargs)


class ResidualBlock(nn.Module):
    """x + conv(conv(x)), mirrored at the borders."""

    def __init__(self, channels, norm, dropout):
        super().__init__()

        def half():
            conv = nn.Conv2d(channels, channels, 3, bias=norm == "instance")
            return [nn.ReflectionPad2d(1), conv, *norm_layers(norm, channels)]

        between = [nn.ReLU(), *([nn.Dropout(0.5)] if dropout else [])]
        self.conv_block = nn.Sequential(*half(), *between, *half())

    def forward(self, x):
        return x + self.conv_block(x)


class ResidualGenerator(nn.Module):
    """c7s1-f, d2f, d4f, blocks, u2f, uf, c7s1-out (paper, section 7.2); with blurs, as CUT's."""

    def __init__(
        self, filters, blocks, norm="instance", dropout=False, inputs=3, outputs=3, blurs=(0, 0)
    ):
        super().__init__()
        bias = norm == "instance"

        def normed(conv, channels):
            return [conv, *norm_layers(norm, channels), nn.ReLU()]

        first = nn.Conv2d(inputs, filters, 7, bias=bias)
        parts = [nn.ReflectionPad2d(3), *normed(first, filters)]
        for width in (filters, 2 * filters):
            stride = 1 if blurs[0] else 2
            down = nn.Conv2d(width, 2 * width, 3, stride=stride, padding=1, bias=bias)
            parts += normed(down, 2 * width)
            parts += [Blur(2 * width, [1.0, 2, 1], False)] if blurs[0] else []
        parts += [ResidualBlock(4 * filters, norm, dropout) for _ in range(blocks)]
        for width in (2 * filters, filters):
            if blurs[1]:
                parts += [Blur(2 * width, [1.0, 3, 3, 1], True)]
                up = nn.Conv2d(2 * width, width, 3, padding=1, bias=bias)
            else:
                up = nn.ConvTranspose2d(2 * width, width, 3, 2, 1, output_padding=1, bias=bias)
            parts += normed(up, width)
        parts += [nn.ReflectionPad2d(3), nn.Conv2d(filters, outputs, 7), nn.Tanh()]
        self.model = nn.Sequential(*parts)

    def forward(self, x):
        return self.model(x)


class UnetLevel(nn.Module):
    """One level of the U-Net and, within it, all below."""

    def __init__(self, outer, inner, below, norm, inputs=None):
        super().__init__()
        bias = norm == "instance"
        self.outermost = inputs is not None
        down = nn.Conv2d(inputs or outer, inner, 4, 2, 1, bias=bias)
        from_below = 2 * inner if below else inner
        if self.outermost:
            up = nn.ConvTranspose2d(from_below, outer, 4, 2, 1)
            parts = [down, below, nn.ReLU(), up, nn.Tanh()]
        else:
            up = nn.ConvTranspose2d(from_below, outer, 4, 2, 1, bias=bias)
            middle = [*norm_layers(norm, inner), below] if below else []
            parts = [nn.LeakyReLU(0.2), down, *middle, nn.ReLU(), up, *norm_layers(norm, outer)]
        self.model = nn.Sequential(*parts)

    def forward(self, x):
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


class UnetGenerator(nn.Module):
    """The U-Net of pix2pix: `levels` halvings, down to one pixel for the size it is made for."""

    def __init__(self, filters, levels, norm="batch", inputs=3, outputs=3):
        super().__init__()
        widths = [filters * min(2**level, 8) for level in range(levels)]
        level = None
        for outer, inner in reversed(list(pairwise(widths))):
            level = UnetLevel(outer, inner, level, norm)
        self.model = UnetLevel(outputs, filters, level, norm, inputs)

    def forward(self, x):
        return self.model(x)


class PatchDiscriminator(nn.Module):
    """C64-C128-C256-C512 and a logit a patch, or another number of layers."""

    def __init__(self, filters, layers=3, norm="instance", inputs=3, blur=False):
        super().__init__()
        halving = 1 if blur else 2
        parts = [nn.Conv2d(inputs, filters, 4, halving, 1), nn.LeakyReLU(0.2)]
        widths = [filters * min(2**level, 8) for level in range(layers + 1)]
        for i, (before, width) in enumerate(pairwise(widths)):
            stride = 1 if i == layers - 1 else halving
            parts += [Blur(before, [1.0, 2, 1], False)] if blur else []
            conv = nn.Conv2d(before, width, 4, stride, 1, bias=norm == "instance")
            parts += [conv, *norm_layers(norm, width), nn.LeakyReLU(0.2)]
        self.model = nn.Sequential(*parts, nn.Conv2d(widths[-1], 1, 4, 1, 1))

    def forward(self, x):
        return self.model(x)


def randomise(network, seed):
    """Fill in random weights and statistics, so that no two tensors could be exchanged unnoticed."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        random = torch.randn(tensor.shape, generator=generator)
        if name.endswith("filt"):
            continue
        if tensor.ndim == 4:
            tensor.copy_(random / (tensor[0].numel()) ** 0.5)
        else:
            positive = name.endswith("running_var") or "weight" in name
            tensor.copy_(1 + 0.2 * random.clamp(-3, 3) if positive else 0.2 * random)
    return network.eval()


def images(channels, height, width):
    """A random image, NCHW in [-1, 1]."""
    random = np.random.default_rng(height * width).uniform(-1, 1, [1, channels, height, width])
    return random.astype(np.float32)


def outputs(network, sizes, channels):
    """Inputs and outputs for every size, NHWC."""
    arrays = {}
    with torch.no_grad():
        for i, (height, width) in enumerate(sizes):
            x = images(channels, height, width)
            y = network.double()(torch.from_numpy(x).double()).numpy()
            arrays[f"input_{i}"] = x.transpose(0, 2, 3, 1)
            arrays[f"output_{i}"] = y.transpose(0, 2, 3, 1)
    return arrays


def write_tensors():
    """Write all types, views that share a storage and nested dictionaries, for the reader's tests."""
    base = torch.arange(24.0).reshape(4, 6) - 7.5
    tensors = nn.Sequential(nn.BatchNorm2d(2)).state_dict()  # carries _metadata
    tensors |= {
        "transposed": base.t(),
        "every_other": base[1:3, ::2],
        "parameter": nn.Parameter(base[:2]),
        "double": base.double(),
        "half": base.half(),
        "bfloat16": base.bfloat16(),
        "long": base.long(),
        "byte": torch.arange(5, dtype=torch.uint8),
        "bool": base > 0,
        "scalar": torch.tensor(3),
        "empty": torch.zeros(0, 3),
    }
    nested = {"epoch": 3, "optimizer": {"state": {0: {"step": base}}}, "network": tensors}
    torch.save(nested, GOLDEN / "tensors.pth")
    old = GOLDEN / "tensors_old.pth"
    torch.save(nested, old, _use_new_zipfile_serialization=False)
    whole = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    save_file(whole, GOLDEN / "tensors.safetensors")
    np.savez_compressed(
        GOLDEN / "tensors.npz", **{name: t.to(torch.float64).numpy() for name, t in whole.items()}
    )


def main():
    GOLDEN.mkdir(parents=True, exist_ok=True)
    write_tensors()
    networks = {
        "resnet": (ResidualGenerator(2, blocks=2), 3, [(16, 16), (12, 20)]),
        "resnet_batch_dropout": (
            ResidualGenerator(2, 1, "batch", dropout=True, inputs=1, outputs=2),
            1,
            [(16, 16), (12, 20)],
        ),
        "unet_batch": (UnetGenerator(2, 5, outputs=1), 3, [(32, 32), (32, 64)]),
        "unet_instance": (UnetGenerator(2, 4, "instance"), 3, [(32, 32), (16, 48)]),
        "patchgan": (PatchDiscriminator(2), 3, [(32, 32), (24, 40)]),
        "patchgan_2_batch": (PatchDiscriminator(2, 2, "batch", inputs=6), 6, [(16, 16), (16, 24)]),
        "resnet_cut": (ResidualGenerator(2, 2, blurs=(1, 1)), 3, [(16, 16), (12, 20)]),
        "patchgan_cut": (PatchDiscriminator(2, blur=True), 3, [(32, 32), (24, 40)]),
    }
    for seed, (name, (network, channels, sizes)) in enumerate(networks.items()):
        randomise(network, seed)
        weights = network.state_dict()
        torch.save(weights, GOLDEN / f"{name}.pth")
        if name == "resnet":
            save_file(weights, GOLDEN / f"{name}.safetensors")
            # As the authors' files of 2017: saved from DataParallel, with statistics of no use.
            old = {}
            for key, tensor in weights.items():
                old[f"module.{key}"] = tensor
                if key.endswith(".bias") and not key.startswith("model.19."):
                    place, index = key.removesuffix(".bias").rsplit(".", 1)
                    norm = f"module.{place}.{int(index) + 1}"
                    old[f"{norm}.running_mean"] = torch.zeros_like(tensor)
                    old[f"{norm}.running_var"] = torch.ones_like(tensor)
            path = GOLDEN / f"{name}_old.pth"
            torch.save(old, path, _use_new_zipfile_serialization=False)
        np.savez_compressed(GOLDEN / f"{name}.npz", **outputs(network, sizes, channels))


if __name__ == "__main__":
    main()
