"""CycleGAN in PyTorch: the authors' networks and the order of their updates.

Written for these comparisons. Both generators share an optimizer, as do both discriminators; the
generators are updated first, with the discriminators frozen, then each discriminator has its own
backward pass on what its pool of past images returns. The U-Net is the tutorial's.
"""

import itertools
import random
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from tf_cyclegan.methods.cyclegan.settings import PRESETS, Config

from .cases import case

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
torch.backends.cudnn.benchmark = True


class InstanceNorm(nn.InstanceNorm2d):
    """Takes single pixels too, which PyTorch refuses and the innermost norm of the U-Net is given."""

    def forward(self, x):
        if x.shape[2:] != (1, 1):
            return super().forward(x)
        normalized = x - x.mean((2, 3), keepdim=True)
        if not self.affine:
            return normalized
        return normalized * self.weight[:, None, None] + self.bias[:, None, None]


def norm(config: Config, channels: int) -> nn.Module:
    """An instance norm, with a scale and an offset where the settings have them."""
    return InstanceNorm(channels, affine=config.norm_affine)


class ResidualBlock(nn.Module):
    def __init__(self, config, channels):
        super().__init__()
        self.block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            norm(config, channels),
            nn.ReLU(True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            norm(config, channels),
        )

    def forward(self, x):
        return x + self.block(x)


