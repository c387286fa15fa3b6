"""BiGAN, alias ALI: two translators, and one discriminator that tells their pairs apart.

Donahue, Krähenbühl, Darrell 2017, https://arxiv.org/abs/1605.09782; Dumoulin et al. 2017,
https://arxiv.org/abs/1606.00704. Made to infer what an image was generated from; here, as the paper of
CycleGAN compared it (section 5.1), from one domain of images to another. Images are `[N, H, W, 3]` in
[-1, 1], pairs `[N, H, W, 6]` in colour, the image of X first.
"""

import tensorflow as tf

from ... import losses
from ...models.layers import seed_stream
from ...optimization.replicas import Replicas
from ..adversarial import AdversarialMethod, build_discriminator, build_generator
from .settings import Config


class BiGAN(AdversarialMethod):
    """Two translators, G: X -> Y and the encoder E: Y -> X.

    Once nobody can tell pairs (x, G(x)) from pairs (E(y), y), G and E undo each other.

    Args:
        config, total_steps, replicas: As for `AdversarialMethod`.

    Attributes:
        generator_g, generator_f, discriminator: Keras models; generator_f is E.
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
            generator_f=lambda: build_generator(config, next(seeds), config.channels[::-1]),
        )
        self.discriminators = self.group(
            "discriminator",
            discriminator=lambda: build_discriminator(config, next(seeds), sum(config.channels)),
        )
        self.generator_g, self.generator_f = self.generators.networks.values()
        self.discriminator = self.discriminators.networks["discriminator"]
        g, e = self.averaged(self.generators.networks).values()
        self.translators = {"x_to_y": g, "y_to_x": e}

        self._g, self._e = map(self.rematerialised, (self.generator_g, self.generator_f))
        self._generator_part = self.replicas.local(self.generator_gradients)
        self._discriminator_part = self.replicas.local(self.discriminator_gradients)
        self.pool_g, self.pool_e = (
            self.image_pool(f"pool_{of}", sum(config.channels)) for of in "ge"
        )

    def losses_and_gradients(self, real_x, real_y) -> tuple[dict, dict]:
        """All of a step but the updates; each network is judged by the others of before it.

        Args:
            real_x: `[N, H, W, 3]` in [-1, 1]; on several replicas, this one's share of the batch.
            real_y: `[N, H, W, 3]` in [-1, 1], likewise.

        Returns:
            The mean of every term of the objective over the batch; and the gradients of every
            network's objective.
        """
        terms, gradients, *pairs = self._generator_part(real_x, real_y)
        pairs = self.from_pools([self.pool_g, self.pool_e], pairs)
        part = self._discriminator_part(*pairs)
        return terms | part[0], gradients | part[1]

    def generator_gradients(self, real_x, real_y) -> tuple[dict, dict, tf.Tensor, tf.Tensor]:
        """Translate the images, and say how the translators should change.

        Returns:
            Terms and gradients as `losses_and_gradients`, the pairs (x, G(x)) and (E(y), y).
        """
        adversarial_loss = losses.ADVERSARIAL_LOSSES[self.config.adversarial_loss]
        with tf.GradientTape() as tape:
            pairs_g = tf.concat([real_x, self._g(real_x, training=True)], -1)
            pairs_e = tf.concat([self._e(real_y, training=True), real_y], -1)
            # The discriminator gives (x, G(x)) 1 and (E(y), y) 0; each wants to be taken for the other.
            judged_g, judged_e = (
                self.discriminator(self.seen(pairs), training=True) for pairs in (pairs_g, pairs_e)
            )
            terms = {
                "generator_g": losses.generator_adversarial(adversarial_loss, judged_g, 0.0),
                "generator_f": losses.generator_adversarial(adversarial_loss, judged_e, 1.0),
            }
            terms = {name: self.batch_mean(term) for name, term in terms.items()}
            loss = self.generators.scaled(terms["generator_g"] + terms["generator_f"])
        return terms, self.generators.gradients(tape, loss), pairs_g, pairs_e

    def discriminator_gradients(self, pairs_g, pairs_e) -> tuple[dict, dict]:
        """Say how the discriminator should change to tell the pairs of G from those of E."""
        with tf.GradientTape() as tape:
            terms, loss = self.told_apart(discriminator=(self.discriminator, pairs_g, pairs_e))
            loss = self.discriminators.scaled(loss)
        return terms, self.discriminators.gradients(tape, loss)

    def samples(self, real_x, real_y) -> dict[str, tf.Tensor]:
        """Both domains, translated: a heading and images `[N, H, W, 3]` in [-1, 1] a column."""
        return {
            "x": real_x,
            "G(x)": self.translators["x_to_y"](real_x, training=False),
            "y": real_y,
            "E(y)": self.translators["y_to_x"](real_y, training=False),
        }
