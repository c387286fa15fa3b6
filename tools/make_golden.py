"""Write tests/golden: what other code than ours computes for the same weights and images.

    pip install torch numpy
    python tools/make_golden.py

PyTorch in float64, written from the paper, the TensorFlow tutorial and the names and order of
junyanz/pytorch-CycleGAN-and-pix2pix, with nothing of tf_cyclegan but the random numbers to start from
(tests/fidelity/golden.py). A tool for who changes the method on purpose; the tests need its files only.
"""

import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.fidelity import golden

RATE, BETA_1, BETA_2 = 2e-4, 0.5, 0.999
# TensorFlow's leaky ReLU holds its slope in float32, whatever it computes in.
PAPER_SLOPE, TUTORIAL_SLOPE = float(np.float32(0.2)), float(np.float32(0.3))


class Parameters(dict):
    """The weights of one network by name, each drawn when the network first asks for it."""

    def __init__(self, seed):
        self._random = golden.draws(seed)

    def get(self, name, kind, *shape):
        if name not in self:
            values = golden.draw_weight(self._random, kind, shape)
            self[name] = torch.tensor(values, requires_grad=True)
        return self[name]

    def conv(self, x, name, channels, size, bias, **kwargs):
        kernel = self.get(f"{name}.weight", "kernel", channels, x.shape[1], size, size)
        bias = self.get(f"{name}.bias", "bias", channels) if bias else None
        return F.conv2d(x, kernel, bias, **kwargs)

    def grow(self, x, name, channels, size, bias, **kwargs):
        kernel = self.get(f"{name}.weight", "kernel", x.shape[1], channels, size, size)
        bias = self.get(f"{name}.bias", "bias", channels) if bias else None
        return F.conv_transpose2d(x, kernel, bias, stride=2, padding=1, **kwargs)

    def norm(self, x, name, affine):
        mean = x.mean((2, 3), keepdim=True)
        variance = ((x - mean) ** 2).mean((2, 3), keepdim=True)
        x = (x - mean) / torch.sqrt(variance + 1e-5)
        if affine:
            scale = self.get(f"{name}.weight", "scale", x.shape[1])
            offset = self.get(f"{name}.bias", "offset", x.shape[1])
            x = x * scale[:, None, None] + offset[:, None, None]
        return x


def reflected(x, pixels):
    return F.pad(x, (pixels,) * 4, mode="reflect")


def doubled(x):
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def resnet(p, x, blocks, upsampling="transpose", filters=golden.FILTERS):
    """The authors' ResnetGenerator; names are places in its Sequential."""
    x = F.relu(p.norm(p.conv(reflected(x, 3), "model.1", filters, 7, True), "", False))
    for place, channels in ((4, 2 * filters), (7, 4 * filters)):
        x = p.conv(x, f"model.{place}", channels, 3, True, stride=2, padding=1)
        x = F.relu(p.norm(x, "", False))
    for place in range(10, 10 + blocks):
        name = f"model.{place}.conv_block"
        y = F.relu(p.norm(p.conv(reflected(x, 1), f"{name}.1", 4 * filters, 3, True), "", False))
        x = x + p.norm(p.conv(reflected(y, 1), f"{name}.5", 4 * filters, 3, True), "", False)
    for place, channels in ((10 + blocks, 2 * filters), (13 + blocks, filters)):
        if upsampling == "transpose":
            x = p.grow(x, f"model.{place}", channels, 3, True, output_padding=1)
        else:  # ours alone: the authors' code has no such generator
            x = p.conv(doubled(x), f"model.{place}", channels, 3, True, padding=1)
        x = F.relu(p.norm(x, "", False))
    return torch.tanh(p.conv(reflected(x, 3), f"model.{17 + blocks}", 3, 7, True))


def unet(p, x, levels, upsampling="transpose", filters=golden.FILTERS):
    """The tutorial's generator, without its dropout."""

    def grown(x, name, channels, bias):
        if upsampling == "transpose":
            return p.grow(x, name, channels, 4, bias)
        return p.conv(doubled(x), name, channels, 3, bias, padding=1)

    widths = [filters * min(2**level, 8) for level in range(levels)]
    skips = []
    for level, width in enumerate(widths):
        x = p.conv(x, f"down.{level}.conv", width, 4, False, stride=2, padding=1)
        if level:
            x = p.norm(x, f"down.{level}.norm", True)
        x = F.leaky_relu(x, TUTORIAL_SLOPE)
        skips.append(x)
    for level in reversed(range(levels - 1)):
        x = p.norm(grown(x, f"up.{level}.conv", widths[level], False), f"up.{level}.norm", True)
        x = torch.cat([F.relu(x), skips[level]], 1)
    return torch.tanh(grown(x, "last", 3, True))


