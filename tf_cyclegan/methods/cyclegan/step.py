"""CycleGAN: four networks, four optimizers, one objective, one training step.

Zhu, Park, Isola, Efros 2017, https://arxiv.org/abs/1703.10593. Images are `[N, H, W, 3]` in [-1, 1].
"""

from collections.abc import Mapping

import keras
import tensorflow as tf

from ... import losses
from ...models.layers import seed_stream
from ...optimization.draws import normal_draws
from ...optimization.replicas import Replicas
from ..adversarial import AdversarialMethod, build_discriminator, build_generator
from ..feature_loss.features import load_features
from .settings import Config


class CycleGAN(AdversarialMethod):
    """Two translators, G: X -> Y and F: Y -> X, learnt without pairs.

    Args:
        config: Networks, objective and optimizers.
        total_steps: Length of the run; the learning rate reaches zero at its end if it decays. None:
            to translate alone, without optimizers.
        replicas: Those that do a step together, each on its share of the batch.
        networks: Keras models by their names, to take in place of those that `config` describes.

    Attributes:
        generator_g, generator_f, discriminator_x, discriminator_y: Keras models.
        step: int64 variable, the number of training steps done.
        checkpoint_items: All that a step reads, under the tutorial's names.
    """

    def __init__(
        self,
        config: Config,
        total_steps: int | None = None,
        replicas: Replicas | None = None,
        networks: Mapping[str, keras.Model] | None = None,
    ):
        super().__init__(config, total_steps, replicas, networks)
        seeds, channels = seed_stream(config.seed), config.channels
        self.generators = self.group(
            "generator",
            generator_g=lambda: build_generator(config, next(seeds), channels),
            generator_f=lambda: build_generator(config, next(seeds), channels[::-1]),
        )
        self.discriminators = self.group(
            "discriminator",
            discriminator_x=lambda: build_discriminator(config, next(seeds), channels[0]),
            discriminator_y=lambda: build_discriminator(config, next(seeds), channels[1]),
        )
        self.generator_g, self.generator_f = self.generators.networks.values()
        self.discriminator_x, self.discriminator_y = self.discriminators.networks.values()
        g, f = self.averaged(self.generators.networks).values()
        self.translators = {"x_to_y": g, "y_to_x": f}

        self.features = None
        if config.perceptual and total_steps is not None:
            self.features = load_features(
                config.perceptual, config.perceptual_layer, config.perceptual_size
            )
            # So that a run goes on with the features that it began with.
            self.checkpoint_items["features"] = self.features.network
        if config.lambda_adversarial:
            self.judges = {"x": self.discriminator_x, "y": self.discriminator_y}

        self._g, self._f = map(self.rematerialised, (self.generator_g, self.generator_f))
        self._generator_part = self.replicas.local(self.generator_gradients)
        self._discriminator_part = self.replicas.local(self.discriminator_gradients)
        self.pool_x, self.pool_y = (
            self.image_pool(f"pool_{of}", number) for of, number in zip("xy", channels, strict=True)
        )

    def losses_and_gradients(self, real_x, real_y) -> tuple[dict, dict]:
        """The paper's training (section 4), but for the updates; the pools take the images in.

        The generators are judged, and the discriminators taught, by networks of before the step, so
        the order of the four updates does not matter: this is the authors' step and the tutorial's.

        Args:
            real_x: `[N, H, W, 3]` in [-1, 1]; on several replicas, this one's share of the batch.
            real_y: `[N, H, W, 3]` in [-1, 1], likewise.

        Returns:
            The mean of every term of the objective over the batch, unweighted; and the gradients of
            every network's objective. Without an adversarial loss the discriminators have none.
        """
        terms, gradients, fake_x, fake_y = self._generator_part(real_x, real_y)
        if self.config.lambda_adversarial:
            fake_x, fake_y = self.from_pools([self.pool_x, self.pool_y], [fake_x, fake_y])
            part = self._discriminator_part(real_x, real_y, fake_x, fake_y)
            terms, gradients = terms | part[0], gradients | part[1]
        return terms, gradients

    def generator_gradients(self, real_x, real_y) -> tuple[dict, dict, tf.Tensor, tf.Tensor]:
        """Translate the images, and say how the generators should change.

        Returns:
            Terms and gradients as `losses_and_gradients`, fake_x and fake_y.
        """
        config = self.config
        adversarial_loss = losses.ADVERSARIAL_LOSSES[config.adversarial_loss]
        lambda_identity = config.lambda_identity * config.lambda_cycle
        terms, weights = {}, {}

        # One backward pass for both generators: a term that a generator has no part in has no
        # gradient there, so the sum of all terms gives each what its own total would.
        with tf.GradientTape() as tape:
            if lambda_identity:
                reals = tf.concat([real_x, real_y], 0), tf.concat([real_y, real_x], 0)
                fake_y, same_y = tf.split(self._g(reals[0], training=True), 2)
                fake_x, same_x = tf.split(self._f(reals[1], training=True), 2)
            else:
                fake_y = self._g(real_x, training=True)
                fake_x = self._f(real_y, training=True)

            if config.lambda_adversarial:
                terms["generator_g"] = losses.generator_adversarial(
                    adversarial_loss, self.discriminator_y(self.seen(fake_y), training=True)
                )
                terms["generator_f"] = losses.generator_adversarial(
                    adversarial_loss, self.discriminator_x(self.seen(fake_x), training=True)
                )
                weights["generator_g"] = weights["generator_f"] = (
                    config.lambda_adversarial * self.is_past_copying()
                )
            if config.copy_steps:
                terms["copy_x"] = losses.l1(real_x, fake_y)
                terms["copy_y"] = losses.l1(real_y, fake_x)
                weights["copy_x"] = weights["copy_y"] = config.lambda_cycle * (
                    1.0 - self.is_past_copying()
                )
            if config.lambda_cycle and config.cycle_terms != "backward":
                cycled_x = self._f(self.noisy(fake_y, 4), training=True)
                terms["cycle_x"] = losses.l1(real_x, cycled_x)
                weights["cycle_x"] = config.lambda_cycle
            if config.lambda_cycle and config.cycle_terms != "forward":
                cycled_y = self._g(self.noisy(fake_x, 5), training=True)
                terms["cycle_y"] = losses.l1(real_y, cycled_y)
                weights["cycle_y"] = config.lambda_cycle
            if lambda_identity:
                terms["identity_x"] = losses.l1(real_x, same_x)
                terms["identity_y"] = losses.l1(real_y, same_y)
                weights["identity_x"] = weights["identity_y"] = lambda_identity
            if self.features:
                pairs = {}
                if "cycle_x" in terms:
                    pairs["cycle_x"] = real_x, cycled_x
                if "cycle_y" in terms:
                    pairs["cycle_y"] = real_y, cycled_y
                if lambda_identity:
                    pairs |= {"identity_x": (real_x, same_x), "identity_y": (real_y, same_y)}
                for name, images in pairs.items():
                    terms[f"perceptual_{name}"] = losses.l1(*map(self.features, images))
                    weights[f"perceptual_{name}"] = config.lambda_perceptual * weights[name]

            terms = {name: self.batch_mean(term) for name, term in terms.items()}
            loss = tf.add_n([weights[name] * terms[name] for name in terms])
            loss = self.generators.scaled(loss)

        return terms, self.generators.gradients(tape, loss), fake_x, fake_y

    def is_past_copying(self):
        """0 in the first `copy_steps` steps, in which nothing is to look otherwise, and 1 after them.

        A cycle is as true with two colours exchanged as without. Generators that begin as copies come
        to the nearest of what looks right (CartoonGAN's initialization phase: Chen, Lai, Liu 2018).
        """
        if not self.config.copy_steps:
            return 1.0
        return tf.cast(self.step >= self.config.copy_steps, keras.config.floatx())

    def noisy(self, translated, purpose: int):
        """What the way back sees of translations: with `cycle_noise`, a little less than there is.

        A generator can hide in faint patterns what its translation should not show, so that the other
        finds the way back to it; noise drowns them (Bashkirova, Usman, Saenko 2019, "Adversarial
        self-defense for cycle-consistent GANs"). It follows from the seed, the step and the place in
        the whole batch.

        Args:
            translated: `[N, H, W, C]` in [-1, 1], this replica's share of the batch.
            purpose: 4 for images of Y, 5 for those of X; see `seed_of`.
        """
        if not self.config.cycle_noise:
            return translated
        batch, *shape = translated.shape
        whole = [batch * self.replicas.count, *shape]
        noise = normal_draws(whole, self.seed_of(purpose), keras.config.floatx())
        (own,) = self.replicas.share([noise])
        return translated + tf.cast(self.config.cycle_noise * own, translated.dtype)

    def discriminator_gradients(self, real_x, real_y, fake_x, fake_y) -> tuple[dict, dict]:
        """Say how the discriminators should change to tell real images from generated ones."""
        with tf.GradientTape() as tape:
            terms, loss = self.told_apart(
                discriminator_x=(self.discriminator_x, real_x, fake_x),
                discriminator_y=(self.discriminator_y, real_y, fake_y),
            )
            loss = self.discriminators.scaled(self.is_past_copying() * loss)

        return terms, self.discriminators.gradients(tape, loss)

    def samples(self, real_x, real_y) -> dict[str, tf.Tensor]:
        """Both domains there and back: a heading and images `[N, H, W, 3]` in [-1, 1] a column."""
        g, f = self.translators["x_to_y"], self.translators["y_to_x"]
        fake_y, fake_x = g(real_x, training=False), f(real_y, training=False)
        return {
            "x": real_x,
            "G(x)": fake_y,
            "F(G(x))": f(fake_y, training=False),
            "y": real_y,
            "F(y)": fake_x,
            "G(F(y))": g(fake_x, training=False),
        }
