"""The terms of the objective (paper, section 3), as pure functions of tensors.

Each function returns one value an image, shape [N]: who calls it decides what a batch is, so that
several replicas can divide by the global batch. Discriminator outputs are logits [N, h, w, 1].
"""

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


ADVERSARIAL_LOSSES = {"lsgan": least_squares, "bce": cross_entropy}


def generator_adversarial(adversarial_loss, fake_logits):
    """What the generator pays while the discriminator can tell its images: shape [N]."""
    return adversarial_loss(fake_logits, 1.0)


def discriminator_adversarial(adversarial_loss, real_logits, fake_logits):
    """What the discriminator pays for its mistakes, halved to slow it down (section 7.1): [N]."""
    return 0.5 * (adversarial_loss(real_logits, 1.0) + adversarial_loss(fake_logits, 0.0))


def l1(image, other):
    """Mean absolute difference of two images in [-1, 1]: shape [N].

    Of x and F(G(x)) it is the cycle consistency loss (equation 2); of y and G(y) the identity
    loss (section 5.2).
    """
    return _image_mean(ops.abs(image - other))
