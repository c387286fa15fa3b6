"""Write tests/golden/pix2pix.npz: two steps of pix2pix by other code than ours.

    pip install torch numpy
    python tools/make_golden_pix2pix.py

PyTorch in float64, written from the paper, its authors' U-Net and the TensorFlow tutorial, with nothing
of tf_cyclegan but the random numbers to start from (tests/fidelity/golden.py). Batches hold one image,
as published, and norms are batch norms, over images and pixels. Dropout is left out: nobody else draws
the same masks. The tests need the file only.
"""

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from make_golden import (
    PAPER_SLOPE,
    RATE,
    TUTORIAL_SLOPE,
    KerasAdam,
    Parameters,
    cross_entropy,
    distance,
    golden,
    gradients_of,
)

SEED, STEPS, LEVELS, SIZE = 400, 2, 4, 32
LAMBDA_L1 = 100.0


class BatchNormed(Parameters):
    """Weights of a network with batch norms in training."""

    def __init__(self, seed, epsilon):
        super().__init__(seed)
        self._epsilon = epsilon

    def norm(self, x, name, affine=True):
        mean = x.mean((0, 2, 3), keepdim=True)
        variance = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
        scale = self.get(f"{name}.weight", "scale", x.shape[1])[:, None, None]
        offset = self.get(f"{name}.bias", "offset", x.shape[1])[:, None, None]
        return scale * (x - mean) / torch.sqrt(variance + self._epsilon) + offset


def tutorial_unet(p, x):
    widths = [golden.FILTERS * min(2**level, 8) for level in range(LEVELS)]
    skips = []
    for level, width in enumerate(widths):
        x = p.conv(x, f"down{level}", width, 4, False, stride=2, padding=1)
        x = F.leaky_relu(p.norm(x, f"down{level}.norm") if level else x, TUTORIAL_SLOPE)
        skips.append(x)
    for level in reversed(range(LEVELS - 1)):
        x = p.norm(p.grow(x, f"up{level}", widths[level], 4, False), f"up{level}.norm")
        x = torch.cat([F.relu(x), skips[level]], 1)
    return torch.tanh(p.grow(x, "last", 3, 4, True))


def authors_unet(p, x):
    """An activation goes before a convolution, a norm after it, but for the outer and inner ends."""
    widths = [golden.FILTERS * min(2**level, 8) for level in range(LEVELS)]
    skips = [p.conv(x, "down0", widths[0], 4, False, stride=2, padding=1)]
    for level, width in enumerate(widths[1:], 1):
        x = F.leaky_relu(skips[-1], PAPER_SLOPE)
        x = p.conv(x, f"down{level}", width, 4, False, stride=2, padding=1)
        skips.append(p.norm(x, f"down{level}.norm") if level < LEVELS - 1 else x)
    x = skips.pop()
    for level in reversed(range(LEVELS - 1)):
        x = p.norm(p.grow(F.relu(x), f"up{level}", widths[level], 4, False), f"up{level}.norm")
        x = torch.cat([skips.pop(), x], 1)
    return torch.tanh(p.grow(F.relu(x), "last", 3, 4, True))


def discriminator(p, x, y, slope):
    x = torch.cat([x, y], 1)
    x = F.leaky_relu(p.conv(x, "0", golden.FILTERS, 4, False, stride=2, padding=1), slope)
    for place, factor, stride in ((1, 2, 2), (2, 4, 2), (3, 8, 1)):
        x = p.conv(x, str(place), factor * golden.FILTERS, 4, False, stride=stride, padding=1)
        x = F.leaky_relu(p.norm(x, f"{place}.norm"), slope)
    return p.conv(x, "last", 1, 4, True, padding=1)


# Generator, slope of the discriminator, epsilon of the norms, factor of its loss, epsilon of Adam.
CASES = {
    "tutorial": (tutorial_unet, TUTORIAL_SLOPE, 1e-3, 1.0, 1e-7),
    "paper": (authors_unet, PAPER_SLOPE, 1e-5, 0.5, 1e-8),
}


def train(case):
    generator, slope, norm_epsilon, factor, adam_epsilon = CASES[case]
    judge = partial(discriminator, slope=slope)
    networks = {
        "generator_g": BatchNormed(SEED + 1, norm_epsilon),
        "discriminator": BatchNormed(SEED + 2, norm_epsilon),
    }
    g, d = networks.values()
    images = torch.tensor(golden.draw_images(golden.draws(SEED), 2 * STEPS, SIZE, SIZE))
    images = images.reshape(STEPS, 2, 1, 3, SIZE, SIZE)
    with torch.no_grad():  # draws the weights
        judge(d, images[0, 0], generator(g, images[0, 0]))
    before = {name: [w.detach().clone() for w in p.values()] for name, p in networks.items()}
    optimizers = {name: KerasAdam(list(p.values()), adam_epsilon) for name, p in networks.items()}
    arrays = {}
    for step, (x, y) in enumerate(images, 1):
        fake = generator(g, x)
        terms = {
            "generator_g": cross_entropy(judge(d, x, fake), True),
            "l1": distance(fake, y),
            "discriminator": factor
            * (
                cross_entropy(judge(d, x, y), True)
                + cross_entropy(judge(d, x, fake.detach()), False)
            ),
        }
        losses = {
            "generator_g": terms["generator_g"] + LAMBDA_L1 * terms["l1"],
            "discriminator": terms["discriminator"],
        }
        gradients = {name: gradients_of(losses[name], [networks[name]])[0] for name in networks}
        for name, p in networks.items():
            optimizers[name].apply(gradients[name], RATE)
            changes = [w.detach() - old for w, old in zip(p.values(), before[name], strict=True)]
            arrays[f"{case} gradients {step} {name}"] = golden.sketches(gradients[name])
            arrays[f"{case} changes {step} {name}"] = golden.sketches(changes)
        arrays[f"{case} terms {step}"] = np.array([term.item() for term in terms.values()])
    return arrays


def main():
    arrays = {name: array for case in CASES for name, array in train(case).items()}
    path = golden.FOLDER / "pix2pix.npz"
    np.savez_compressed(path, **arrays)
    print(f"{path}: {len(arrays)} arrays, {path.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