def patchgan(p, x, affine, filters=golden.FILTERS):
    """The authors' NLayerDiscriminator (affine=False) or the tutorial's discriminator."""
    leaky_slope = TUTORIAL_SLOPE if affine else PAPER_SLOPE
    x = F.leaky_relu(p.conv(x, "model.0", filters, 4, not affine, stride=2, padding=1), leaky_slope)
    for place, channels, stride in ((2, 2, 2), (5, 4, 2), (8, 8, 1)):
        x = p.conv(x, f"model.{place}", channels * filters, 4, not affine, stride=stride, padding=1)
        x = F.leaky_relu(p.norm(x, f"model.{place + 1}", affine), leaky_slope)
    return p.conv(x, "model.11", 1, 4, True, padding=1)


NETWORKS = {"resnet": resnet, "unet": unet, "patchgan": patchgan}


def network_outputs():
    """Every network of golden.NETWORK_CASES at each of its sizes."""
    arrays = {}
    for case, (network, kwargs, seed, sizes) in golden.NETWORK_CASES.items():
        kwargs = {name: value for name, value in kwargs.items() if name != "leaky_slope"}
        parameters = Parameters(seed)
        for height, width in sizes:
            images = torch.tensor(golden.draw_images(golden.draws(seed), 2, height, width))
            with torch.no_grad():
                output = NETWORKS[network](parameters, images[:1], **kwargs)
            arrays[f"{case} {height}x{width}"] = output.numpy()
        arrays[f"{case} shapes"] = np.array([str(tuple(w.shape)) for w in parameters.values()])
    return arrays


class Pool:
    """The authors' ImagePool, its choices given; a plain list of images."""

    def __init__(self, keep, slots):
        self._keep, self._slots, self._images = iter(keep), iter(slots), []

    def exchange(self, images):
        returned = []
        for image, keep, slot in zip(images, next(self._keep), next(self._slots), strict=True):
            if len(self._images) < golden.POOL_SIZE:
                self._images.append(image)
                returned.append(image)
            elif keep:
                returned.append(image)
            else:
                returned.append(self._images[slot])
                self._images[slot] = image
        return torch.stack(returned)


class KerasAdam:
    """Adam as Keras documents it: epsilon beside the uncorrected second moment ("epsilon hat")."""

    def __init__(self, parameters, epsilon=1e-7):
        self._parameters, self._epsilon = parameters, epsilon
        self._first = [torch.zeros_like(w) for w in parameters]
        self._second = [torch.zeros_like(w) for w in parameters]
        self._step = 0

    def apply(self, gradients, rate):
        self._step += 1
        first_bias, second_bias = 1 - BETA_1**self._step, 1 - BETA_2**self._step
        moments = zip(self._parameters, gradients, self._first, self._second, strict=True)
        with torch.no_grad():
            for weight, gradient, m, v in moments:
                m.mul_(BETA_1).add_((1 - BETA_1) * gradient)
                v.mul_(BETA_2).add_((1 - BETA_2) * gradient**2)
                weight -= rate * second_bias**0.5 / first_bias * m / (v.sqrt() + self._epsilon)


class TorchAdam:
    """PyTorch's own, as the authors' code calls it."""

    def __init__(self, parameters):
        self._parameters = parameters
        self._adam = torch.optim.Adam(parameters, betas=(BETA_1, BETA_2))

    def apply(self, gradients, rate):
        for weight, gradient in zip(self._parameters, gradients, strict=True):
            weight.grad = gradient.clone()
        self._adam.param_groups[0]["lr"] = rate
        self._adam.step()


ADAMS = {"paper": TorchAdam, "tutorial": KerasAdam}


def least_squares(logits, real):
    return ((logits - (1.0 if real else 0.0)) ** 2).mean()


def cross_entropy(logits, real):
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


def distance(image, other):
    return (image - other).abs().mean()


def gradients_of(loss, networks):
    return [torch.autograd.grad(loss, list(p.values()), retain_graph=True) for p in networks]


