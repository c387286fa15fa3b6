"""CoGAN: two generators from one latent vector, their first layers tied; likewise two discriminators.

Liu and Tuzel 2016, https://arxiv.org/abs/1606.07536. Images are `[N, H, W, 3]` in [-1, 1].
"""

import keras
import tensorflow as tf

from ... import losses, models
from ...models.layers import seed_stream
from ...optimization.image_pool import RNG
from ...optimization.replicas import Replicas
from ..adversarial import AdversarialMethod, NetworkGroup
from .search import LatentSearch
from .settings import Config


class CoGAN(AdversarialMethod):
    """The joint distribution of two domains, learnt without pairs: one latent vector renders a pair.

    Args:
        config: Networks, objective and optimizers; how translations search.
        total_steps: Length of the run; the learning rate reaches zero at its end if it decays. None:
            to translate alone, without optimizers.
        replicas: Those that do a step together, each on its share of the batch.

    Attributes:
        generator_trunk: The layers that both generators share, from the latent vector.
        generator_x, generator_y: The generators' other layers.
        discriminator_x, discriminator_y: The discriminators' first layers.
        discriminator_trunk: The layers that both discriminators share.
        step: int64 variable, the number of training steps done.
        checkpoint_items: All that a step reads.
    """

    def __init__(
        self, config: Config, total_steps: int | None = None, replicas: Replicas | None = None
    ):
        super().__init__(config, total_steps, replicas)
        seeds = seed_stream(config.seed)
        size, (channels_x, channels_y) = config.image_shape[0], config.channels
        generator = size, config.filters, config.generator_own_layers
        discriminator = size, config.discriminator_filters, config.discriminator_own_layers

        def trunk():
            return models.generator_trunk(size, config.latent_size, *generator[1:], next(seeds))

        self.generators = self.group(
            "generator",
            generator_trunk=trunk,
            generator_x=lambda: models.generator_head(*generator, next(seeds), channels_x),
            generator_y=lambda: models.generator_head(*generator, next(seeds), channels_y),
        )
        self.discriminators = self.group(
            "discriminator",
            discriminator_x=lambda: models.discriminator_front(
                *discriminator, next(seeds), channels_x
            ),
            discriminator_y=lambda: models.discriminator_front(
                *discriminator, next(seeds), channels_y
            ),
            discriminator_trunk=lambda: models.discriminator_trunk(*discriminator, next(seeds)),
        )
        self.generator_trunk, *generators = self.generators.networks.values()
        self.generator_x, self.generator_y = generators
        *fronts, self.discriminator_trunk = self.discriminators.networks.values()
        self.discriminator_x, self.discriminator_y = fronts
        self._rendering = tuple(self.averaged(self.generators.networks).values())
        root, *heads = self._rendering
        self.translators = {
            "x_to_y": LatentSearch(root, *heads, config),
            "y_to_x": LatentSearch(root, *heads[::-1], config),
        }

    def render(self, latent, training: bool) -> tuple:
        """The pair of images, one of each domain, that latent vectors `[N, latent_size]` stand for.

        Args:
            latent: The latent vectors.
            training: Whether by the networks that are trained, or by those that translate.
        """
        networks = self.generators.networks.values() if training else self._rendering
        trunk, *heads = networks
        features = trunk(latent, training=training)
        return tuple(head(features, training=training) for head in heads)

    def judge(self, x, y) -> list:
        """Logits `[N, 1]` of images of X and of Y, which pass the tied layers together."""
        fronts = self.discriminator_x(x, training=True), self.discriminator_y(y, training=True)
        return tf.split(self.discriminator_trunk(tf.concat(fronts, 0), training=True), 2)

    def latent_vectors(self, count: int):
        """This step's `[count, latent_size]`, uniform in [-1, 1]; this replica's share of them."""
        seed = self.seed_of(1)
        shape = [count * self.replicas.count, self.config.latent_size]
        whole = tf.random.stateless_uniform(shape, seed, -1, 1, keras.config.floatx(), alg=RNG)
        return self.replicas.share([whole])[0]

    def losses_and_gradients(self, real_x, real_y) -> tuple[dict, dict]:
        """The paper's training (equation 4), but for the updates.

        No part of it is `Replicas.local`: batch norms ask all replicas.

        Args:
            real_x: `[N, H, W, 3]` in [-1, 1]; on several replicas, this one's share of the batch.
            real_y: `[N, H, W, 3]` in [-1, 1], likewise.

        Returns:
            The mean over the batch of what each generator and each discriminator pays; and the
            gradients of all six networks.
        """
        cross_entropy, terms = losses.ADVERSARIAL_LOSSES["bce"], {}
        latent = self.latent_vectors(real_x.shape[0])
        with tf.GradientTape(persistent=True) as tape:
            fakes = self.render(latent, training=True)
            fake_logits, real_logits = self.judge(*fakes), self.judge(real_x, real_y)
            for domain, fake, real in zip("xy", fake_logits, real_logits, strict=True):
                generator = losses.generator_adversarial(cross_entropy, fake)
                discriminator = losses.discriminator_adversarial(cross_entropy, real, fake)
                terms[f"generator_{domain}"] = self.batch_mean(generator)
                terms[f"discriminator_{domain}"] = self.batch_mean(discriminator)

            generator_loss = terms["generator_x"] + terms["generator_y"]
            generator_loss += self.decay(self.generators)
            generator_loss = self.generators.scaled(generator_loss)
            discriminator_loss = terms["discriminator_x"] + terms["discriminator_y"]
            discriminator_loss += self.decay(self.discriminators)
            discriminator_loss = self.discriminators.scaled(discriminator_loss)

        gradients = self.generators.gradients(tape, generator_loss)
        gradients |= self.discriminators.gradients(tape, discriminator_loss)
        return terms, gradients

    def decay(self, group: NetworkGroup):
        """A share of the weight decay of a group's kernels: the shares of all replicas add up to it."""
        kernels = [
            variable
            for network in group.networks.values()
            for variable in network.trainable_variables
            if variable.name == "kernel"
        ]
        squares = [tf.reduce_sum(tf.square(kernel)) for kernel in kernels]
        return self.config.weight_decay / 2 * tf.add_n(squares) / self.replicas.count

    def samples(self, real_x, real_y) -> dict[str, tf.Tensor]:
        """Pairs, and translations: a heading and images `[N, H, W, 3]` in [-1, 1] a column.

        The pairs are of the same latent vectors whenever in the run they are drawn.
        """
        shape = [real_x.shape[0], self.config.latent_size]
        latent = tf.random.stateless_uniform(shape, [self.config.seed, 2], -1, 1, alg=RNG)
        pair_x, pair_y = self.render(latent, training=False)
        found_x, fake_y = self.render(self.translators["x_to_y"].nearest(real_x), training=False)
        fake_x, found_y = self.render(self.translators["y_to_x"].nearest(real_y), training=False)
        return {
            "z in X": pair_x,
            "z in Y": pair_y,
            "x": real_x,
            "found x": found_x,
            "x to Y": fake_y,
            "y": real_y,
            "found y": found_y,
            "y to X": fake_x,
        }
