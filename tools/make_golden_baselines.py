"""Write tests/golden/baselines.npz: other code's steps of SimGAN, feature loss + GAN, BiGAN.

    pip install torch numpy
    python tools/make_golden_baselines.py

PyTorch in float64, written from the paper and from junyanz/CycleGAN (content_gan_model.lua and
bigan_model.lua), with the networks of make_golden.py. A tool for who changes a method on purpose; the
tests need its file only.
"""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from make_golden import (
    RATE,
    Parameters,
    Pool,
    TorchAdam,
    distance,
    golden,
    gradients_of,
    least_squares,
    patchgan,
    resnet,
)

STEPS = 4
SIZE = (24, 28)
FEATURE_SIZE = 20
SEEDS = {"simgan": 300, "feature_loss": 400, "bigan": 500}
LAMBDA = 10.0


def features(p, images):
    """Two convolutions of what VGG would see."""
    images = F.interpolate(images, (FEATURE_SIZE,) * 2, mode="bilinear", align_corners=True)
    mean = torch.tensor([103.939, 116.779, 123.68], dtype=torch.float64)[:, None, None]
    images = (images.flip(1) + 1) / 2 * 255 - mean
    x = F.max_pool2d(F.relu(p.conv(images, "conv1", 4, 3, True, padding=1)), 2)
    return F.relu(p.conv(x, "conv2", 5, 3, True, padding=1))


def one_way(nets, real_x, real_y, content):
    g, d = nets
    fake_y = resnet(g, real_x, blocks=1)
    terms = {
        "generator_g": least_squares(patchgan(d, fake_y, affine=False), True),
        "distance_x": content(fake_y, real_x),
    }
    loss = terms["generator_g"] + LAMBDA * terms["distance_x"]

    def discriminator(fakes):
        real, fake = (patchgan(d, images, affine=False) for images in (real_y, *fakes))
        return (least_squares(real, True) + least_squares(fake, False)) / 2

    return terms, loss, [fake_y], discriminator


def bigan(nets, real_x, real_y, _content):
    g, e, d = nets
    pairs_g = torch.cat([real_x, resnet(g, real_x, blocks=1)], 1)
    pairs_e = torch.cat([resnet(e, real_y, blocks=1), real_y], 1)
    terms = {
        "generator_g": least_squares(patchgan(d, pairs_g, affine=False), False),
        "generator_f": least_squares(patchgan(d, pairs_e, affine=False), True),
    }

    def discriminator(pairs):
        of_g, of_e = (patchgan(d, each, affine=False) for each in pairs)
        return (least_squares(of_g, True) + least_squares(of_e, False)) / 2

    return terms, sum(terms.values()), [pairs_g, pairs_e], discriminator


def train(method):
    """What each step pays, the gradients of each, and how the weights have changed after each."""
    seed = SEEDS[method]
    random = golden.draws(seed)
    images = golden.draw_images(random, 2 * STEPS * golden.BATCH, *SIZE)
    images = torch.tensor(images).reshape(STEPS, 2, golden.BATCH, 3, *SIZE)
    step = bigan if method == "bigan" else one_way
    pools = [Pool(*golden.draw_choices(random)) for _ in range(2 if method == "bigan" else 1)]
    nets = [Parameters(seed + i) for i in range(1, 4 if method == "bigan" else 3)]
    fixed = Parameters(seed + 9)

    def content(image, other):
        if method == "feature_loss":
            image, other = features(fixed, image), features(fixed, other)
        return distance(image, other)

    _, _, fakes, discriminator = step(nets, *images[0], content)  # draws the weights
    discriminator(fakes)
    before = [[w.detach().clone() for w in p.values()] for p in nets]
    optimizers = [TorchAdam(list(p.values())) for p in nets]
    arrays, paid = {}, []
    for number, reals in enumerate(images, 1):
        terms, loss, fakes, discriminator = step(nets, *reals, content)
        gradients = gradients_of(loss, nets[:-1])
        fakes = [pool.exchange(fake.detach()) for pool, fake in zip(pools, fakes, strict=True)]
        judged = discriminator(fakes)
        gradients += gradients_of(judged, nets[-1:])
        for optimizer, gradient in zip(optimizers, gradients, strict=True):
            optimizer.apply(gradient, RATE)
        paid.append([term.item() for term in (*terms.values(), judged)])
        if number in (1, STEPS):
            for place, (p, gradient, old) in enumerate(zip(nets, gradients, before, strict=True)):
                arrays[f"gradients {number} {place}"] = golden.sketches(gradient)
                changes = [w.detach() - w_old for w, w_old in zip(p.values(), old, strict=True)]
                arrays[f"changes {number} {place}"] = golden.sketches(changes)
    return arrays | {"terms": np.array(paid)}


def main():
    arrays = {
        f"{method} {name}": array for method in SEEDS for name, array in train(method).items()
    }
    path = golden.FOLDER / "baselines.npz"
    np.savez_compressed(path, **arrays)
    print(f"{path}: {len(arrays)} arrays, {path.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
