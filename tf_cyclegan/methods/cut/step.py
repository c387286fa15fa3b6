"""CUT: one translator, one discriminator, and patches that are to be known again.

Park, Efros, Zhang, Zhu 2020, https://arxiv.org/abs/2007.15651. Images are `[N, H, W, 3]` in [-1, 1].
"""

import tensorflow as tf

from ... import losses
from ...models.layers import seed_stream
from ...optimization.image_pool import RNG
from ...optimization.replicas import Replicas
from ..adversarial import build_discriminator, build_generator
from ..contrastive import ContrastiveMethod, projections
from .settings import Config

FLIP, OF_X, OF_Y = range(3)  # what random numbers are for


class CUT(ContrastiveMethod):
    """One translator, G: X -> Y, whose patches are like those at the same place of its image.

    Args:
        config, total_steps, replicas: As for `AdversarialMethod`.

    Attributes:
        generator_g, discriminator_y: Keras models.
        projections: Keras models by name, those that the features of each layer pass.
        step: int64 variable, the number of training steps done.
        checkpoint_items: All that a step reads.
    """

    def __init__(
        self, config: Config, total_steps: int | None = None, replicas: Replicas | None = None
    ):
        super().__init__(config, total_steps, replicas)
        seeds = seed_stream(config.seed)
        self.generators = self.group(
            "generator",
            generator_g=lambda: build_generator(config, next(seeds)),
            **projections(config, "projection", seeds),
        )
        self.discriminators = self.group(
            "discriminator", discriminator_y=lambda: build_discriminator(config, next(seeds))
        )
        self.projections = dict(self.generators.networks)
        self.generator_g = self.projections.pop("generator_g")
        self.discriminator_y = self.discriminators.networks["discriminator_y"]
        self.translators = {
            "x_to_y": self.averaged({"generator_g": self.generator_g})["generator_g"]
        }
        self.judges = {"y": self.discriminator_y}

        self._g = self.with_features(self.generator_g)
        self._encoder = self.encoder(self.generator_g)
        self._translation = self.replicas.local(self.translate)
        self._discriminator_part = self.replicas.local(self.discriminator_gradients)
        self._generator_part = self.replicas.local(self.generator_loss)
        self.pool_y = self.image_pool("pool_y")

    def update_networks(self, real_x, real_y) -> dict[str, tf.Tensor]:
        """The authors' step but for its count: the discriminator first, then the generator.

        The generator is judged by what the discriminator has become, about the same images.

        Args:
            real_x: `[N, H, W, 3]` in [-1, 1]; on several replicas, this one's share of the batch.
            real_y: `[N, H, W, 3]` in [-1, 1], likewise.

        Returns:
            The mean of every term of the objective over the batch, unweighted.
        """
        with tf.GradientTape() as tape:
            fakes, *keys = self._translation(real_x, real_y)

            with tape.stop_recording():
                (fake_y,) = self.from_pools([self.pool_y], [fakes[: real_x.shape[0]]])
                told_apart, gradients = self._discriminator_part(real_y, fake_y)
                told_apart, gradients = self.replicas.sum((told_apart, gradients))
                self.update(gradients)

            terms, loss = self._generator_part(fakes, *keys)
        gradients = self.generators.gradients(tape, loss)
        terms, gradients = self.replicas.sum((terms, gradients))
        self.update(gradients)
        return terms | told_apart

    def is_flipped(self):
        """Whether this step translates the mirror images: bool scalar."""
        return tf.random.stateless_uniform([], self.random(FLIP), 0, 2, tf.int32, alg=RNG) == 0

    def translate(self, real_x, real_y) -> tuple:
        """Translate the images, those of Y too if they are to stay as they are.

        Returns:
            `[N, H, W, 3]`, or `[2N, H, W, 3]` with those of Y behind, and of each layer the features
            of the images, `[N or 2N, h, w, C]`.
        """
        reals = tf.concat([real_x, real_y], 0) if self.config.nce_identity else real_x
        if not self.config.flip_equivariance:
            return self._g(reals, training=True)
        flipped = self.is_flipped()
        fakes, *features = self._g(_mirrored_if(flipped, reals), training=True)
        of_reals = tf.cond(flipped, lambda: self._encoder(reals, training=True), lambda: features)
        return fakes, *of_reals

    def discriminator_gradients(self, real_y, fake_y) -> tuple[dict, dict]:
        """Say how the discriminator should change to tell real images from generated ones."""
        with tf.GradientTape() as tape:
            terms, loss = self.told_apart(discriminator_y=(self.discriminator_y, real_y, fake_y))
            loss = self.discriminators.scaled(loss)
        return terms, self.discriminators.gradients(tape, loss)

    def generator_loss(self, fakes, *keys) -> tuple[dict, tf.Tensor]:
        """What the generator and the projections pay for the translations of `translate`.

        Returns:
            The mean of every term over the batch, unweighted, and the scaled loss.
        """
        config = self.config
        parts = 2 if config.nce_identity else 1
        adversarial_loss = losses.ADVERSARIAL_LOSSES[config.adversarial_loss]
        judged = self.discriminator_y(self.seen(tf.split(fakes, parts)[0]), training=True)
        queries = self._encoder(fakes, training=True)
        if config.flip_equivariance:
            flipped = self.is_flipped()
            queries = [_mirrored_if(flipped, query) for query in queries]
        networks = [list(self.projections.values())] * 2
        costs = tf.split(self.nce(queries, keys, networks, [OF_X, OF_Y][:parts]), parts)

        terms = {"generator_g": losses.generator_adversarial(adversarial_loss, judged)}
        terms |= dict(zip(["nce_x", "nce_y"], costs, strict=False))
        terms = {name: self.batch_mean(term) for name, term in terms.items()}
        nce = tf.add_n([terms[name] for name in ("nce_x", "nce_y")[:parts]]) / parts
        return terms, self.generators.scaled(terms["generator_g"] + config.lambda_nce * nce)

    def samples(self, real_x, real_y) -> dict[str, tf.Tensor]:
        """Images of X, what becomes of them, and images of Y, which should stay as they are."""
        g = self.translators["x_to_y"]
        columns = {"x": real_x, "G(x)": g(real_x, training=False), "y": real_y}
        if self.config.nce_identity:
            columns["G(y)"] = g(real_y, training=False)
        return columns


def _mirrored_if(flipped, images):
    """`[N, h, w, C]`, left and right exchanged if the bool scalar says so."""
    return tf.where(flipped, tf.reverse(images, [2]), images)
