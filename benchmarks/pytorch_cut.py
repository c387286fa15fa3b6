"""CUT and FastCUT in PyTorch: the paper's networks and objective, the order of its authors' code.

Written for these comparisons from the paper (arXiv 2007.15651), eager and NCHW as their code runs. The
discriminator is updated first; the features of images are computed anew by the generator's first half.
"""

import random

import torch
from torch import nn
from torch.nn import functional

from tf_cyclegan.methods.cut.settings import Config

from .pytorch import DEVICE, ResidualBlock, norm


class Blur(nn.Module):
    """[1, 2, 1] and every other pixel, or zeros between the pixels and [1, 3, 3, 1]."""

    def __init__(self, channels: int, doubling: bool):
        super().__init__()
        row = torch.tensor([1.0, 3, 3, 1]) / 4 if doubling else torch.tensor([1.0, 2, 1]) / 4
        self.doubling = doubling
        self.register_buffer("kernel", (row[:, None] * row).expand(channels, 1, -1, -1).clone())

    def forward(self, x):
        channels = x.shape[1]
        if self.doubling:
            x = functional.pad(x, (1, 1, 1, 1), mode="replicate")
            return functional.conv_transpose2d(x, self.kernel, None, 2, 3, groups=channels)
        x = functional.pad(x, (1, 1, 1, 1), mode="reflect")
        return functional.conv2d(x, self.kernel, None, 2, groups=channels)


def generator(config: Config) -> nn.Sequential:
    """The residual generator with anti-aliasing, `[N, 3, H, W]` to the same."""
    filters = config.filters
    members = [
        nn.ReflectionPad2d(3),
        nn.Conv2d(3, filters, 7),
        norm(config, filters),
        nn.ReLU(True),
    ]
    for _ in range(2):
        conv = nn.Conv2d(filters, 2 * filters, 3, padding=1)
        filters *= 2
        members += [conv, norm(config, filters), nn.ReLU(True), Blur(filters, doubling=False)]
    members += [ResidualBlock(config, filters) for _ in range(config.blocks)]
    for _ in range(2):
        conv = nn.Conv2d(filters, filters // 2, 3, padding=1)
        members += [Blur(filters, doubling=True), conv, norm(config, filters // 2), nn.ReLU(True)]
        filters //= 2
    members += [nn.ReflectionPad2d(3), nn.Conv2d(filters, 3, 7), nn.Tanh()]
    return _prepared(nn.Sequential(*members))


def discriminator(config: Config) -> nn.Module:
    """The 70x70 PatchGAN with anti-aliasing, `[N, 3, H, W]` to logits."""
    filters, slope = config.discriminator_filters, config.leaky_slope
    members = [nn.Conv2d(3, filters, 4, padding=1), nn.LeakyReLU(slope, True)]
    for _ in range(3):
        members += [Blur(filters, doubling=False), nn.Conv2d(filters, 2 * filters, 4, padding=1)]
        filters *= 2
        members += [norm(config, filters), nn.LeakyReLU(slope, True)]
    return _prepared(nn.Sequential(*members, nn.Conv2d(filters, 1, 4, padding=1)))


def _prepared(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_normal_(module.weight, 0.02)
            nn.init.zeros_(module.bias)
    return network.to(DEVICE)


class TorchCUT:
    """A generator, a discriminator, projections, three optimizers and the authors' step."""

    def __init__(self, config: Config):
        self.config = config
        self.generator, self.discriminator = generator(config), discriminator(config)
        size = config.nce_features
        self.projections = nn.ModuleList(
            nn.Sequential(
                nn.Linear(config.layer_channels(number), size), nn.ReLU(), nn.Linear(size, size)
            )
            for number in config.layer_numbers
        )
        _prepared(self.projections)
        self.optimizers = [
            torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
            for network in (self.discriminator, self.generator, self.projections)
        ]

    def encode(self, images) -> list:
        """The features of the layers that are compared."""
        features = []
        for place, layer in enumerate(self.generator[: self.config.layer_numbers[-1] + 1]):
            images = layer(images)
            if place in self.config.layer_numbers:
                features.append(images)
        return features

    def nce(self, real, fake, flipped: bool):
        """The patches' loss of translations."""
        config, total = self.config, 0.0
        queries, keys = self.encode(fake), self.encode(real)
        for project, query, key in zip(self.projections, queries, keys, strict=True):
            query = query.flip(3) if flipped else query
            pixels = query.shape[2] * query.shape[3]
            places = torch.randperm(pixels, device=DEVICE)[: config.nce_patches]
            query, key = (
                functional.normalize(project(x.flatten(2)[:, :, places].transpose(1, 2)), dim=2)
                for x in (query, key)
            )
            logits = query @ key.detach().transpose(1, 2) / config.nce_temperature
            right = torch.arange(len(places), device=DEVICE).repeat(len(logits))
            total = total + functional.cross_entropy(logits.flatten(0, 1), right)
        return total / len(keys)

    def train_step(self, real_x, real_y):
        config = self.config
        flipped = config.flip_equivariance and random.random() < 0.5
        reals = torch.cat([real_x, real_y]) if config.nce_identity else real_x
        fakes = self.generator(reals.flip(3) if flipped else reals)
        fake_y = fakes[: len(real_x)]

        judge, generators = self.optimizers[0], self.optimizers[1:]
        self.discriminator.requires_grad_(True)
        judge.zero_grad()
        judged_fake, judged_real = self.discriminator(fake_y.detach()), self.discriminator(real_y)
        told_apart = 0.5 * (judged_fake.square().mean() + (judged_real - 1).square().mean())
        told_apart.backward()
        judge.step()

        self.discriminator.requires_grad_(False)
        for optimizer in generators:
            optimizer.zero_grad()
        adversarial = (self.discriminator(fake_y) - 1).square().mean()
        nce = self.nce(real_x, fake_y, flipped)
        if config.nce_identity:
            nce = (nce + self.nce(real_y, fakes[len(real_x) :], flipped)) / 2
        loss = adversarial + config.lambda_nce * nce
        loss.backward()
        for optimizer in generators:
            optimizer.step()
        return adversarial, nce, told_apart
