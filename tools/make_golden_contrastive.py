"""Write tests/golden/contrastive.npz: other code's steps of CUT, FastCUT and DCLGAN.

    pip install torch numpy
    python tools/make_golden_contrastive.py

PyTorch in float64, written from the papers (arXiv 2007.15651 and 2104.07689) and in the order of the
authors' code (taesungp/contrastive-unpaired-translation, JunlinHan/DCLGAN), with the random numbers of
make_golden.py. A tool for who changes a method on purpose; the tests need its file only.
"""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from make_golden import (
    PAPER_SLOPE,
    RATE,
    Parameters,
    TorchAdam,
    distance,
    golden,
    gradients_of,
    least_squares,
    reflected,
)

from tests.fidelity import contrastive as cases


def blur(x, row, factor=1.0, **kwargs):
    """Every channel by itself, filtered by the outer product of a row with itself."""
    row = torch.tensor(row, dtype=torch.float64) / sum(row) * factor
    kernel = (row[:, None] * row)[None, None].expand(x.shape[1], 1, -1, -1)
    if kwargs.pop("grow", False):
        return F.conv_transpose2d(x, kernel, stride=2, groups=x.shape[1])
    return F.conv2d(x, kernel, stride=2, groups=x.shape[1])


def halved(x):
    return blur(reflected(x, 1), [1, 2, 1])


def doubled(x):
    return blur(F.pad(x, (1,) * 4, mode="replicate"), [1, 3, 3, 1], 2.0, grow=True)[
        :, :, 3:-3, 3:-3
    ]


def resnet(p, x, antialias, features_only=False):
    """The authors' generator of one block: the image, and what their layers 0, 4, 8 and 12 give.

    Without anti-aliasing: what the layers give that stand for the same.
    """
    filters = golden.FILTERS
    features = [reflected(x, 3)]
    x = F.relu(p.norm(p.conv(features[0], "in", filters, 7, True), "", False))
    for channels in (2 * filters, 4 * filters):
        stride = 1 if antialias else 2
        x = p.conv(x, f"down.{channels}", channels, 3, True, stride=stride, padding=1)
        features.append(x)
        x = F.relu(p.norm(x, "", False))
        x = halved(x) if antialias else x
    y = F.relu(p.norm(p.conv(reflected(x, 1), "block.1", 4 * filters, 3, True), "", False))
    x = x + p.norm(p.conv(reflected(y, 1), "block.2", 4 * filters, 3, True), "", False)
    features.append(x)
    if features_only:
        return features
    for channels in (2 * filters, filters):
        if antialias:
            x = p.conv(doubled(x), f"up.{channels}", channels, 3, True, padding=1)
        else:
            x = p.grow(x, f"up.{channels}", channels, 3, True, output_padding=1)
        x = F.relu(p.norm(x, "", False))
    return torch.tanh(p.conv(reflected(x, 3), "out", 3, 7, True))


def patchgan(p, x, antialias):
    filters = golden.FILTERS
    stride = 1 if antialias else 2
    for place, width in enumerate((1, 2, 4)):
        x = p.conv(x, f"{place}", width * filters, 4, True, stride=stride, padding=1)
        x = F.leaky_relu(p.norm(x, "", False) if place else x, PAPER_SLOPE)
        x = halved(x) if antialias else x
    x = p.norm(p.conv(x, "3", 8 * filters, 4, True, padding=1), "", False)
    return p.conv(F.leaky_relu(x, PAPER_SLOPE), "4", 1, 4, True, padding=1)


def projected(nets, features, places):
    """Of each layer the features at its places, [N, P, K], of length 1."""
    for p, x, at in zip(nets, features, places, strict=True):
        x = x.flatten(2)[:, :, torch.tensor(at.astype(np.int64)), None]
        x = p.conv(F.relu(p.conv(x, "0", cases.FEATURES, 1, True)), "1", cases.FEATURES, 1, True)
        x = x[..., 0].transpose(1, 2)
        yield x / ((x**2).sum(2, keepdim=True).sqrt() + 1e-7)


def nce(queries, keys):
    """The authors' PatchNCELoss: the positive first, negatives with the diagonal taken out."""
    total = 0.0
    for query, key in zip(queries, keys, strict=True):
        key = key.detach()
        positive = (query * key).sum(2, keepdim=True)
        negative = query @ key.transpose(1, 2)
        diagonal = torch.eye(query.shape[1], dtype=torch.bool)
        logits = torch.cat([positive, negative.masked_fill(diagonal, -10.0)], 2) / 0.07
        total = total + F.cross_entropy(
            logits.flatten(0, 1), torch.zeros(logits[..., 0].numel()).long()
        )
    return total / len(cases.LAYERS)


def hinge(logits, real):
    return F.relu(1 - logits if real else 1 + logits).mean()


