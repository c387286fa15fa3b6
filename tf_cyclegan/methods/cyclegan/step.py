"""CycleGAN: four networks, four optimizers, one objective, one training step.

Zhu, Park, Isola, Efros 2017, https://arxiv.org/abs/1703.10593. Images are `[N, H, W, 3]` in [-1, 1].
"""

import keras
import tensorflow as tf

from ... import losses
from ...errors import UserError
from ...models import patchgan_discriminator, resnet_generator, unet_generator
from ...models.layers import seed_stream
from ...optimization.adam import FusedAdam
from ...optimization.image_pool import RNG, ImagePool
from ...optimization.loss_scale import LossScale, NoLossScale
from ...optimization.precision import computing_in
from ...optimization.remat import Rematerialised
from ...optimization.replicas import Replicas
from ...settings import Config

GENERATORS = ("generator_g", "generator_f")
DISCRIMINATORS = ("discriminator_x", "discriminator_y")


def build_generator(config: Config, seed: int) -> keras.Model:
    """Build the generator that `config` names, with the initial weights of `seed`."""
    if config.generator == "tensorflow_examples":
        return _tutorial_networks().unet_generator(3, norm_type="instancenorm")
    kwargs = {
        "filters": config.filters,
        "upsampling": config.upsampling,
        "affine": config.norm_affine,
        "seed": seed,
    }
    if config.generator == "unet":
        return unet_generator(levels=config.levels, **kwargs)
    return resnet_generator(blocks=int(config.generator.removeprefix("resnet")), **kwargs)


def build_discriminator(config: Config, seed: int) -> keras.Model:
    """Build the PatchGAN of `config`, with the initial weights of `seed`."""
    if config.generator == "tensorflow_examples":
        return _tutorial_networks().discriminator(norm_type="instancenorm", target=False)
    return patchgan_discriminator(
        filters=config.discriminator_filters,
        affine=config.norm_affine,
        leaky_slope=config.leaky_slope,
        seed=seed,
    )


