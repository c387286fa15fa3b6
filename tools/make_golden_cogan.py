"""Write tests/golden/cogan.npz: two steps of CoGAN by other code than ours.

    pip install torch numpy
    python tools/make_golden_cogan.py

PyTorch in float64, written from the paper and its authors' face model, with nothing of tf_cyclegan but
the random numbers to start from (tests/fidelity/golden.py). The tests need the file only.
"""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from make_golden import RATE, Adam, cross_entropy, golden

BATCH, SIZE, LATENT, FILTERS, STEPS, SEED = 3, 16, 4, 2, 2, 300
WEIGHT_DECAY = 1e-4


class Network:
    """The weights of one network, drawn in the order of its layers, and its batch norms' averages."""

    def __init__(self, seed):
        self._random, self.weights, self.averages, self._place = golden.draws(seed), [], [], 0

    def __call__(self, forward, *args):
        self._place = 0
        return forward(self, *args)

    def weight(self, kind, *shape):
        if self._place == len(self.weights):
            values = golden.draw_weight(self._random, kind, shape)
            # A dense layer's kernel lies as [inputs, outputs].
            values = values[:, :, 0, 0].T.copy() if shape[2:] == (1, 1) else values
            self.weights.append(torch.tensor(values, requires_grad=True))
        self._place += 1
        return self.weights[self._place - 1]

    def norm_prelu(self, x, place=None):
        axes = [axis for axis in range(x.ndim) if axis != 1]
        mean = x.mean(axes, keepdim=True)
        variance = ((x - mean) ** 2).mean(axes, keepdim=True)
        if place is not None:  # before which of the averages are ones and zeros
            if place == len(self.averages):
                self.averages.append([torch.zeros_like(mean), torch.ones_like(mean)])
            now = mean.detach(), variance.detach()
            kept = self.averages[place]
            self.averages[place] = [
                0.9 * old + 0.1 * new for old, new in zip(kept, now, strict=True)
            ]
        shape = mean.shape
        x = (x - mean) / torch.sqrt(variance + 1e-5)
        x = x + self.weight("offset", x.shape[1]).reshape(shape)
        slope = self.weight("offset", x.shape[1]).reshape(shape)
        return torch.where(x > 0, x, slope * x)


def generator_trunk(p, z):
    """Dense to 4x4 of 8 channels, then 8x8 of 4: of four layers, the last one is not tied."""
    x = z @ p.weight("kernel", 16 * 4 * FILTERS, LATENT, 1, 1)
    x = p.norm_prelu(x.reshape(-1, 4, 4, 4 * FILTERS).permute(0, 3, 1, 2), 0)
    for place, (inputs, outputs) in enumerate(((4, 2), (2, 1)), 1):
        kernel = p.weight("kernel", inputs * FILTERS, outputs * FILTERS, 4, 4)
        x = p.norm_prelu(F.conv_transpose2d(x, kernel, stride=2, padding=1), place)
    return x


def generator_head(p, x):
    kernel, bias = p.weight("kernel", 3, FILTERS, 3, 3), p.weight("bias", 3)
    return torch.tanh(F.conv2d(x, kernel, bias, padding=1))


def discriminator_front(p, x):
    kernel = p.weight("kernel", FILTERS, 3, 5, 5)
    return p.norm_prelu(F.conv2d(x, kernel, stride=2, padding=2))


def discriminator_trunk(p, x):
    for inputs, outputs in ((1, 2), (2, 4)):
        kernel = p.weight("kernel", outputs * FILTERS, inputs * FILTERS, 5, 5)
        x = p.norm_prelu(F.conv2d(x, kernel, stride=2, padding=2))
    x = x.permute(0, 2, 3, 1).reshape(len(x), -1)
    x = p.norm_prelu(x @ p.weight("kernel", 8 * FILTERS, x.shape[1], 1, 1))
    return x @ p.weight("kernel", 1, 8 * FILTERS, 1, 1) + p.weight("bias", 1)


def in_keras_layout(array):
    """A kernel of a convolution as [k, k, I, O], or [k, k, O, I] of a transposed one."""
    array = array.detach().numpy()
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array


def main():
    random = golden.draws(SEED)
    images = torch.tensor(golden.draw_images(random, 2 * STEPS * BATCH, SIZE, SIZE))
    images = images.reshape(STEPS, 2, BATCH, 3, SIZE, SIZE)
    latents = torch.tensor(random.uniform(-1.0, 1.0, (STEPS, BATCH, LATENT)))
    names = (
        *("generator_trunk", "generator_x", "generator_y"),
        *("discriminator_x", "discriminator_y", "discriminator_trunk"),
    )
    networks = {name: Network(SEED + i) for i, name in enumerate(names, 1)}

    def judged(x, y):
        fronts = [
            networks[name](discriminator_front, each)
            for name, each in (("discriminator_x", x), ("discriminator_y", y))
        ]
        return networks["discriminator_trunk"](discriminator_trunk, torch.cat(fronts)).split(BATCH)

    def decay(group):
        kernels = [w for name in group for w in networks[name].weights if w.ndim > 1]
        return WEIGHT_DECAY / 2 * sum((kernel**2).sum() for kernel in kernels)

    arrays, terms, optimizers, before = {}, [], {}, {}
    for step, (latent, (real_x, real_y)) in enumerate(zip(latents, images, strict=True), 1):
        features = networks["generator_trunk"](generator_trunk, latent)
        fakes = [
            networks[name](generator_head, features) for name in ("generator_x", "generator_y")
        ]
        losses = {}
        for domain, fake, real in zip("xy", judged(*fakes), judged(real_x, real_y), strict=True):
            losses[f"generator_{domain}"] = cross_entropy(fake, True)
            losses[f"discriminator_{domain}"] = 0.5 * (
                cross_entropy(real, True) + cross_entropy(fake, False)
            )
        terms.append([loss.item() for loss in losses.values()])
        gradients = {}
        for kind, group in (("generator", names[:3]), ("discriminator", names[3:])):
            loss = losses[f"{kind}_x"] + losses[f"{kind}_y"] + decay(group)
            for name in group:
                gradients[name] = torch.autograd.grad(
                    loss, networks[name].weights, retain_graph=True
                )
        for name, network in networks.items():
            if step == 1:
                optimizers[name] = Adam(network.weights)
                before[name] = [weight.detach().clone() for weight in network.weights]
            optimizers[name].apply(gradients[name], RATE)
            changes = [
                in_keras_layout(now - then)
                for now, then in zip(network.weights, before[name], strict=True)
            ]
            arrays[f"changes {step} {name}"] = golden.sketches(changes)
    averages = [each.flatten() for pair in networks["generator_trunk"].averages for each in pair]
    arrays |= {"averages": golden.sketches(averages), "terms": np.array(terms)}
    np.savez_compressed(golden.FOLDER / "cogan.npz", **arrays)


if __name__ == "__main__":
    main()
