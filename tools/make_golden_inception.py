"""Write tests/golden/inception.npz: what a PyTorch writing of the FID Inception makes of two images.

    pip install torch numpy
    python tools/make_golden_inception.py

The network is written from the paper (https://arxiv.org/abs/1512.00567, figures 5 to 7 and table 1)
and the layer names of the published checkpoint. Its 22 million weights follow from the tensors' names
alone, so that only the features are stored. All is computed in float64.
"""

import zlib
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

GOLDEN = Path(__file__).parent.parent / "tests" / "golden"


def tensor(name, shape):
    """Random values that keep the signal's size through the network; RandomState never changes."""
    value = np.random.RandomState(zlib.crc32(name.encode())).random_sample(shape)
    if len(shape) == 4:
        value = (2 * value - 1) * np.sqrt(6 / np.prod(shape[1:]))
    elif name.endswith(("bias", "mean")):
        value = 0.4 * value - 0.2
    else:  # scales and variances
        value = 0.5 + value
    return value.astype(np.float32)


class Unit(nn.Module):
    """Convolution without bias, batch norm, ReLU."""

    def __init__(self, inputs, outputs, kernel, stride=1, padding=0):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x):
        return self.bn(self.conv(x)).relu()


def average(x):
    return functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def maximum(x):
    return functional.max_pool2d(x, 3, 1, 1)


class Block(nn.Module):
    """Branches side by side.

    Args:
        inputs: Channels.
        branches: For each its name and a list of (outputs, kernel, stride, padding).
        pool: What the last branch does first.
        pool_outputs: Of its 1x1 convolution; 0 has none.
    """

    def __init__(self, inputs, branches, pool, pool_outputs=0):
        super().__init__()
        self.paths = []
        for name, units in branches:
            path, width = [], inputs
            for number, (outputs, *rest) in enumerate(units, 1):
                path.append(f"{name}_{number}" if len(units) > 1 else name)
                self.add_module(path[-1], Unit(width, outputs, *rest))
                width = outputs
            self.paths.append(path)
        self.pool = pool
        self.branch_pool = Unit(inputs, pool_outputs, 1) if pool_outputs else nn.Identity()

    def forward(self, x):
        outputs = []
        for path in self.paths:
            y = x
            for name in path:
                y = getattr(self, name)(y)
            outputs.append(y)
        return torch.cat([*outputs, self.branch_pool(self.pool(x))], 1)


class Widest(nn.Module):
    """The blocks at 8x8, whose branches part a second time."""

    def __init__(self, inputs, pool):
        super().__init__()
        flat, tall = ((1, 3), 1, (0, 1)), ((3, 1), 1, (1, 0))
        self.branch1x1 = Unit(inputs, 320, 1)
        self.branch3x3_1 = Unit(inputs, 384, 1)
        self.branch3x3_2a, self.branch3x3_2b = Unit(384, 384, *flat), Unit(384, 384, *tall)
        self.branch3x3dbl_1 = Unit(inputs, 448, 1)
        self.branch3x3dbl_2 = Unit(448, 384, 3, 1, 1)
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = Unit(384, 384, *flat), Unit(384, 384, *tall)
        self.branch_pool = Unit(inputs, 192, 1)
        self.pool = pool

    def forward(self, x):
        once = self.branch3x3_1(x)
        twice = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        parts = [self.branch1x1(x), self.branch3x3_2a(once), self.branch3x3_2b(once)]
        parts += [self.branch3x3dbl_3a(twice), self.branch3x3dbl_3b(twice)]
        return torch.cat([*parts, self.branch_pool(self.pool(x))], 1)


def at_35(inputs, pool_outputs):
    branches = [
        ("branch1x1", [(64, 1)]),
        ("branch5x5", [(48, 1), (64, 5, 1, 2)]),
        ("branch3x3dbl", [(64, 1), (96, 3, 1, 1), (96, 3, 1, 1)]),
    ]
    return Block(inputs, branches, average, pool_outputs)


