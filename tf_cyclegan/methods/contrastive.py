"""What the methods share that compare patches of a translation with those of its image.

PatchNCE of Park, Efros, Zhang, Zhu 2020, https://arxiv.org/abs/2007.15651, section 3.
"""

from collections.abc import Callable, Iterator, Sequence

import keras
import tensorflow as tf
from keras import layers

from .. import losses
from ..models.layers import small_xavier_initializer
from ..optimization.image_pool import RNG
from .adversarial import AdversarialMethod
from .contrastive_settings import ContrastiveSettings


def projections(
    config: ContrastiveSettings, name: str, seeds: Iterator[int]
) -> dict[str, Callable[[], keras.Model]]:
    """What builds the networks that features pass before they are compared, one for each layer.

    Args:
        config: The settings.
        name: With a layer's number behind it, of the network in checkpoints.
        seeds: Of the initial weights.
    """

    def build(number):
        size = config.nce_features
        inputs = keras.Input([None, config.layer_channels(number)])
        kernels = [small_xavier_initializer(next(seeds)) for _ in range(2)]
        x = layers.Dense(size, "relu", kernel_initializer=kernels[0])(inputs)
        x = layers.Dense(size, kernel_initializer=kernels[1])(x)
        return keras.Model(inputs, x)

    return {
        f"{name}_{number}": lambda number=number: build(number) for number in config.layer_numbers
    }


class ContrastiveMethod(AdversarialMethod):
    """Translators whose patches are to be known again; subclasses say whose, and by which objective."""

    config: ContrastiveSettings

    def encoder(self, generator: keras.Model) -> Callable:
        """What gives the features of a generator's layers, a list, from images `[N, H, W, 3]`."""
        network = self.rematerialised(keras.Model(generator.input, self._features(generator)))
        return lambda images, training: keras.tree.flatten(network(images, training=training))

    def with_features(self, generator: keras.Model) -> Callable:
        """What gives a generator's image and then its features, a list, in one pass."""
        outputs = [generator.output, *self._features(generator)]
        return self.rematerialised(keras.Model(generator.input, outputs))

    def _features(self, generator):
        names = map(self.config.layer_name, self.config.layer_numbers)
        return [generator.get_layer(name).output for name in names]

    def random(self, purpose: int):
        """A seed that follows from the run's, from the step and from what it is for."""
        return tf.random.fold_in(self.seed_of(1), purpose, RNG)

    def places(self, purpose: int, layer: int, pixels: int) -> tf.Tensor:
        """The places of a layer that are compared in this step: int32 in [0, pixels), each once.

        Args:
            purpose: Which comparison it is for: another one has places of its own.
            layer: Its index among those that are compared.
            pixels: How many places it has.
        """
        seed = tf.random.fold_in(self.random(purpose), layer, RNG)
        order = tf.random.stateless_uniform([pixels], seed, None, None, tf.int32, alg=RNG)
        return tf.math.top_k(order, min(self.config.nce_patches, pixels)).indices

    def nce(self, queries: Sequence, keys: Sequence, networks: Sequence, purposes: Sequence):
        """What it costs to know the patches of translations again: `[N]`, the mean over the layers.

        Args:
            queries: Of each layer the features of translations, `[N, h, w, C]`.
            keys: Those of the images that they were made from; nothing learns from them.
            networks: The projections of the queries and those of the keys, one for each layer.
            purposes: Of `places`, one for each of as many parts of the batch.
        """
        costs = []
        for layer, (query, key) in enumerate(zip(queries, keys, strict=True)):
            pixels = query.shape[1] * query.shape[2]
            share = query.shape[0] // len(purposes)
            places = [self.places(purpose, layer, pixels) for purpose in purposes]
            places = tf.repeat(tf.stack(places), share, axis=0)
            of_query, of_key = (each[layer] for each in networks)
            known = of_query(_at(places, query), training=True)
            wanted = of_key(_at(places, tf.stop_gradient(key)), training=True)
            costs.append(
                losses.patch_nce(known, tf.stop_gradient(wanted), self.config.nce_temperature)
            )
        return tf.add_n(costs) / len(costs)


def _at(places, features):
    """The features `[N, h, w, C]` at places `[N, P]` of each image: `[N, P, C]`."""
    batch, height, width, channels = features.shape
    # By rows of all images in one: the gradient of a gather within each takes several times as long.
    rows = places + tf.range(batch)[:, None] * (height * width)
    return tf.gather(tf.reshape(features, [-1, channels]), rows)
