"""Feature loss + GAN: SimGAN with a distance of deep features instead of pixels.

Zhu, Park, Isola, Efros 2017, https://arxiv.org/abs/1703.10593, section 5.1. Images are `[N, H, W, 3]`
in [-1, 1].
"""

import tensorflow as tf

from ... import losses
from ...errors import UserError
from ...optimization.replicas import Replicas
from ..simgan.step import SimGAN
from .features import load_features
from .settings import Config


class FeatureLoss(SimGAN):
    """One translator, G: X -> Y, whose images keep the features that they had.

    Args:
        config, total_steps, replicas: As for `AdversarialMethod`; to translate alone, no features are
            needed.

    Raises:
        UserError: To train, there are no features, or they cannot be had.
    """

    def __init__(
        self, config: Config, total_steps: int | None = None, replicas: Replicas | None = None
    ):
        super().__init__(config, total_steps, replicas)
        if total_steps is None:
            return
        if config.features is None:
            raise UserError(
                "feature_loss needs a network for its features: pass --features vgg16, which "
                "fetches VGG-16 once, or --features FILE.keras with --feature-layer NAME"
            )
        self.features = load_features(config.features, config.feature_layer, config.feature_size)
        # So that a run goes on with the features that it began with.
        self.checkpoint_items["features"] = self.features.network

    def distance(self, real_x, fake_y) -> tf.Tensor:
        """The mean absolute difference of the features of G(x) and x: shape [N]."""
        return losses.l1(self.features(real_x), self.features(fake_y))
