"""What all methods here share: networks that are updated together, and a step around their objective.

A method's own file is its objective and little else. It builds its networks in groups, and says in
`losses_and_gradients` how a batch would change them; optimizers, precision, rematerialisation, random
states, loss scales, pools, replicas and what a checkpoint holds are here.
"""

from collections.abc import Callable, Mapping, Sequence

import keras
import tensorflow as tf

from ..errors import UserError
from ..models import in_scales, patchgan_discriminator, resnet_generator, unet_generator
from ..models.layers import SpectralConv2D, spectral_layers
from ..optimization.adam import FusedAdam
from ..optimization.averages import averages_after, copy_of, ema_decay
from ..optimization.image_pool import RNG, ImagePool
from ..optimization.loss_scale import LossScale, NoLossScale
from ..optimization.plateau import Plateau
from ..optimization.precision import computing_in
from ..optimization.remat import Rematerialised
from ..optimization.replicas import Replicas
from ..optimization.schedules import learning_rate
from ..settings import RunSettings
from .discrimination import Discrimination
from .network_settings import NetworkSettings


class NetworkGroup:
    """Networks that one backward pass teaches, each with an Adam of its own.

    Attributes:
        networks: Keras models by name.
        optimizers: By the same names; empty where nothing is trained.
        loss_scale: Of the loss that all of them have a part in.
    """

    def __init__(
        self,
        networks: Mapping[str, keras.Model],
        optimizers: Mapping[str, keras.optimizers.Optimizer],
        loss_scale: LossScale | NoLossScale,
    ):
        self.networks, self.optimizers, self.loss_scale = networks, optimizers, loss_scale

    def scaled(self, loss):
        """The loss to take gradients of, inside the tape."""
        return self.loss_scale.scaled(loss)

    def gradients(self, tape: tf.GradientTape, loss) -> dict[str, list]:
        """The gradients of a scaled loss, by network, in the order of its trainable variables."""
        variables = {name: model.trainable_variables for name, model in self.networks.items()}
        return tape.gradient(loss, variables)

    def updates(self, gradients: Mapping[str, list]) -> tuple[list[tuple], tf.Tensor | None]:
        """What `Replicas.update` takes, made of the gradients of scaled losses."""
        own = {name: gradients[name] for name in self.networks}
        unscaled, usable = self.loss_scale.unscaled(own)
        updates = [
            (self.optimizers[name], gradient, self.networks[name].trainable_variables)
            for name, gradient in unscaled.items()
        ]
        return updates, usable