def cut(case, nets, real_x, real_y, chosen):
    """A step of CUT or FastCUT: the terms, and where the gradients and updates fall due."""
    g, d, *projections = nets
    antialias, fast = case == "cut", case == "fastcut"
    flip = fast and chosen["flip"]
    reals = real_x if fast else torch.cat([real_x, real_y])
    fakes = resnet(g, reals.flip(3) if flip else reals, antialias)
    fake_y = fakes[: len(real_x)]

    told_apart = least_squares(patchgan(d, fake_y.detach(), antialias), False)
    told_apart = (told_apart + least_squares(patchgan(d, real_y, antialias), True)) / 2
    yield {"discriminator_y": told_apart}, told_apart, [d]

    terms = {"generator_g": least_squares(patchgan(d, fake_y, antialias), True)}
    pairs = [("nce_x", real_x, fake_y)] + (
        [] if fast else [("nce_y", real_y, fakes[len(real_x) :])]
    )
    for place, (name, real, fake) in enumerate(pairs):
        queries = resnet(g, fake, antialias, features_only=True)
        if flip:
            queries = [query.flip(3) for query in queries]
        keys = resnet(g, real, antialias, features_only=True)
        places = chosen["places"][place]
        terms[name] = nce(
            projected(projections, queries, places), projected(projections, keys, places)
        )
    loss = 10.0 * terms["nce_x"] if fast else (terms["nce_x"] + terms["nce_y"]) / 2
    yield terms, terms["generator_g"] + loss, [g, *projections]


def dclgan(case, nets, real_x, real_y, chosen):
    """A step of DCLGAN."""
    g, f, d_x, d_y, *projections = nets
    of_x, of_y = projections[: len(projections) // 2], projections[len(projections) // 2 :]
    fake_y, fake_x = resnet(g, real_x, True), resnet(f, real_y, True)
    same_y, same_x = resnet(g, real_y, True), resnet(f, real_x, True)

    terms = {}
    for name, d, real, fake in (("x", d_x, real_x, fake_x), ("y", d_y, real_y, fake_y)):
        told_apart = hinge(patchgan(d, real, True), True)
        told_apart = (told_apart + hinge(patchgan(d, fake.detach(), True), False)) / 2
        terms[f"discriminator_{name}"] = told_apart
    yield terms, sum(terms.values()), [d_x, d_y]

    terms = {
        "generator_g": hinge(patchgan(d_y, fake_y, True), True),
        "generator_f": hinge(patchgan(d_x, fake_x, True), True),
    }
    for name, real, fake, own, other, at_home, abroad, places in (
        ("nce_x", real_x, fake_y, g, f, of_x, of_y, chosen["places"][0]),
        ("nce_y", real_y, fake_x, f, g, of_y, of_x, chosen["places"][1]),
    ):
        queries = projected(abroad, resnet(other, fake, True, features_only=True), places)
        keys = projected(at_home, resnet(own, real, True, features_only=True), places)
        terms[name] = nce(queries, keys)
    terms["identity_x"], terms["identity_y"] = distance(same_x, real_x), distance(same_y, real_y)
    weights = (0.5, 0.5, 1.0, 1.0, 0.5, 0.5)
    loss = sum(w * term for w, term in zip(weights, terms.values(), strict=True))
    yield terms, loss, [g, f, *projections]


class FastAdam(TorchAdam):
    """DCLGAN's of the projections: PyTorch's own, with all its defaults."""

    def __init__(self, parameters):
        super().__init__(parameters)
        self._adam = torch.optim.Adam(parameters)

    def apply(self, gradients, rate):
        super().apply(gradients, 1e-3)


def train(case):
    """What each step pays, the gradients of each, and how the weights have changed after each."""
    seed = cases.SEEDS[case]
    images, chosen = cases.draw(case)
    images = torch.tensor(images)
    step, count = (dclgan, 4) if case == "dclgan" else (cut, 2)
    projections = len(cases.LAYERS) * count // 2
    nets = [Parameters(seed + i) for i in range(1, 1 + count + projections)]
    for _ in step(case, nets, *images[0], chosen[0]):  # draws the weights
        pass
    before = [[w.detach().clone() for w in p.values()] for p in nets]
    optimizers = [
        (FastAdam if case == "dclgan" and place >= count else TorchAdam)(list(p.values()))
        for place, p in enumerate(nets)
    ]
    arrays, paid = {}, []
    for number, (reals, choice) in enumerate(zip(images, chosen, strict=True), 1):
        terms, gradients = {}, {}
        for part, loss, learning in step(case, nets, *reals, choice):
            terms |= {name: term.item() for name, term in part.items()}
            for p, gradient in zip(learning, gradients_of(loss, learning), strict=True):
                place = next(i for i, each in enumerate(nets) if each is p)
                gradients[place] = gradient
                optimizers[place].apply(gradient, RATE)
        paid.append([terms[name] for name in sorted(terms)])
        if number in (1, cases.STEPS):
            for place, (p, old) in enumerate(zip(nets, before, strict=True)):
                arrays[f"gradients {number} {place}"] = golden.sketches(gradients[place])
                changes = [w.detach() - w_old for w, w_old in zip(p.values(), old, strict=True)]
                arrays[f"changes {number} {place}"] = golden.sketches(changes)
    return arrays | {"terms": np.array(paid)}


def main():
    arrays = {
        f"{case} {name}": array for case in cases.SEEDS for name, array in train(case).items()
    }
    path = golden.FOLDER / "contrastive.npz"
    np.savez_compressed(path, **arrays)
    print(f"{path}: {len(arrays)} arrays, {path.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