class CycleGAN:
    """Two translators, G: X -> Y and F: Y -> X, learnt without pairs.

    Args:
        config: Networks, objective and optimizers.
        total_steps: Length of the run; the learning rate reaches zero at its end if it decays.
        replicas: Those that do a step together, each on its share of the batch.

    Attributes:
        generator_g, generator_f, discriminator_x, discriminator_y: Keras models.
        step: int64 variable, the number of training steps done.
        checkpoint_items: All that a step reads, under the tutorial's names.
    """

    def __init__(self, config: Config, total_steps: int, replicas: Replicas | None = None):
        self.config = config
        self.replicas = replicas or Replicas()
        seeds = seed_stream(config.seed)
        with computing_in(config.precision) as networks:
            self.generator_g = networks(build_generator(config, next(seeds)))
            self.generator_f = networks(build_generator(config, next(seeds)))
            self.discriminator_x = networks(build_discriminator(config, next(seeds)))
            self.discriminator_y = networks(build_discriminator(config, next(seeds)))
        remat = Rematerialised if config.remat else lambda network: network
        self._g, self._f = remat(self.generator_g), remat(self.generator_f)
        self.step = tf.Variable(
            0,
            dtype=tf.int64,
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            name="step",
        )
        self.checkpoint_items = {"step": self.step}

        self._optimizers = {}
        for name in (*GENERATORS, *DISCRIMINATORS):
            network = getattr(self, name)
            rate = config.learning_rate
            if config.decay_start < 1:  # else a variable, as in checkpoints of the tutorial
                rate = LinearDecay(rate, config.decay_start, total_steps)
            optimizer = FusedAdam(rate, beta_1=config.beta_1)
            optimizer.build(network.trainable_variables)
            self._optimizers[name] = optimizer
            self.checkpoint_items |= {name: network, f"{name}_optimizer": optimizer}
            # The states of dropout layers are variables that Keras leaves out of checkpoints.
            weights = {id(weight) for weight in network.weights}
            states = [v.value for v in network.variables if id(v) not in weights]
            self.checkpoint_items[f"{name}_random_states"] = states

        self._loss_scales = {GENERATORS: NoLossScale(), DISCRIMINATORS: NoLossScale()}
        if config.precision == "mixed_float16":
            self._loss_scales = {GENERATORS: LossScale(), DISCRIMINATORS: LossScale()}
            for (name, _), scale in self._loss_scales.items():
                self.checkpoint_items[f"{name[:-2]}_loss_scale"] = scale

        self._generator_part = self.replicas.local(self.generator_gradients)
        self._discriminator_part = self.replicas.local(self.discriminator_gradients)
        self.pool_x = self.pool_y = None
        if config.pool_size:
            shape = (*config.image_shape, 3)
            dtype = keras.config.floatx()
            self.pool_x = ImagePool(config.pool_size, shape, dtype)
            self.pool_y = ImagePool(config.pool_size, shape, dtype)
            self.checkpoint_items |= {"pool_x": self.pool_x, "pool_y": self.pool_y}

    def train_step(self, real_x, real_y) -> dict[str, tf.Tensor]:
        """Do one step of the paper's training (section 4) on a batch of each domain.

        The generators are judged, and the discriminators taught, by networks of before the step, so
        the order of the four updates does not matter: this is the authors' step and the tutorial's.

        Args:
            real_x: `[N, H, W, 3]` in [-1, 1]; on several replicas, this one's share of the batch.
            real_y: `[N, H, W, 3]` in [-1, 1], likewise.

        Returns:
            The mean of every term of the objective over the batch, unweighted, as scalars.
        """
        terms, gradients = self.replicas.sum(self.losses_and_gradients(real_x, real_y))
        for names, loss_scale in self._loss_scales.items():
            if gradients.keys() >= set(names):
                scaled = {name: gradients[name] for name in names}
                unscaled, usable = loss_scale.unscaled(scaled)
                self.replicas.update(
                    [
                        (self._optimizers[name], gradient, getattr(self, name).trainable_variables)
                        for name, gradient in unscaled.items()
                    ],
                    usable,
                )
        self.step.assign_add(1)
        return terms

    def losses_and_gradients(self, real_x, real_y) -> tuple[dict, dict]:
        """Do all of a step but its updates of the networks; the pools take the images in.

        Returns:
            The terms that `train_step` returns, and for the name of every network the gradients of
            its objective, in the order of its `trainable_variables`. Without an adversarial loss the
            discriminators have none. On several replicas both are shares of the sums over all, and
            with loss scaling the gradients are of the scaled loss.
        """
        terms, gradients, fake_x, fake_y = self._generator_part(real_x, real_y)
        if self.config.lambda_adversarial:
            fake_x, fake_y = self._from_pools(fake_x, fake_y)
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
                    adversarial_loss, self.discriminator_y(fake_y, training=True)
                )
                terms["generator_f"] = losses.generator_adversarial(
                    adversarial_loss, self.discriminator_x(fake_x, training=True)
                )
                weights["generator_g"] = weights["generator_f"] = config.lambda_adversarial
            if config.lambda_cycle and config.cycle_terms != "backward":
                cycled_x = self._f(fake_y, training=True)
                terms["cycle_x"] = losses.l1(real_x, cycled_x)
                weights["cycle_x"] = config.lambda_cycle
            if config.lambda_cycle and config.cycle_terms != "forward":
                cycled_y = self._g(fake_x, training=True)
                terms["cycle_y"] = losses.l1(real_y, cycled_y)
                weights["cycle_y"] = config.lambda_cycle
            if lambda_identity:
                terms["identity_x"] = losses.l1(real_x, same_x)
                terms["identity_y"] = losses.l1(real_y, same_y)
                weights["identity_x"] = weights["identity_y"] = lambda_identity

            terms = {name: self._batch_mean(term) for name, term in terms.items()}
            loss = tf.add_n([weights[name] * terms[name] for name in terms])
            loss = self._loss_scales[GENERATORS].scaled(loss)

        gradients = self._gradients(tape, loss, GENERATORS)
        return terms, gradients, fake_x, fake_y

    def discriminator_gradients(self, real_x, real_y, fake_x, fake_y) -> tuple[dict, dict]:
        """Say how the discriminators should change to tell real images from generated ones."""
        adversarial_loss = losses.ADVERSARIAL_LOSSES[self.config.adversarial_loss]
        terms = {}
        with tf.GradientTape() as tape:
            for name, network, real, fake in (
                ("discriminator_x", self.discriminator_x, real_x, fake_x),
                ("discriminator_y", self.discriminator_y, real_y, fake_y),
            ):
                term = losses.discriminator_adversarial(
                    adversarial_loss,
                    *tf.split(network(tf.concat([real, fake], 0), training=True), 2),
                )
                terms[name] = self._batch_mean(term)
            loss = terms["discriminator_x"] + terms["discriminator_y"]
            loss = self._loss_scales[DISCRIMINATORS].scaled(loss)

        return terms, self._gradients(tape, loss, DISCRIMINATORS)

    def _batch_mean(self, term):
        """A share of the mean over the batch: the shares of all replicas add up to it."""
        return tf.reduce_mean(term) / self.replicas.count

    def _gradients(self, tape, loss, names):
        variables = {name: getattr(self, name).trainable_variables for name in names}
        return tape.gradient(loss, variables)

    def _from_pools(self, fake_x, fake_y):
        """Exchange fresh images, those of all replicas, for what the discriminators should see."""
        if self.pool_x is None:
            return fake_x, fake_y
        fake_x, fake_y = self.replicas.gather([fake_x, fake_y])
        seed = tf.random.fold_in([self.config.seed, 0], self.step, RNG)
        seeds = tf.random.split(seed, 2, RNG)
        return self.replicas.share(
            [self.pool_x.query(fake_x, seeds[0]), self.pool_y.query(fake_y, seeds[1])]
        )

    def translate(self, real_x, real_y) -> dict[str, tf.Tensor]:
        """Translate a batch of each domain there and back: what sample pictures show."""
        fake_y = self.generator_g(real_x, training=False)
        fake_x = self.generator_f(real_y, training=False)
        return {
            "fake_y": fake_y,
            "cycled_x": self.generator_f(fake_y, training=False),
            "fake_x": fake_x,
            "cycled_y": self.generator_g(fake_x, training=False),
        }