class AdversarialMethod(Discrimination):
    """Generators and discriminators that learn from each other; subclasses say by which objective.

    A subclass makes its networks with `group`, its pools with `image_pool`, and defines
    `losses_and_gradients`, `samples` and `translators`; see `method.Trainable`.

    Args:
        config: The settings of the method.
        total_steps: Length of the run; the learning rate reaches zero at its end if it decays. None:
            to translate alone, without optimizers.
        replicas: Those that do a step together, each on its share of the batch.
        networks: Keras models by their names, to take in place of those that `config` describes.

    Attributes:
        step: int64 variable, the number of training steps done.
        checkpoint_items: All that a step reads.
    """

    def __init__(
        self,
        config: RunSettings,
        total_steps: int | None,
        replicas: Replicas | None,
        networks: Mapping[str, keras.Model] | None = None,
    ):
        self.config = config
        self._given = dict(networks or {})
        self.replicas = replicas or Replicas()
        self._total_steps = total_steps
        self._groups: list[NetworkGroup] = []
        self._averages: list[tuple[keras.Model, keras.Model]] = []  # of one, and the one
        self.step = tf.Variable(
            0,
            dtype=tf.int64,
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            name="step",
        )
        self.checkpoint_items = {"step": self.step}
        self._spectral: list[SpectralConv2D] = []
        self._plateau: Plateau | None = None
        if total_steps is not None and config.decay == "plateau":
            self._plateau = Plateau(total_steps, config.decay_start)
            self.checkpoint_items["plateau"] = self._plateau.variables
        self.checkpoint_items |= self.discriminate(config)

    def group(
        self,
        name: str,
        adam: Mapping[str, Mapping[str, float]] | None = None,
        /,
        **builders: Callable[[], keras.Model],
    ) -> NetworkGroup:
        """Build networks that are updated together, and put all that this needs into checkpoints.

        Args:
            name: Of the group: its loss scale is "NAME_loss_scale" in a checkpoint, and the setting
                `NAME_learning_rate`, where there is one, its rate.
            adam: By the name of a network, what its Adam has for the settings `learning_rate` and
                `beta_1`.
            **builders: From the names of the networks to what builds each.
        """
        # To translate alone, what was trained in half precision computes in single.
        is_trained = self._total_steps is not None
        with computing_in(self.config.precision if is_trained else "float32") as complete:
            networks = {
                name: self._given[name] if name in self._given else complete(build())
                for name, build in builders.items()
            }
        optimizers = {}
        for network_name, network in networks.items():
            self.checkpoint_items[network_name] = network
            self._spectral += spectral_layers(network)
            if self._total_steps is not None:
                own = (adam or {}).get(network_name, {})
                optimizer = self._optimizer(name, self._total_steps, **own)
                optimizers[network_name] = optimizer
                optimizer.build(network.trainable_variables)
                self.checkpoint_items[f"{network_name}_optimizer"] = optimizer
            # The states of dropout layers are variables that Keras leaves out of checkpoints.
            weights = {id(weight) for weight in network.weights}
            states = [v.value for v in network.variables if id(v) not in weights]
            self.checkpoint_items[f"{network_name}_random_states"] = states
        loss_scale = NoLossScale()
        if self.config.precision == "mixed_float16":
            loss_scale = self.checkpoint_items[f"{name}_loss_scale"] = LossScale()
        self._groups.append(NetworkGroup(networks, optimizers, loss_scale))
        return self._groups[-1]

    def averaged(self, networks: Mapping[str, keras.Model]) -> Mapping[str, keras.Model]:
        """What translates in place of networks: their moving averages, kept from now on.

        Args:
            networks: By name.

        Returns:
            Networks by the same names; where `ema` is 0, the given ones.
        """
        if not self.config.ema:
            return networks
        averages = {name: copy_of(network) for name, network in networks.items()}
        for name, average in averages.items():
            self._averages.append((average, networks[name]))
            self.checkpoint_items[f"{name}_average"] = average
        return averages

    def _update_averages(self):
        config = self.config
        decay = ema_decay(config.ema, config.ema_ramp, config.batch_size, self.step)
        for average, network in self._averages:
            values = averages_after(average.weights, network.weights, decay)
            self.replicas.assign(average.weights, values)

    def _optimizer(self, group: str, total_steps: int, **own: float) -> FusedAdam:
        config = self.config
        rate = getattr(config, f"{group}_learning_rate", None) or config.learning_rate
        rate = own.get("learning_rate", rate)
        return FusedAdam(
            learning_rate(
                rate,
                config.decay,
                config.decay_start,
                total_steps,
                config.warmup_steps,
                self._plateau,
            ),
            beta_1=own.get("beta_1", config.beta_1),
            epsilon=config.epsilon,
            epsilon_form=config.epsilon_form,
        )

    def image_pool(self, name: str, channels: int | None = None) -> ImagePool | None:
        """The history of generated images that the settings ask for, under a checkpoint's name.

        Args:
            name: In the checkpoint.
            channels: Of what it keeps; those of images of Y if not given.

        Returns:
            None where `pool_size` is 0.
        """
        if not self.config.pool_size:
            return None
        shape = (*self.config.image_shape, channels or self.config.channels[1])
        pool = ImagePool(self.config.pool_size, shape, keras.config.floatx())
        self.checkpoint_items[name] = pool
        return pool

    def from_pools(self, pools: Sequence[ImagePool | None], images: Sequence) -> list:
        """Exchange fresh images, those of all replicas, for what the discriminators should see.

        Args:
            pools: A pool for each of the images, or None each.
            images: `[N, H, W, C]` each.
        """
        if pools[0] is None:
            return list(images)
        whole = self.replicas.gather(list(images))
        seeds = tf.unstack(tf.random.split(self.seed_of(0), len(pools), RNG))
        return self.replicas.share(
            [pool.query(*one) for pool, *one in zip(pools, whole, seeds, strict=True)]
        )

    def rematerialised(self, network: keras.Model) -> Callable:
        """What to call in place of a network in a step, as `remat` says."""
        return Rematerialised(network) if self.config.remat else network

    def losses_and_gradients(self, real_x, real_y) -> tuple[dict, dict]:
        """Do all of a step but its updates of the networks.

        Args:
            real_x: `[N, H, W, 3]` in [-1, 1]; on several replicas, this one's share of the batch.
            real_y: `[N, H, W, 3]` in [-1, 1], likewise.

        Returns:
            Scalars by the names that they are logged under, and for the name of every network that
            is to change its gradients, in the order of its trainable variables. On several replicas
            both are shares of the sums over all, and with loss scaling the gradients are of the
            scaled loss.
        """
        raise NotImplementedError

    def train_step(self, real_x, real_y) -> dict[str, tf.Tensor]:
        """Do one step on a batch of each domain: see `losses_and_gradients`.

        Returns:
            The scalars of `losses_and_gradients`, of the whole batch.
        """
        terms = self.update_networks(real_x, real_y)
        for layer in self._spectral:
            self.replicas.assign([layer.u], [layer.next_u()])
        if self._averages:
            self._update_averages()
        if self._plateau is not None:
            self._plateau.observe(terms, self.step)
        terms |= self.adapt_augmentation(terms)
        self.step.assign_add(1)
        return terms

    def update_networks(self, real_x, real_y) -> dict[str, tf.Tensor]:
        """Do a step but count it: here all networks change at once, as they were judged before it.

        Returns:
            As `train_step`.
        """
        terms, gradients = self.replicas.sum(self.losses_and_gradients(real_x, real_y))
        self.update(gradients)
        return terms

    def update(self, gradients: Mapping[str, list]) -> None:
        """Update every group of networks whose gradients are there, summed over all replicas."""
        for group in self._groups:
            if gradients.keys() >= group.networks.keys():
                self.replicas.update(*group.updates(gradients))


