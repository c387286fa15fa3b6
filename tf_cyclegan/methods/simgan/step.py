"""SimGAN: one translator, one discriminator, and a price for every change of an image.

Shrivastava, Pfister, Tuzel, Susskind, Wang, Webb 2017, https://arxiv.org/abs/1612.07828, as the paper
of CycleGAN compared it (section 5.1). Images are `[N, H, W, 3]` in [-1, 1].
"""

import tensorflow as tf

from ... import losses
from ...models.layers import seed_stream
from ...optimization.replicas import Replicas
from ..adversarial import AdversarialMethod, build_discriminator, build_generator
from .settings import Config


class SimGAN(AdversarialMethod):
    """One translator, G: X -> Y, that keeps its images close to what they were.

    Args:
        config, total_steps, replicas: As for `AdversarialMethod`.

    Attributes:
        generator_g, discriminator_y: Keras models.
        step: int64 variable, the number of training steps done.
        checkpoint_items: All that a step reads.
    """

    def __init__(
        self, config: Config, total_steps: int | None = None, replicas: Replicas | None = None
    ):
        super().__init__(config, total_steps, replicas)
        seeds = seed_stream(config.seed)
        self.generators = self.group(
            "generator", generator_g=lambda: build_generator(config, next(seeds))
        )
        self.discriminators = self.group(
            "discriminator", discriminator_y=lambda: build_discriminator(config, next(seeds))
        )
        self.generator_g = self.generators.networks["generator_g"]
        self.discriminator_y = self.discriminators.networks["discriminator_y"]
        self.translators = {"x_to_y": self.averaged(self.generators.networks)["generator_g"]}

        self.judges = {"y": self.discriminator_y}

        self._g = self.rematerialised(self.generator_g)
        self._generator_part = self.replicas.local(self.generator_gradients)
        self._discriminator_part = self.replicas.local(self.discriminator_gradients)
        self.pool_y = self.image_pool("pool_y")

    def distance(self, real_x, fake_y) -> tf.Tensor:
        """How far images are from what they were: shape [N]. Here |G(x) - x|, pixel by pixel."""
        return losses.l1(real_x, fake_y)

    def losses_and_gradients(self, real_x, real_y) -> tuple[dict, dict]:
        """All of a step but the updates; both networks are judged by the other one of before it.

        Args:
            real_x: `[N, H, W, 3]` in [-1, 1]; on several replicas, this one's share of the batch.
            real_y: `[N, H, W, 3]` in [-1, 1], likewise.

        Returns:
            The mean of every term of the objective over the batch, unweighted; and the gradients of
            both networks' objectives.
        """
        terms, gradients, fake_y = self._generator_part(real_x)
        (fake_y,) = self.from_pools([self.pool_y], [fake_y])
        part = self._discriminator_part(real_y, fake_y)
        return terms | part[0], gradients | part[1]

    def generator_gradients(self, real_x) -> tuple[dict, dict, tf.Tensor]:
        """Translate the images, and say how the generator should change.

        Returns:
            Terms and gradients as `losses_and_gradients`, and fake_y.
        """
        adversarial_loss = losses.ADVERSARIAL_LOSSES[self.config.adversarial_loss]
        with tf.GradientTape() as tape:
            fake_y = self._g(real_x, training=True)
            judged = self.discriminator_y(self.seen(fake_y), training=True)
            terms = {
                "generator_g": losses.generator_adversarial(adversarial_loss, judged),
                "distance_x": self.distance(real_x, fake_y),
            }
            terms = {name: self.batch_mean(term) for name, term in terms.items()}
            loss = terms["generator_g"] + self.config.lambda_distance * terms["distance_x"]
            loss = self.generators.scaled(loss)
        return terms, self.generators.gradients(tape, loss), fake_y

    def discriminator_gradients(self, real_y, fake_y) -> tuple[dict, dict]:
        """Say how the discriminator should change to tell real images from generated ones."""
        with tf.GradientTape() as tape:
            terms, loss = self.told_apart(discriminator_y=(self.discriminator_y, real_y, fake_y))
            loss = self.discriminators.scaled(loss)
        return terms, self.discriminators.gradients(tape, loss)

    def samples(self, real_x, real_y) -> dict[str, tf.Tensor]:
        """Images of X, what becomes of them, and images of Y that they should look like."""
        fake_y = self.translators["x_to_y"](real_x, training=False)
        return {"x": real_x, "G(x)": fake_y, "y": real_y}
