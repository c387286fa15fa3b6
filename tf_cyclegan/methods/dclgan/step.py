"""DCLGAN: two translators, each of which tells the patches of what the other has made.

Han, Shoeiby, Petersson, Armin 2021, https://arxiv.org/abs/2104.07689. Images are `[N, H, W, 3]` in
[-1, 1].
"""

import tensorflow as tf

from ... import losses
from ...models.layers import seed_stream
from ...optimization.replicas import Replicas
from ..adversarial import build_discriminator, build_generator
from ..contrastive import ContrastiveMethod, projections
from .settings import Config

OF_X, OF_Y = 1, 2  # what random numbers are for


class DCLGAN(ContrastiveMethod):
    """Two translators, G: X -> Y and F: Y -> X, whose patches are like those of their images.

    Features of X are G's, those of Y are F's: a patch of G(x) seen by F is to be known among the
    patches of x seen by G.

    Args:
        config, total_steps, replicas: As for `AdversarialMethod`.

    Attributes:
        generator_g, generator_f, discriminator_x, discriminator_y: Keras models.
        projections_x, projections_y: Keras models, those that G's and F's features of each layer pass.
        step: int64 variable, the number of training steps done.
        checkpoint_items: All that a step reads.
    """

    def __init__(
        self, config: Config, total_steps: int | None = None, replicas: Replicas | None = None
    ):
        super().__init__(config, total_steps, replicas)
        seeds = seed_stream(config.seed)
        of_x = projections(config, "projection_x", seeds)
        of_y = projections(config, "projection_y", seeds)
        adam = {
            "learning_rate": config.projection_learning_rate,
            "beta_1": config.projection_beta_1,
        }
        self.generators = self.group(
            "generator",
            dict.fromkeys([*of_x, *of_y], adam),
            generator_g=lambda: build_generator(config, next(seeds)),
            generator_f=lambda: build_generator(config, next(seeds), config.channels[::-1]),
            **of_x,
            **of_y,
        )
        self.discriminators = self.group(
            "discriminator",
            discriminator_x=lambda: build_discriminator(config, next(seeds), config.channels[0]),
            discriminator_y=lambda: build_discriminator(config, next(seeds)),
        )
        networks = self.generators.networks
        self.generator_g, self.generator_f = networks["generator_g"], networks["generator_f"]
        self.projections_x = [networks[name] for name in of_x]
        self.projections_y = [networks[name] for name in of_y]
        self.discriminator_x, self.discriminator_y = self.discriminators.networks.values()
        generators = {"generator_g": self.generator_g, "generator_f": self.generator_f}
        g, f = self.averaged(generators).values()
        self.translators = {"x_to_y": g, "y_to_x": f}
        self.judges = {"x": self.discriminator_x, "y": self.discriminator_y}

        self._g, self._f = map(self.with_features, (self.generator_g, self.generator_f))
        self._encoder_g, self._encoder_f = map(self.encoder, (self.generator_g, self.generator_f))
        self._translation = self.replicas.local(self.translate)
        self._discriminator_part = self.replicas.local(self.discriminator_gradients)
        self._generator_part = self.replicas.local(self.generator_loss)
        self.pool_x, self.pool_y = self.image_pool("pool_x"), self.image_pool("pool_y")

    def update_networks(self, real_x, real_y) -> dict[str, tf.Tensor]:
        """The authors' step but for its count: the discriminators first, then the generators.

        The generators are judged by what the discriminators have become, about the same images.

        Args:
            real_x: `[N, H, W, 3]` in [-1, 1]; on several replicas, this one's share of the batch.
            real_y: `[N, H, W, 3]` in [-1, 1], likewise.

        Returns:
            The mean of every term of the objective over the batch, unweighted.
        """
        with tf.GradientTape() as tape:
            images, keys_x, keys_y = self._translation(real_x, real_y)

            with tape.stop_recording():
                fakes = self.from_pools(
                    [self.pool_x, self.pool_y], [images["fake_x"], images["fake_y"]]
                )
                told_apart, gradients = self._discriminator_part(real_x, real_y, *fakes)
                told_apart, gradients = self.replicas.sum((told_apart, gradients))
                self.update(gradients)

            terms, loss = self._generator_part(real_x, real_y, images, keys_x, keys_y)
        gradients = self.generators.gradients(tape, loss)
        terms, gradients = self.replicas.sum((terms, gradients))
        self.update(gradients)
        return terms | told_apart

    def translate(self, real_x, real_y) -> tuple[dict, list, list]:
        """Translate the images, those that are in the target domain already too.

        Returns:
            fake_x and fake_y, same_x and same_y where the identity has a weight, by name; and of each
            layer G's features of real_x and F's of real_y, `[N, h, w, C]`.
        """
        if not self.config.lambda_identity:
            fake_y, *keys_x = self._g(real_x, training=True)
            fake_x, *keys_y = self._f(real_y, training=True)
            return {"fake_x": fake_x, "fake_y": fake_y}, keys_x, keys_y
        of_g = self._g(tf.concat([real_x, real_y], 0), training=True)
        of_f = self._f(tf.concat([real_y, real_x], 0), training=True)
        (fake_y, same_y), *keys_x = (tf.split(output, 2) for output in of_g)
        (fake_x, same_x), *keys_y = (tf.split(output, 2) for output in of_f)
        images = {"fake_x": fake_x, "fake_y": fake_y, "same_x": same_x, "same_y": same_y}
        return images, [key for key, _ in keys_x], [key for key, _ in keys_y]

    def discriminator_gradients(self, real_x, real_y, fake_x, fake_y) -> tuple[dict, dict]:
        """Say how the discriminators should change to tell real images from generated ones."""
        with tf.GradientTape() as tape:
            terms, loss = self.told_apart(
                discriminator_x=(self.discriminator_x, real_x, fake_x),
                discriminator_y=(self.discriminator_y, real_y, fake_y),
            )
            loss = self.discriminators.scaled(loss)
        return terms, self.discriminators.gradients(tape, loss)

    def generator_loss(self, real_x, real_y, images, keys_x, keys_y) -> tuple[dict, tf.Tensor]:
        """What the generators and the projections pay for the translations of `translate`.

        Returns:
            The mean of every term over the batch, unweighted, and the scaled loss.
        """
        config, terms = self.config, {}
        # By the same function as the discriminators pay for real images: the hinge's too.
        pays = losses.ADVERSARIAL_LOSSES[config.adversarial_loss].discriminator
        fake_x, fake_y = images["fake_x"], images["fake_y"]
        terms["generator_g"] = pays(self.discriminator_y(self.seen(fake_y), training=True), 1.0)
        terms["generator_f"] = pays(self.discriminator_x(self.seen(fake_x), training=True), 1.0)
        queries_x = self._encoder_f(fake_y, training=True)
        queries_y = self._encoder_g(fake_x, training=True)
        of_x, of_y = self.projections_x, self.projections_y
        terms["nce_x"] = self.nce(queries_x, keys_x, [of_y, of_x], [OF_X])
        terms["nce_y"] = self.nce(queries_y, keys_y, [of_x, of_y], [OF_Y])
        if config.lambda_identity:
            terms["identity_x"] = losses.l1(real_x, images["same_x"])
            terms["identity_y"] = losses.l1(real_y, images["same_y"])
        terms = {name: self.batch_mean(term) for name, term in terms.items()}
        weights = {"generator": 1.0, "nce": config.lambda_nce, "identity": config.lambda_identity}
        weighted = [weights[name.rsplit("_", 1)[0]] * term for name, term in terms.items()]
        return terms, self.generators.scaled(tf.add_n(weighted) / 2)

    def samples(self, real_x, real_y) -> dict[str, tf.Tensor]:
        """Both domains, translated: a heading and images `[N, H, W, 3]` in [-1, 1] a column."""
        return {
            "x": real_x,
            "G(x)": self.translators["x_to_y"](real_x, training=False),
            "y": real_y,
            "F(y)": self.translators["y_to_x"](real_y, training=False),
        }