def resnet(config: Config, blocks: int) -> nn.Module:
    """The paper's residual generator, `[N, 3, H, W]` to the same."""
    filters = config.filters
    members = [
        nn.ReflectionPad2d(3),
        nn.Conv2d(3, filters, 7),
        norm(config, filters),
        nn.ReLU(True),
    ]
    for _ in range(2):
        conv = nn.Conv2d(filters, 2 * filters, 3, stride=2, padding=1)
        filters *= 2
        members += [conv, norm(config, filters), nn.ReLU(True)]
    members += [ResidualBlock(config, filters) for _ in range(blocks)]
    for _ in range(2):
        conv = nn.ConvTranspose2d(filters, filters // 2, 3, stride=2, padding=1, output_padding=1)
        filters //= 2
        members += [conv, norm(config, filters), nn.ReLU(True)]
    return nn.Sequential(*members, nn.ReflectionPad2d(3), nn.Conv2d(filters, 3, 7), nn.Tanh())


class UNet(nn.Module):
    """The tutorial's U-Net, `[N, 3, H, W]` to the same."""

    def __init__(self, config: Config):
        super().__init__()
        widths = [config.filters * min(2**level, 8) for level in range(config.levels)]
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        for level, (before, width) in enumerate(zip([3, *widths], widths, strict=False)):
            norms = [norm(config, width)] if level else []
            conv = nn.Conv2d(before, width, 4, stride=2, padding=1, bias=False)
            self.downs.append(nn.Sequential(conv, *norms, nn.LeakyReLU(0.3, True)))
        before = widths[-1]
        for i, width in enumerate(reversed(widths[:-1])):
            conv = nn.ConvTranspose2d(before, width, 4, stride=2, padding=1, bias=False)
            dropouts = [nn.Dropout(0.5)] if i < 3 else []
            self.ups.append(nn.Sequential(conv, norm(config, width), *dropouts, nn.ReLU(True)))
            before = 2 * width
        self.last = nn.Sequential(nn.ConvTranspose2d(before, 3, 4, stride=2, padding=1), nn.Tanh())

    def forward(self, x):
        skips = []
        for down in self.downs:
            x = down(x)
            skips.append(x)
        for up, skip in zip(self.ups, skips[-2::-1], strict=True):
            x = torch.cat([up(x), skip], 1)
        return self.last(x)


def generator(config: Config) -> nn.Module:
    """The generator that `config` names."""
    if config.generator == "unet":
        return _prepared(UNet(config))
    return _prepared(resnet(config, int(config.generator.removeprefix("resnet"))))


def discriminator(config: Config) -> nn.Module:
    """The 70x70 PatchGAN, `[N, 3, H, W]` to logits."""
    filters, slope = config.discriminator_filters, config.leaky_slope
    bias = not config.norm_affine
    members = [nn.Conv2d(3, filters, 4, stride=2, padding=1, bias=bias), nn.LeakyReLU(slope, True)]
    for stride in (2, 2, 1):
        conv = nn.Conv2d(filters, 2 * filters, 4, stride=stride, padding=1, bias=bias)
        filters *= 2
        members += [conv, norm(config, filters), nn.LeakyReLU(slope, True)]
    return _prepared(nn.Sequential(*members, nn.Conv2d(filters, 1, 4, padding=1)))


def _prepared(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network.to(DEVICE)


class ImagePool:
    """Past generated images: half of the time an older one is returned for the new one."""

    def __init__(self, size: int):
        self.size, self.images = size, []

    def query(self, images):
        if not self.size:
            return images
        returned = []
        for image in images.detach():
            if len(self.images) < self.size:
                self.images.append(image.clone())
                returned.append(image)
            elif random.random() < 0.5:
                place = random.randrange(self.size)
                returned.append(self.images[place])
                self.images[place] = image.clone()
            else:
                returned.append(image)
        return torch.stack(returned)


class TorchCycleGAN:
    """Four networks, two optimizers and the authors' step."""

    def __init__(self, config: Config):
        self.config = config
        self.generators = nn.ModuleList(generator(config) for _ in range(2))
        self.discriminators = nn.ModuleList(discriminator(config) for _ in range(2))
        adam = {"lr": 2e-4, "betas": (0.5, 0.999)}
        g, f = self.generators
        x, y = self.discriminators
        self.generator_optimizer = torch.optim.Adam(
            itertools.chain(g.parameters(), f.parameters()), **adam
        )
        self.discriminator_optimizer = torch.optim.Adam(
            itertools.chain(x.parameters(), y.parameters()), **adam
        )
        self.pools = [ImagePool(config.pool_size) for _ in range(2)]

    def adversarial(self, logits, is_real: bool):
        target = torch.full_like(logits, float(is_real))
        if self.config.adversarial_loss == "bce":
            return functional.binary_cross_entropy_with_logits(logits, target)
        return functional.mse_loss(logits, target)

    def train_step(self, real_x, real_y):
        g, f = self.generators
        x, y = self.discriminators
        lambda_cycle = self.config.lambda_cycle
        lambda_identity = lambda_cycle * self.config.lambda_identity
        fake_y = g(real_x)
        cycled_x = f(fake_y)
        fake_x = f(real_y)
        cycled_y = g(fake_x)

        self.discriminators.requires_grad_(False)
        self.generator_optimizer.zero_grad()
        identity = functional.l1_loss(g(real_y), real_y) + functional.l1_loss(f(real_x), real_x)
        adversarial = self.adversarial(y(fake_y), True) + self.adversarial(x(fake_x), True)
        cycle = functional.l1_loss(cycled_x, real_x) + functional.l1_loss(cycled_y, real_y)
        loss = adversarial + lambda_cycle * cycle + lambda_identity * identity
        loss.backward()
        self.generator_optimizer.step()

        self.discriminators.requires_grad_(True)
        self.discriminator_optimizer.zero_grad()
        losses = [loss]
        for judge, real, fake, pool in zip(
            self.discriminators, (real_x, real_y), (fake_x, fake_y), self.pools, strict=True
        ):
            past = pool.query(fake.detach())
            judged = self.adversarial(judge(real), True) + self.adversarial(judge(past), False)
            (0.5 * judged).backward()
            losses.append(0.5 * judged)
        self.discriminator_optimizer.step()
        return losses


def constant_batch(config: Config) -> tuple[torch.Tensor, torch.Tensor]:
    """The same random images in every step, on the device, so that no step waits for data."""
    rng = np.random.default_rng(0)
    shape = (config.batch_size, *config.image_shape, 3)
    return tuple(
        torch.from_numpy(
            rng.uniform(-1, 1, shape).transpose(0, 3, 1, 2).astype(np.float32).copy()
        ).to(DEVICE)
        for _ in range(2)
    )


def translate(size: int, blocks: int, filters: int, batch_size: int):
    """A contender: a piece of work is a batch of float images through the paper's generator."""
    config = replace(PRESETS["paper"], generator=f"resnet{blocks}", filters=filters)
    network = generator(config).eval()
    images = torch.empty(batch_size, 3, size, size).uniform_(-1, 1).to(DEVICE)

    @torch.inference_mode()
    def run(count):
        for _ in range(count):
            network(images)
        finish()

    return run


def translate_folder(folder: str, blocks: int, filters: int, batch_size: int):
    """A contender: a piece of work is the translation of all pictures in a folder, to files.

    Pictures of equal size go together, `batch_size` at most; two threads decode, and two encode, while
    the network computes.
    """
    config = replace(PRESETS["paper"], generator=f"resnet{blocks}", filters=filters)
    network = generator(config).eval()
    sources = sorted(Path(folder).iterdir())
    groups: dict[tuple, list[Path]] = {}
    for path in sources:
        with Image.open(path) as image:
            groups.setdefault(image.size, []).append(path)
    batches = [
        paths[start : start + batch_size]
        for paths in groups.values()
        for start in range(0, len(paths), batch_size)
    ]

    def read(paths):
        return np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])

    def write(image, path):
        Image.fromarray(image).save(path, quality=95)

    @torch.inference_mode()
    def translated(images):
        batch = torch.from_numpy(images).to(DEVICE).permute(0, 3, 1, 2).float() / 127.5 - 1
        pixels = ((network(batch) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return pixels.permute(0, 2, 3, 1).cpu().numpy()

    translated(np.zeros([batch_size, 256, 256, 3], np.uint8))

    def run(count):
        for _ in range(count):
            with (
                tempfile.TemporaryDirectory() as output,
                ThreadPoolExecutor(2) as readers,
                ThreadPoolExecutor(2) as writers,
            ):
                written = []
                for paths, images in zip(batches, readers.map(read, batches), strict=True):
                    for path, image in zip(paths, translated(images), strict=True):
                        written.append(writers.submit(write, image, Path(output, path.name)))
                for one in written:
                    one.result()

    return run


def finish() -> None:
    """Wait until a GPU has done all it was given."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def train_step(case_name: str):
    """A contender: a piece of work is a step; the result is the losses of the last."""
    config = case(case_name)
    if config.method in ("cut", "dclgan"):
        from .pytorch_cut import TorchCUT, TorchDCLGAN

        model = {"cut": TorchCUT, "dclgan": TorchDCLGAN}[config.method](config)
    else:
        model = TorchCycleGAN(config)
    batch = constant_batch(config)

    def run(count):
        for _ in range(count):
            losses = model.train_step(*batch)
        finish()
        return [float(loss) for loss in losses]

    return run