@keras.saving.register_keras_serializable("tf_cyclegan")
class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A constant rate that falls linearly to zero over the last part of the run (section 7.1).

    Args:
        rate: The rate of the first part.
        decay_start: Share of `total_steps` from which it falls; 1 keeps it constant.
        total_steps: The step at which it would reach zero.
    """

    def __init__(self, rate, decay_start, total_steps):
        self.rate = rate
        self.decay_start = decay_start
        self.total_steps = total_steps

    def __call__(self, step):
        if self.decay_start >= 1:
            return keras.ops.convert_to_tensor(self.rate, keras.config.floatx())
        step = keras.ops.cast(step, keras.config.floatx())
        remaining = (self.total_steps - step) / (self.total_steps * (1.0 - self.decay_start))
        return self.rate * keras.ops.clip(remaining, 0.0, 1.0)

    def get_config(self):
        return {
            "rate": self.rate,
            "decay_start": self.decay_start,
            "total_steps": self.total_steps,
        }


def _tutorial_networks():
    """The module that the TensorFlow tutorial takes its networks from."""
    try:
        from tensorflow_examples.models.pix2pix import pix2pix
    except ImportError as error:
        raise UserError(
            "--generator tensorflow_examples needs that package, which is on no package index: "
            "pip install git+https://github.com/tensorflow/examples.git"
        ) from error
    return pix2pix