def train(preset, steps=golden.STEPS, adam=None):
    """Ten steps of the paper's or the tutorial's training, in the order of each one's own code."""
    paper = preset == "paper"
    seed = golden.TRAINING_SEEDS[preset]
    random = golden.draws(seed)
    adversarial = least_squares if paper else cross_entropy
    size = (24, 28) if paper else (32, 32)

    def generator(p, x):
        return resnet(p, x, blocks=6) if paper else unet(p, x, levels=5)

    def discriminator(p, x):
        return patchgan(p, x, affine=not paper)

    g, f, d_x, d_y = networks = [Parameters(seed + i) for i in range(1, 5)]
    images = torch.tensor(golden.draw_images(random, 2 * golden.STEPS * golden.BATCH, *size))
    images = images.reshape(golden.STEPS, 2, golden.BATCH, 3, *size)
    pool_x, pool_y = (Pool(*golden.draw_choices(random)) for _ in "xy")
    with torch.no_grad():  # draws the weights
        for network, p in (
            (generator, g),
            (generator, f),
            (discriminator, d_x),
            (discriminator, d_y),
        ):
            network(p, images[0, 0])
    before = [[w.detach().clone() for w in p.values()] for p in networks]
    adam = adam or ADAMS[preset]
    optimizers = [adam(list(p.values())) for p in networks]

    arrays = {"terms": [], "rates": []}
    for step, (real_x, real_y) in enumerate(images[:steps]):
        # Constant for half of the run, then down to zero; the tutorial's stays.
        rate = RATE * min(1.0, (golden.STEPS - step) / (golden.STEPS / 2)) if paper else RATE
        fake_y, fake_x = generator(g, real_x), generator(f, real_y)
        terms = {
            "generator_g": adversarial(discriminator(d_y, fake_y), True),
            "generator_f": adversarial(discriminator(d_x, fake_x), True),
            "cycle_x": distance(generator(f, fake_y), real_x),
            "cycle_y": distance(generator(g, fake_x), real_y),
            "identity_x": distance(generator(f, real_x), real_x),
            "identity_y": distance(generator(g, real_y), real_y),
        }
        cycle = 10.0 * (terms["cycle_x"] + terms["cycle_y"])

        def discriminator_terms(fake_x, fake_y, real_x=real_x, real_y=real_y):
            return [
                (
                    adversarial(discriminator(p, real), True)
                    + adversarial(discriminator(p, fake), False)
                )
                / 2
                for p, real, fake in ((d_x, real_x, fake_x), (d_y, real_y, fake_y))
            ]

        if paper:
            # The authors': one loss for both generators, their update, then the discriminators on
            # images of before the update that went through the pools.
            identity = 10.0 * 0.5 * (terms["identity_x"] + terms["identity_y"])
            loss = terms["generator_g"] + terms["generator_f"] + cycle + identity
            gradients = gradients_of(loss, [g, f])
            for optimizer, gradient in zip(optimizers, gradients, strict=False):
                optimizer.apply(gradient, rate)
            fakes = pool_x.exchange(fake_x.detach()), pool_y.exchange(fake_y.detach())
            loss_x, loss_y = discriminator_terms(*fakes)
            gradients += gradients_of(loss_x, [d_x]) + gradients_of(loss_y, [d_y])
            for optimizer, gradient in zip(optimizers[2:], gradients[2:], strict=True):
                optimizer.apply(gradient, rate)
        else:
            # The tutorial's: four losses, four gradients, four updates.
            loss_x, loss_y = discriminator_terms(fake_x, fake_y)
            loss_g = terms["generator_g"] + cycle + 10.0 * 0.5 * terms["identity_y"]
            loss_f = terms["generator_f"] + cycle + 10.0 * 0.5 * terms["identity_x"]
            gradients = [
                gradients_of(loss, [p])[0]
                for loss, p in zip((loss_g, loss_f, loss_x, loss_y), networks, strict=True)
            ]
            for optimizer, gradient in zip(optimizers, gradients, strict=True):
                optimizer.apply(gradient, rate)
        terms |= {"discriminator_x": loss_x, "discriminator_y": loss_y}
        arrays["terms"].append([terms[name].item() for name in golden.TERMS])
        arrays["rates"].append(rate)
        if step in (0, golden.STEPS - 1):
            for name, p, gradient, old in zip(
                golden.NETWORKS, networks, gradients, before, strict=True
            ):
                arrays[f"gradients {step + 1} {name}"] = golden.sketches(gradient)
                changes = [w.detach() - w_old for w, w_old in zip(p.values(), old, strict=True)]
                arrays[f"changes {step + 1} {name}"] = golden.sketches(changes)
    weights = torch.cat([w.detach().ravel() for p in networks for w in p.values()])
    start = torch.cat([w.ravel() for old in before for w in old])
    return arrays, weights - start


def main():
    golden.FOLDER.mkdir(exist_ok=True)
    files = {"networks": network_outputs()}
    for preset in ("paper", "tutorial"):
        files[preset], _ = train(preset)
        for steps in (1, golden.STEPS):
            _, change = train(preset, steps, KerasAdam)
            _, torch_change = train(preset, steps, TorchAdam)
            difference = (change - torch_change).norm() / torch_change.norm()
            files[preset][f"adam forms {steps}"] = difference.numpy()
            print(f"{preset}: after {steps} steps, Adam's two forms differ by {difference:.2g}")
    for name, arrays in files.items():
        path = golden.FOLDER / f"{name}.npz"
        np.savez_compressed(path, **arrays)
        print(f"{path}: {len(arrays)} arrays, {path.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
