"""What discriminators see, what they pay, and how sure of themselves they are."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import keras
import tensorflow as tf

from .. import losses
from ..optimization.augmentation import DRAWS, augmented
from ..optimization.draws import uniform_draws
from ..optimization.image_pool import RNG
from ..optimization.penalties import between, gradient_penalty
from ..optimization.replicas import Replicas
from ..settings import RunSettings
from .network_settings import NetworkSettings


class Discrimination:
    """The discriminators' side of a step, the same in all methods whose settings are `NetworkSettings`.

    Attributes:
        judges: By "x" and "y", the discriminators of single images of a domain, where there are such.
    """

    config: Any
    replicas: Replicas
    step: tf.Variable
    _total_steps: int | None
    judges: Mapping[str, keras.Model] = MappingProxyType({})

    def discriminate(self, config: RunSettings) -> dict[str, tf.Variable]:
        """Make what is needed for it; return what of that belongs into checkpoints."""
        if not isinstance(config, NetworkSettings) or not config.augment:
            return {}
        # Replicas change their copies alike, so that nothing need be sent.
        self._augment_probability = tf.Variable(
            config.augment_probability,
            dtype=keras.config.floatx(),
            trainable=False,
            aggregation=tf.VariableAggregation.NONE,
        )
        is_adapted = config.augment_target is not None
        return {"augment_probability": self._augment_probability} if is_adapted else {}

    def batch_mean(self, term):
        """A share of the mean over the batch: the shares of all replicas add up to it."""
        return tf.reduce_mean(term) / self.replicas.count

    def seed_of(self, purpose: int) -> tf.Tensor:
        """The seed of what is random in this step: two int32, others for every purpose and step.

        Args:
            purpose: 0 for image pools, 1 for a method's own, 2 for augmentation, 3 for penalties, 4 and
                5 for noise.
        """
        return tf.random.fold_in([self.config.seed, purpose], self.step, RNG)

    def draws(self, purpose: int, policies: int, count: int) -> tf.Tensor:
        """This step's numbers in [0, 1) for `count` images here: `[policies, DRAWS, count]`.

        They follow from the seed, the step and the place of an image in the whole batch.

        Args:
            purpose: See `seed_of`.
            policies: How many sets of numbers.
            count: Images of this replica.
        """
        shape = [policies, DRAWS, count * self.replicas.count]
        whole = uniform_draws(shape, self.seed_of(purpose), keras.config.floatx())
        (own,) = self.replicas.share([tf.transpose(whole, [2, 0, 1])])
        return tf.transpose(own, [1, 2, 0])

    def seen(self, images):
        """What discriminators see of images, real or generated: all that they judge passes here.

        Args:
            images: `[N, H, W, C]` in [-1, 1], this replica's share of the batch.

        Returns:
            The same, or with `augment` what that makes of them; in a step the same for all images of
            a place in the batch.
        """
        policies = self.config.augment_policies
        if not policies:
            return images
        draws = self.draws(2, len(policies), images.shape[0])
        return augmented(images, policies, draws, self._augment_probability)

    def told_apart(self, **judged: tuple) -> tuple[dict, tf.Tensor]:
        """What discriminators pay for their mistakes about real and generated images.

        Args:
            **judged: By the name of what each pays, "discriminator_x": a network from images to
                logits, `[N, H, W, C]` that it should give 1, and `[N, H, W, C]` that it should give 0.

        Returns:
            This replica's shares of means over the batch, to be logged: what each pays by its name,
            and its "penalty_x" and "called_real_x" where the settings ask for them. And their sum, as
            the settings weigh it.
        """
        config = self.config
        adversarial_loss = losses.ADVERSARIAL_LOSSES[config.adversarial_loss]
        terms, weighted = {}, []
        for name, (network, real, fake) in judged.items():
            images = tf.concat([self.seen(real), self.seen(fake)], 0)
            logits = tf.split(network(images, training=True), 2)
            pays = losses.discriminator_adversarial(adversarial_loss, *logits)
            terms[name] = self.batch_mean(pays)
            weighted.append(terms[name])
            if config.penalty != "none":
                penalty = self.penalty(network, real, fake)
                terms[name.replace("discriminator", "penalty")] = penalty
                weighted.append(config.penalty_weight * penalty)
            if config.augment_target is not None:
                called_real = tf.cast(logits[0] > adversarial_loss.boundary, logits[0].dtype)
                called_real = self.batch_mean(called_real)
                terms[name.replace("discriminator", "called_real")] = called_real
        return terms, tf.add_n(weighted)

    def called_real(self, images: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """What share of images, as they are, the `judges` call real.

        Args:
            images: `[N, H, W, 3]` in [-1, 1] by names that end in their domain, "train_x".

        Returns:
            Scalars by the same names.
        """
        boundary = losses.ADVERSARIAL_LOSSES[self.config.adversarial_loss].boundary
        logits = {name: self.judges[name[-1]](images[name], training=False) for name in images}
        return {
            name: tf.reduce_mean(tf.cast(logits[name] > boundary, logits[name].dtype))
            for name in images
        }

    def penalty(self, network: keras.Model, real, fake) -> tf.Tensor:
        """What a discriminator pays for its slope: a share of the mean, or 0 at steps that are free."""
        config = self.config

        def judge(images):
            return network(self.seen(images), training=True)

        def penalty():
            if config.penalty == "r1":
                return 0.5 * self.batch_mean(gradient_penalty(judge, real, 0.0))
            mixed = between(real, fake, self.draws(3, 1, real.shape[0])[0, 0])
            centre = 1.0 if config.penalty == "wgan-gp" else 0.0
            return self.batch_mean(gradient_penalty(judge, mixed, centre))

        every, free = config.penalty_every, round(config.penalty_start * self._total_steps)
        if every == 1 and not free:
            return penalty()
        nothing = tf.zeros([], real.dtype)
        # The last of so many steps pays, so that a log of every tenth step has the penalty of every
        # second, fifth or tenth.
        is_due = (self.step >= free) & ((self.step + 1) % every == 0)
        return tf.cond(is_due, lambda: every * penalty(), lambda: nothing)

    def adapt_augmentation(self, terms: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One step of the probability towards the target (Karras et al. 2020, section 3.1).

        They want a mean of 0.6 of the signs of logits, which is a share of 0.8 called real.

        Args:
            terms: Those of a step, of the whole batch; where none is a share, nothing is done.

        Returns:
            The probability, to be logged, or nothing.
        """
        shares = [value for name, value in terms.items() if name.startswith("called_real")]
        if not shares:
            return {}
        config, probability = self.config, self._augment_probability
        wanted = tf.sign(tf.add_n(shares) / len(shares) - config.augment_target)
        change = wanted * config.batch_size / config.augment_images
        probability.assign(tf.clip_by_value(probability + change, 0.0, 1.0))
        return {"augment_probability": tf.identity(probability)}
