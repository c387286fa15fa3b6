"""CoGAN's translation: find the latent vector that renders an image, render it in the other domain."""

import keras
import tensorflow as tf

from ...optimization.image_pool import RNG
from .settings import Config

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8  # of Adam on the latent vector


class LatentSearch(tf.Module):
    """Translates by search (section 5 of the paper, "cross-domain image transformation").

    With Adam, which needs no line search, every image by itself, among the latent vectors that the
    generators were taught with: numbers in [-1, 1]. The places that it sets out from are the
    same for every image, so that what an image becomes does not depend on what else is in the batch.

    Args:
        trunk: The layers that both generators share, from latent vectors.
        source: The other layers of the generator of the domain that images come from.
        target: The other layers of the generator of the domain that they are translated to.
        config: Size of latent vectors and of what the generators render; how to search.
    """

    def __init__(
        self, trunk: keras.Model, source: keras.Model, target: keras.Model, config: Config
    ):
        super().__init__()
        self.trunk, self.source, self.target = trunk, source, target
        self._size, self._rate = config.image_shape, config.search_rate
        self._steps = config.search_steps
        self._distance = {"l2": tf.square, "l1": tf.abs}[config.search_distance]
        # Not zero, where a network that has not learnt yet has no slope.
        self._starts = tf.random.stateless_uniform(
            [config.search_starts, config.latent_size], [config.seed, 3], -1, 1, alg=RNG
        )

    def __call__(self, images):
        """Translate `[N, H, W, 3]` in [-1, 1], any H and W, to the same.

        Images are scaled to the size that the generators render and back, bilinearly.
        """
        translated = self.rendered(self.target, self.nearest(images))
        return tf.image.resize(translated, tf.shape(images)[1:3], antialias=True)

    def rendered(self, head: keras.Model, latent):
        """What latent vectors `[N, latent_size]` look like in the domain of a generator's head."""
        return head(self.trunk(latent, training=False), training=False)

    def nearest(self, images):
        """The latent vectors `[N, latent_size]` whose renderings are nearest to `[N, H, W, 3]`."""
        starts, count = self._starts, tf.shape(images)[0]
        wanted = tf.image.resize(images, self._size, antialias=True)
        wanted = tf.repeat(wanted, len(starts), axis=0)
        latent = tf.tile(starts, [count, 1])
        best = latent, tf.fill([tf.shape(latent)[0]], tf.constant(float("inf")))

        def improved(step, latent, mean, square, best):
            with tf.GradientTape() as tape:
                tape.watch(latent)
                rendered = tf.cast(self.rendered(self.source, latent), tf.float32)
                distance = tf.reduce_sum(self._distance(rendered - wanted), axis=[1, 2, 3])
            gradient = tape.gradient(distance, latent)
            better = distance < best[1]
            best = (
                tf.where(better[:, None], latent, best[0]),
                tf.where(better, distance, best[1]),
            )
            done = tf.cast(step, tf.float32)
            rate = self._rate * (1 - done / self._steps)
            mean = BETA_1 * mean + (1 - BETA_1) * gradient
            square = BETA_2 * square + (1 - BETA_2) * tf.square(gradient)
            corrected = mean / (1 - BETA_1 ** (done + 1))
            length = tf.sqrt(square / (1 - BETA_2 ** (done + 1))) + EPSILON
            latent = tf.clip_by_value(latent - rate * corrected / length, -1, 1)
            return step + 1, latent, mean, square, best

        zeros = tf.zeros_like(latent)
        *_, (best, distance) = tf.while_loop(
            lambda *_: True,
            improved,
            (0, latent, zeros, zeros, best),
            maximum_iterations=self._steps,
        )
        winner = tf.argmin(tf.reshape(distance, [count, len(starts)]), axis=1)
        best = tf.reshape(best, [count, len(starts), best.shape[1]])
        return tf.gather(best, winner, axis=1, batch_dims=1)
