"""pix2pix: a generator and a discriminator that sees what the generator was given.

Isola, Zhu, Zhou, Efros 2017, https://arxiv.org/abs/1611.07004. Images are `[N, H, W, 3]` in [-1, 1];
`real_x[i]` and `real_y[i]` are a pair.
"""

from collections.abc import Mapping

import keras
import tensorflow as tf

from ... import losses
from ...models import pix2pix_unet_generator
from ...models.layers import seed_stream
from ...optimization.replicas import Replicas
from ..adversarial import AdversarialMethod, build_discriminator, build_generator
from ..dropping import DroppingTranslator
from .settings import Config


class Pix2Pix(AdversarialMethod):
    """A translator G: X -> Y, learnt from pairs.

    The published batches hold one image, whose batch norms are norms of that image. Here they are so
    at every size of the batch: a picture is translated as it was trained, alone.

    Args:
        config: Networks, objective and optimizers.
        total_steps: Length of the run; the learning rate reaches zero at its end if it decays. None:
            to translate alone, without optimizers.
        replicas: Those that do a step together, each on its share of the batch.
        networks: Keras models by their names, to take in place of those that `config` describes.

    Attributes:
        generator_g, discriminator: Keras models.
        step: int64 variable, the number of training steps done.
        checkpoint_items: All that a step reads.
    """

    def __init__(
        self,
        config: Config,
        total_steps: int | None = None,
        replicas: Replicas | None = None,
        networks: Mapping[str, keras.Model] | None = None,
    ):
        super().__init__(config, total_steps, replicas, networks)
        seeds = seed_stream(config.seed)
        norm = "keras batch of 1" if config.layers == "tutorial" else "instance"
        self.generators = self.group(
            "generator", generator_g=lambda: _generator(config, next(seeds), norm)
        )
        self.discriminators = self.group(
            "discriminator",
            discriminator=lambda: build_discriminator(
                config, next(seeds), sum(config.channels), norm
            ),
        )
        self.generator_g = self.generators.networks["generator_g"]
        self.discriminator = self.discriminators.networks["discriminator"]
        translator = self.averaged(self.generators.networks)["generator_g"]
        self.translators = {
            "x_to_y": DroppingTranslator(translator) if config.dropout else translator
        }

        self._g = self.rematerialised(self.generator_g)
        self._generator_part = self.replicas.local(self.generator_gradients)
        self._discriminator_part = self.replicas.local(self.discriminator_gradients)

    def losses_and_gradients(self, real_x, real_y) -> tuple[dict, dict]:
        """The paper's training (section 3), but for the updates; both networks are of before the step.

        Args:
            real_x: `[N, H, W, 3]` in [-1, 1]; on several replicas, this one's share of the batch.
            real_y: `[N, H, W, 3]` in [-1, 1], likewise; the partners of `real_x`.

        Returns:
            The mean of every term of the objective over the batch, unweighted; and the gradients of
            every network's objective. Without an adversarial loss the discriminator has none.
        """
        terms, gradients, fake_y = self._generator_part(real_x, real_y)
        if self.config.lambda_adversarial:
            part = self._discriminator_part(real_x, real_y, fake_y)
            terms, gradients = terms | part[0], gradients | part[1]
        return terms, gradients

    def generator_gradients(self, real_x, real_y) -> tuple[dict, dict, tf.Tensor]:
        """Translate the images, and say how the generator should change.

        Returns:
            Terms and gradients as `losses_and_gradients`, and fake_y.
        """
        config = self.config
        terms, weights = {}, {}
        with tf.GradientTape() as tape:
            fake_y = self._g(real_x, training=True)
            if config.lambda_adversarial:
                adversarial_loss = losses.ADVERSARIAL_LOSSES[config.adversarial_loss]
                pairs = self.seen(tf.concat([real_x, fake_y], -1))
                logits = self.discriminator(pairs, training=True)
                terms["generator_g"] = losses.generator_adversarial(adversarial_loss, logits)
                weights["generator_g"] = config.lambda_adversarial
            if config.lambda_l1:
                terms["l1"] = losses.l1(real_y, fake_y)
                weights["l1"] = config.lambda_l1
            terms = {name: self.batch_mean(term) for name, term in terms.items()}
            loss = tf.add_n([weights[name] * terms[name] for name in terms])
            loss = self.generators.scaled(loss)
        return terms, self.generators.gradients(tape, loss), fake_y

    def discriminator_gradients(self, real_x, real_y, fake_y) -> tuple[dict, dict]:
        """Say how the discriminator should change to tell (x, y) from (x, G(x))."""
        pairs = [tf.concat([real_x, y], -1) for y in (real_y, fake_y)]
        with tf.GradientTape() as tape:
            terms, loss = self.told_apart(discriminator=(self.discriminator, *pairs))
            if not self.config.halve_discriminator:
                terms["discriminator"] *= 2.0
                loss *= 2.0
            loss = self.discriminators.scaled(loss)
        return terms, self.discriminators.gradients(tape, loss)

    def samples(self, real_x, real_y) -> dict[str, tf.Tensor]:
        """Pairs and the translation: a heading and images `[N, H, W, 3]` in [-1, 1] a column."""
        return {"x": real_x, "G(x)": self.translators["x_to_y"](real_x), "y": real_y}


def _generator(config: Config, seed: int, norm: str) -> keras.Model:
    if config.generator == "unet" and config.layers == "authors":
        return pix2pix_unet_generator(
            filters=config.filters,
            levels=config.levels,
            input_channels=config.channels[0],
            output_channels=config.channels[1],
            norm=norm,
            affine=config.norm_affine,
            seed=seed,
            dropout=config.dropout,
        )
    return build_generator(config, seed, norm=norm)
