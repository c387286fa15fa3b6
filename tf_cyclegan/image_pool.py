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
        self.images = tf.Variable(tf.zeros([size, *image_shape], dtype), trainable=False)
        self.count = tf.Variable(0, dtype=tf.int32, trainable=False)

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
        pool, count = self.images.value(), self.count.value()
        returned = []
        # One image after the other: an image can meet one that came in the same batch.
        for image, kept, slot in zip(*map(tf.unstack, (images, keep, slots)), strict=True):
            filling = count < self.size
            slot = tf.where(filling, count, slot)
            old = tf.gather(pool, slot)
            stored = tf.where(tf.logical_and(kept, tf.logical_not(filling)), old, image)
            pool = tf.tensor_scatter_nd_update(pool, [[slot]], [stored])
            returned.append(tf.where(tf.logical_or(filling, kept), image, old))
            count = tf.minimum(count + 1, self.size)
        self.images.assign(pool)
        self.count.assign(count)
        return tf.stack(returned)