def build_generator(
    config: NetworkSettings, seed: int, channels: tuple[int, int] | None = None, **options
) -> keras.Model:
    """Build the generator that `config` names, with the initial weights of `seed`.

    Args:
        config: The settings.
        seed: Of the initial weights.
        channels: Of the images to translate and of translated ones; from X to Y if not given.
        **options: Further arguments that both `unet_generator` and `resnet_generator` take.
    """
    if config.generator == "tensorflow_examples":
        return _tutorial_networks().unet_generator(3, norm_type="instancenorm")
    input_channels, output_channels = channels or config.channels
    dropout = config.dropout
    if dropout is None:
        dropout = 0.5 if config.generator == "unet" else 0.0
    kwargs = {
        "dropout": dropout,
        "filters": config.filters,
        "upsampling": config.upsampling,
        "affine": config.norm_affine,
        "seed": seed,
        "input_channels": input_channels,
        "output_channels": output_channels,
        **options,
    }
    if config.generator == "unet":
        return unet_generator(levels=config.levels, outer_skip=config.unet_outer_skip, **kwargs)
    return resnet_generator(
        blocks=int(config.generator.removeprefix("resnet")),
        antialias=config.antialias,
        initializer=config.initial_kernels,
        **kwargs,
    )


def build_discriminator(
    config: NetworkSettings,
    seed: int,
    input_channels: int | None = None,
    norm: str = "instance",
) -> keras.Model:
    """Build the PatchGAN of `config`, with the initial weights of `seed`.

    Args:
        config: The settings.
        seed: Of the initial weights.
        input_channels: Of an image, or of two that it judges together; those of Y if not given.
        norm: See `models.layers.normalization`.
    """
    if config.generator == "tensorflow_examples":
        return _tutorial_networks().discriminator(
            norm_type="instancenorm", target=input_channels == 6
        )
    networks = [
        patchgan_discriminator(
            filters=config.discriminator_filters,
            affine=config.norm_affine,
            leaky_slope=config.leaky_slope,
            seed=seed + scale,
            input_channels=input_channels or config.channels[1],
            halvings=config.discriminator_halvings,
            norm="spectral" if config.discriminator_norm == "spectral" else norm,
            antialias=config.antialias,
            initializer=config.initial_kernels,
            name="patchgan" if not scale else f"patchgan_of_1_{2**scale}",
        )
        for scale in range(config.discriminator_scales)
    ]
    return in_scales(networks) if len(networks) > 1 else networks[0]


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
