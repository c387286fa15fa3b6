"""The terms of the objective (paper, section 3), as pure functions of tensors.

Each function returns one value an image, shape [N]: who calls it decides what a batch is, so that
several replicas can divide by the global batch. Discriminator outputs are logits [N, h, w, 1].
"""

from collections.abc import Callable
from typing import NamedTuple

from keras import ops


def _image_mean(values):
    """Mean over everything but the batch: `[N, ...]` to `[N]`."""
    return ops.mean(values, axis=tuple(range(1, len(values.shape))))


def least_squares(logits, target):
    """`(D(.) - target)^2` (Mao et al. 2017; paper, section 4), the loss the paper trains with."""
    return _image_mean(ops.square(logits - target))


def cross_entropy(logits, target):
    """`-log D(.)` for target 1, `-log(1 - D(.))` for target 0 (paper, equation 1), from logits."""
    # softplus(z) - z * target, with softplus written so that it cannot overflow.
    softplus = ops.maximum(logits, 0.0) + ops.log1p(ops.exp(-ops.abs(logits)))
    return _image_mean(softplus - logits * target)


def hinge(logits, target):
    """`max(0, 1 - D(.))` for target 1, `max(0, 1 + D(.))` for target 0 (Lim, Ye 2017, equation 13)."""
    return _image_mean(ops.maximum(1.0 - _signed(logits, target), 0.0))


def critic(logits, target):
    """`-D(.)` for target 1, `D(.)` for target 0 (Arjovsky et al. 2017): a score without limits."""
    return _image_mean(-_signed(logits, target))


def _signed(logits, target):
    return (2.0 * target - 1.0) * logits


class AdversarialLoss(NamedTuple):
    """What each side of the game pays, as functions of logits and of what they should be, 1 or 0.

    Attributes:
        discriminator: What a discriminator pays for its logits.
        generator: What a generator pays for the logits of its images.
        boundary: An image is called real where its logit is above; None where no logit says so.
    """

    discriminator: Callable
    generator: Callable
    boundary: float | None


ADVERSARIAL_LOSSES = {
    "lsgan": AdversarialLoss(least_squares, least_squares, 0.5),
    "bce": AdversarialLoss(cross_entropy, cross_entropy, 0.0),
    "hinge": AdversarialLoss(hinge, critic, 0.0),
    "wgan": AdversarialLoss(critic, critic, None),
}


def generator_adversarial(adversarial_loss, fake_logits, target=1.0):
    """What the generator pays while the discriminator can tell its images: shape [N].

    Args:
        adversarial_loss: One of `ADVERSARIAL_LOSSES`, or a function of logits and target for both.
        fake_logits: Of its images.
        target: What it wants them to be.
    """
    pays = adversarial_loss
    if isinstance(adversarial_loss, AdversarialLoss):
        pays = adversarial_loss.generator
    return pays(fake_logits, target)


def discriminator_adversarial(adversarial_loss, real_logits, fake_logits):
    """What the discriminator pays for its mistakes, halved to slow it down (section 7.1): [N]."""
    pays = adversarial_loss
    if isinstance(adversarial_loss, AdversarialLoss):
        pays = adversarial_loss.discriminator
    return 0.5 * (pays(real_logits, 1.0) + pays(fake_logits, 0.0))


def patch_nce(queries, keys, temperature):
    """What it costs to tell which of an image's patches each of its translation's was: shape [N].

    The cross-entropy of the right one among all of the same image, by the cosine of their features
    (Park et al. 2020, https://arxiv.org/abs/2007.15651, section 3).

    Args:
        queries: Features of patches of the translation, `[N, P, K]`.
        keys: Features of the patches at the same places of the image, `[N, P, K]`.
        temperature: What the cosines are divided by.
    """
    cosines = ops.matmul(unit_length(queries), ops.transpose(unit_length(keys), (0, 2, 1)))
    logits = cosines / temperature
    return _image_mean(ops.logsumexp(logits, axis=2) - ops.diagonal(logits, axis1=1, axis2=2))


def unit_length(features):
    """Give every vector `[..., K]` the length 1, but for the authors' 1e-7 beside it."""
    squares = ops.sum(ops.square(features), axis=-1, keepdims=True)
    # The root has no gradient at 0, where every feature of a blank image can be.
    return features / (ops.sqrt(ops.maximum(squares, 1e-20)) + 1e-7)


def l1(image, other):
    """Mean absolute difference of two images in [-1, 1]: shape [N].

    Of x and F(G(x)) it is the cycle consistency loss (equation 2); of y and G(y) the identity
    loss (section 5.2).
    """
    return _image_mean(ops.abs(image - other))
