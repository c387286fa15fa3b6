"""CUT, FastCUT and DCLGAN in PyTorch: the papers' networks and objectives, the order of their code.

Written for these comparisons from the papers (arXiv 2007.15651 and 2104.07689), eager and NCHW as
their code runs. The discriminators are updated first; the features of images are computed anew by the
generators' first halves.
"""

import random

import torch
from torch import nn
from torch.nn import functional

from tf_cyclegan.methods import dclgan
from tf_cyclegan.methods.cut.settings import Config

from .pytorch import DEVICE, ImagePool, ResidualBlock, norm


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


def projections(config: Config) -> nn.ModuleList:
    """What the features of each layer pass: two linear layers."""
    size = config.nce_features
    return _prepared(
        nn.ModuleList(
            nn.Sequential(
                nn.Linear(config.layer_channels(number), size), nn.ReLU(), nn.Linear(size, size)
            )
            for number in config.layer_numbers
        )
    )


def encode(config: Config, network: nn.Sequential, images) -> list:
    """A generator's features of the layers that are compared."""
    features = []
    for place, layer in enumerate(network[: config.layer_numbers[-1] + 1]):
        images = layer(images)
        if place in config.layer_numbers:
            features.append(images)
    return features


def patch_nce(config: Config, queries, keys, of_queries, of_keys):
    """Whether patches of translations are known again: the mean over the layers."""
    total = 0.0
    layers = zip(queries, keys, of_queries, of_keys, strict=True)
    for query, key, project_query, project_key in layers:
        pixels = query.shape[2] * query.shape[3]
        places = torch.randperm(pixels, device=DEVICE)[: config.nce_patches]
        query, key = (
            functional.normalize(project(x.flatten(2)[:, :, places].transpose(1, 2)), dim=2)
            for project, x in ((project_query, query), (project_key, key))
        )
        logits = query @ key.detach().transpose(1, 2) / config.nce_temperature
        right = torch.arange(len(places), device=DEVICE).repeat(len(logits))
        total = total + functional.cross_entropy(logits.flatten(0, 1), right)
    return total / len(keys)


def tell_apart(judge: nn.Module, real, fake):
    """Half of the least squares loss of a discriminator."""
    judged_fake, judged_real = judge(fake.detach()), judge(real)
    return 0.5 * (judged_fake.square().mean() + (judged_real - 1).square().mean())


class TorchCUT:
    """A generator, a discriminator, projections, three optimizers and the authors' step."""

    def __init__(self, config: Config):
        self.config = config
        self.generator, self.discriminator = generator(config), discriminator(config)
        self.projections = projections(config)
        self.optimizers = [
            torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
            for network in (self.discriminator, self.generator, self.projections)
        ]

    def nce(self, real, fake, flipped: bool):
        """The patches' loss of translations."""
        queries, keys = (encode(self.config, self.generator, images) for images in (fake, real))
        queries = [query.flip(3) if flipped else query for query in queries]
        return patch_nce(self.config, queries, keys, self.projections, self.projections)

    def train_step(self, real_x, real_y):
        config = self.config
        flipped = config.flip_equivariance and random.random() < 0.5
        reals = torch.cat([real_x, real_y]) if config.nce_identity else real_x
        fakes = self.generator(reals.flip(3) if flipped else reals)
        fake_y = fakes[: len(real_x)]

        judge, generators = self.optimizers[0], self.optimizers[1:]
        self.discriminator.requires_grad_(True)
        judge.zero_grad()
        told_apart = tell_apart(self.discriminator, real_y, fake_y)
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


class TorchDCLGAN:
    """Two generators, discriminators and sets of projections, three optimizers, the authors' step."""

    def __init__(self, config: dclgan.Config):
        if config.adversarial_loss != "lsgan":
            raise ValueError(f"{config.adversarial_loss} is not written here; lsgan is")
        self.config = config
        self.generators = nn.ModuleList(generator(config) for _ in range(2))
        self.discriminators = nn.ModuleList(discriminator(config) for _ in range(2))
        self.projections = nn.ModuleList(projections(config) for _ in range(2))
        adam = {"lr": 2e-4, "betas": (0.5, 0.999)}
        self.judge = torch.optim.Adam(self.discriminators.parameters(), **adam)
        self.others = [
            torch.optim.Adam(self.generators.parameters(), **adam),
            torch.optim.Adam(self.projections.parameters(), lr=config.projection_learning_rate),
        ]
        self.pools = [ImagePool(config.pool_size) for _ in range(2)]

    def train_step(self, real_x, real_y):
        config = self.config
        g, f = self.generators
        x, y = self.discriminators
        of_x, of_y = self.projections
        fake_y, fake_x = g(real_x), f(real_y)
        same_y, same_x = (g(real_y), f(real_x)) if config.lambda_identity else (real_y, real_x)

        self.discriminators.requires_grad_(True)
        self.judge.zero_grad()
        told_apart = []
        judged = zip((x, y), (real_x, real_y), (fake_x, fake_y), self.pools, strict=True)
        for judge, real, fake, pool in judged:
            told_apart.append(tell_apart(judge, real, pool.query(fake)))
            told_apart[-1].backward()
        self.judge.step()

        self.discriminators.requires_grad_(False)
        for optimizer in self.others:
            optimizer.zero_grad()
        adversarial = (y(fake_y) - 1).square().mean() + (x(fake_x) - 1).square().mean()
        nce = patch_nce(config, encode(config, f, fake_y), encode(config, g, real_x), of_y, of_x)
        nce = nce + patch_nce(
            config, encode(config, g, fake_x), encode(config, f, real_y), of_x, of_y
        )
        identity = functional.l1_loss(same_y, real_y) + functional.l1_loss(same_x, real_x)
        loss = adversarial + config.lambda_nce * nce + config.lambda_identity * identity
        (loss / 2).backward()
        for optimizer in self.others:
            optimizer.step()
        return adversarial, nce, *told_apart
