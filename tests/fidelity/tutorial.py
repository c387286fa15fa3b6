"""Stand-ins for the networks of the TensorFlow tutorial, which no package index has.

They nest layers as tensorflow_examples.models.pix2pix.pix2pix does, because a checkpoint knows a
weight by its place in that nest; written anew, with the number of filters as an argument.
"""

import tensorflow as tf

layers = tf.keras.layers


class InstanceNormalization(tf.keras.layers.Layer):
    def __init__(self, epsilon=1e-5):
        super().__init__()
        self.epsilon = epsilon

    def build(self, input_shape):
        start = tf.random_normal_initializer(1.0, 0.02)
        self.scale = self.add_weight(name="scale", shape=input_shape[-1:], initializer=start)
        self.offset = self.add_weight(name="offset", shape=input_shape[-1:], initializer="zeros")

    def call(self, x):
        mean, variance = tf.nn.moments(x, axes=[1, 2], keepdims=True)
        return self.scale * (x - mean) * tf.math.rsqrt(variance + self.epsilon) + self.offset


def _sequential(*members):
    model = tf.keras.Sequential()
    for member in members:
        model.add(member)
    return model


def _halve(filters, norm=True):
    start = tf.random_normal_initializer(0.0, 0.02)
    conv = layers.Conv2D(
        filters, 4, strides=2, padding="same", kernel_initializer=start, use_bias=False
    )
    return _sequential(conv, *([InstanceNormalization()] if norm else []), layers.LeakyReLU())


def _double(filters, dropout):
    start = tf.random_normal_initializer(0.0, 0.02)
    conv = layers.Conv2DTranspose(
        filters, 4, strides=2, padding="same", kernel_initializer=start, use_bias=False
    )
    dropouts = [layers.Dropout(0.5)] if dropout else []
    return _sequential(conv, InstanceNormalization(), *dropouts, layers.ReLU())


def generator(filters):
    """The U-Net of eight levels; `filters` is 64 in the tutorial."""
    downs = [_halve(filters * min(2**i, 8), norm=i > 0) for i in range(8)]
    ups = [_double(filters * min(2**i, 8), dropout=i > 3) for i in reversed(range(7))]
    start = tf.random_normal_initializer(0.0, 0.02)
    last = layers.Conv2DTranspose(
        3, 4, strides=2, padding="same", kernel_initializer=start, activation="tanh"
    )
    concat = layers.Concatenate()  # one layer for all levels
    inputs = x = layers.Input(shape=[None, None, 3])
    skips = []
    for down in downs:
        x = down(x)
        skips.append(x)
    for up, skip in zip(ups, reversed(skips[:-1]), strict=True):
        x = concat([up(x), skip])
    return tf.keras.Model(inputs=inputs, outputs=last(x))


def discriminator(filters):
    """The PatchGAN that sees one image; `filters` is 64 in the tutorial."""
    start = tf.random_normal_initializer(0.0, 0.02)
    inputs = x = layers.Input(shape=[None, None, 3], name="input_image")
    for i in range(3):
        x = _halve(filters * 2**i, norm=i > 0)(x)
    x = layers.ZeroPadding2D()(x)
    x = layers.Conv2D(8 * filters, 4, strides=1, kernel_initializer=start, use_bias=False)(x)
    x = layers.LeakyReLU()(InstanceNormalization()(x))
    x = layers.ZeroPadding2D()(x)
    x = layers.Conv2D(1, 4, strides=1, kernel_initializer=start)(x)
    return tf.keras.Model(inputs=inputs, outputs=x)


def checkpoint(filters):
    """The tutorial's networks, optimizers and checkpoint, under its names."""
    networks = {
        "generator_g": generator(filters),
        "generator_f": generator(filters),
        "discriminator_x": discriminator(filters),
        "discriminator_y": discriminator(filters),
    }
    optimizers = {
        f"{name}_optimizer": tf.keras.optimizers.Adam(2e-4, beta_1=0.5) for name in networks
    }
    return networks, optimizers, tf.train.Checkpoint(**networks, **optimizers)