def at_17(c):
    flat, tall = ((1, 7), 1, (0, 3)), ((7, 1), 1, (3, 0))
    double = [(c, 1), (c, *tall), (c, *flat), (c, *tall), (192, *flat)]
    branches = [
        ("branch1x1", [(192, 1)]),
        ("branch7x7", [(c, 1), (c, *flat), (192, *tall)]),
        ("branch7x7dbl", double),
    ]
    return Block(768, branches, average, 192)


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        from_35 = [
            ("branch3x3", [(384, 3, 2)]),
            ("branch3x3dbl", [(64, 1), (96, 3, 1, 1), (96, 3, 2)]),
        ]
        flat, tall = ((1, 7), 1, (0, 3)), ((7, 1), 1, (3, 0))
        from_17 = [
            ("branch3x3", [(192, 1), (320, 3, 2)]),
            ("branch7x7x3", [(192, 1), (192, *flat), (192, *tall), (192, 3, 2)]),
        ]
        parts = {
            "Conv2d_1a_3x3": Unit(3, 32, 3, 2),
            "Conv2d_2a_3x3": Unit(32, 32, 3),
            "Conv2d_2b_3x3": Unit(32, 64, 3, 1, 1),
            "pool_1": nn.MaxPool2d(3, 2),
            "Conv2d_3b_1x1": Unit(64, 80, 1),
            "Conv2d_4a_3x3": Unit(80, 192, 3),
            "pool_2": nn.MaxPool2d(3, 2),
            "Mixed_5b": at_35(192, 32),
            "Mixed_5c": at_35(256, 64),
            "Mixed_5d": at_35(288, 64),
            "Mixed_6a": Block(288, from_35, nn.MaxPool2d(3, 2)),
            "Mixed_6b": at_17(128),
            "Mixed_6c": at_17(160),
            "Mixed_6d": at_17(160),
            "Mixed_6e": at_17(192),
            "Mixed_7a": Block(768, from_17, nn.MaxPool2d(3, 2)),
            "Mixed_7b": Widest(1280, average),
            "Mixed_7c": Widest(2048, maximum),
        }
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x):
        for part in self.children():
            x = part(x)
        return x.mean((2, 3))


def legacy_resize(x, size):
    """Each output pixel looks at size_in / size_out times its place, and the pixel after it."""
    for axis in (2, 3):
        place = torch.arange(size, dtype=x.dtype) * (x.shape[axis] / size)
        low = place.floor().long()
        high = (low + 1).clamp(max=x.shape[axis] - 1)
        share = (place - low).reshape([-1, 1] if axis == 2 else [-1])
        x = x.index_select(axis, low) * (1 - share) + x.index_select(axis, high) * share
    return x


def clean_resize(x, size):
    x = functional.interpolate(x, (size, size), mode="bicubic", antialias=True)
    return x.clamp(0, 255)  # clean-fid 0.1.35, resize.py


def pytorch_fid(x, size):
    """From [0, 1] on, as pytorch-fid 0.3.0 does it."""
    x = functional.interpolate(x / 255, (size, size), mode="bilinear", align_corners=False)
    return 2 * x - 1


def main():
    torch.set_num_threads(1)
    network = Inception().eval().double()
    state = {
        name: torch.from_numpy(tensor(name, tuple(value.shape)))
        for name, value in network.state_dict().items()
        if value.ndim
    }
    network.load_state_dict(state, strict=False)
    # Taller than the network's images, and narrower.
    images = np.random.RandomState(0).randint(0, 256, [2, 17, 10, 3]).astype(np.uint8)
    images = images.repeat(20, 1).repeat(20, 2)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).double()
    with torch.no_grad():
        features = {
            name: network(prepared).numpy().astype(np.float32)
            for name, prepared in (
                ("legacy", (legacy_resize(x, 299) - 128) / 128),
                ("clean", (clean_resize(x, 299) - 128) / 128),
                ("pytorch", pytorch_fid(x, 299)),
            )
        }
    shapes = sorted(f"{name} {list(value.shape)}" for name, value in state.items())
    np.savez_compressed(
        GOLDEN / "inception.npz", shapes=zlib.crc32("\n".join(shapes).encode()), **features
    )
    print(len(state), {name: (value.mean(), value.std()) for name, value in features.items()})


if __name__ == "__main__":
    main()
