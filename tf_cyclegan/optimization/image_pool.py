"""The history of generated images that the discriminators are trained on."""

import tensorflow as tf

# With this algorithm and whole numbers a seed gives the same choices with XLA and without.
RNG = "philox"


class ImagePool(tf.Module):
    """A buffer of past generated images (Shrivastava et al. 2017; paper, section 4).

    While the pool fills, images are stored and returned as they are. Once full, each image is
    returned as it is with probability 1/2; else it takes the place of a random older one, and that
    one is returned. Everything is held in variables, so the pool runs inside the compiled step and
    is part of a checkpoint; its choices follow from the seed and the step alone.

    Args:
        size: Number of images kept (the paper: 50), at least 1.
        image_shape: `(H, W, C)` of the images.
        dtype: Type of the images.
    """

    def __init__(self, size, image_shape, dtype="float32", name=None):
        super().__init__(name=name)
        self.size = size
        # Replicas change their copies alike, so that nothing need be sent: hence no aggregation.
        mirrored = {"trainable": False, "aggregation": tf.VariableAggregation.NONE}
        self.images = tf.Variable(tf.zeros([size, *image_shape], dtype), **mirrored)
        self.count = tf.Variable(0, dtype=tf.int32, **mirrored)

    def query(self, images, seed):
        """Store and exchange a batch of images.

        Args:
            images: `[N, H, W, C]`, N known when the function is traced.
            seed: int32 tensor of shape [2]: which random choices to make.

        Returns:
            `[N, H, W, C]`, what the discriminator should see instead of `images`.
        """
        batch = images.shape[0]
        seeds = tf.random.split(tf.cast(seed, tf.int32), 2, RNG)
        keep = tf.random.stateless_uniform([batch], seeds[0], 0, 2, tf.int32, alg=RNG) == 0
        slots = tf.random.stateless_uniform([batch], seeds[1], 0, self.size, tf.int32, alg=RNG)
        return self.exchange(images, keep, slots)

    def exchange(self, images, keep, slots):
        """Do what `query` does with the choices given.

        Args:
            images: `[N, H, W, C]`.
            keep: bool `[N]`: whether a full pool returns the image itself.
            slots: int32 `[N]`: the place in a full pool to exchange with.
        """
        place = tf.range(images.shape[0])
        filling = self.count + place < self.size
        slots = tf.where(filling, self.count + place, slots)
        writes = tf.logical_or(filling, tf.logical_not(keep))
        # An image can meet one that came before it in the same batch: what a slot holds is the image
        # of the batch that was written there last, or else the pool's own.
        same_slot = tf.logical_and(slots[:, None] == slots[None, :], writes[None, :])
        last = tf.reduce_max(tf.where(same_slot, place, -1), axis=1)
        before = tf.logical_and(same_slot, place[None, :] < place[:, None])
        last_before = tf.reduce_max(tf.where(before, place, -1), axis=1)
        old = tf.gather(self.images, slots)

        def held(writer):
            written = _each(writer >= 0, images)
            return tf.where(written, tf.gather(images, tf.maximum(writer, 0)), old)

        fresh = tf.logical_or(filling, keep)
        returned = tf.where(_each(fresh, images), images, held(last_before))
        self.images.scatter_update(tf.IndexedSlices(held(last), slots))
        self.count.assign(tf.minimum(self.count + images.shape[0], self.size))
        return returned


def _each(condition, images):
    """Give `[N]` the dimensions of images, to choose between them."""
    return tf.reshape(condition, [-1] + [1] * (len(images.shape) - 1))
