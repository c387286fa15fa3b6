"""The step as TensorFlow's tutorial and the Keras example write it, on networks of plain Keras layers.

One persistent tape that four gradients are taken from, one after the other, and four Keras optimizers.
It is what the package is measured against, so it must stay what anybody would write who follows them:
nothing here is tuned and nothing is taken from the package but the settings. There is no image pool, as
both have none.
"""

import pathlib

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers

from tf_cyclegan.methods.cyclegan.settings import Config

from .cases import case


class InstanceNormalization(layers.Layer):
    """The tutorial's: moments over height and width, a scale and an offset a channel."""

    def build(self, input_shape):
        start = tf.random_normal_initializer(1.0, 0.02)
        self.scale = self.add_weight(name="scale", shape=input_shape[-1:], initializer=start)
        self.offset = self.add_weight(name="offset", shape=input_shape[-1:], initializer="zeros")

    def call(self, x):
        mean, variance = tf.nn.moments(x, axes=[1, 2], keepdims=True)
        normalized = (x - mean) * tf.math.rsqrt(variance + 1e-5)
        return self.scale * normalized + self.offset


class ReflectionPadding2D(layers.Layer):
    """The Keras example's."""

    def __init__(self, padding):
        super().__init__()
        self.padding = padding

    def call(self, x):
        sides = [self.padding, self.padding]
        return tf.pad(x, [[0, 0], sides, sides, [0, 0]], mode="REFLECT")

    def compute_output_shape(self, shape):
        batch, height, width, channels = shape
        return (batch, height + 2 * self.padding, width + 2 * self.padding, channels)


def normalization(config: Config) -> layers.Layer:
    """An instance norm: the tutorial's own layer, or Keras's, which is faster, where none is learnt."""
    if config.norm_affine:
        return InstanceNormalization()
    return layers.GroupNormalization(groups=-1, epsilon=1e-5, center=False, scale=False)


def _start():
    return tf.random_normal_initializer(0.0, 0.02)


def _halve(config, filters, norm=True):
    bias = not config.norm_affine
    conv = layers.Conv2D(
        filters, 4, strides=2, padding="same", kernel_initializer=_start(), use_bias=bias
    )
    norms = [normalization(config)] if norm else []
    return tf.keras.Sequential([conv, *norms, layers.LeakyReLU(config.leaky_slope)])


def _double(config, filters, dropout):
    conv = layers.Conv2DTranspose(
        filters, 4, strides=2, padding="same", kernel_initializer=_start(), use_bias=False
    )
    dropouts = [layers.Dropout(0.5)] if dropout else []
    return tf.keras.Sequential([conv, normalization(config), *dropouts, layers.ReLU()])


def unet(config: Config) -> tf.keras.Model:
    """The tutorial's U-Net, `[N, H, W, 3]` to the same."""
    widths = [config.filters * min(2**level, 8) for level in range(config.levels)]
    inputs = x = layers.Input([*config.image_shape, 3])
    skips = []
    for level, width in enumerate(widths):
        x = _halve(config, width, norm=level > 0)(x)
        skips.append(x)
    for i, width in enumerate(reversed(widths[:-1])):
        x = _double(config, width, dropout=i < 3)(x)
        x = layers.Concatenate()([x, skips[-2 - i]])
    last = layers.Conv2DTranspose(
        3, 4, strides=2, padding="same", kernel_initializer=_start(), activation="tanh"
    )
    return tf.keras.Model(inputs, last(x))


def resnet(config: Config, blocks: int) -> tf.keras.Model:
    """The Keras example's residual generator, `[N, H, W, 3]` to the same."""
    bias = not config.norm_affine

    def conv(x, filters, kernel, kind=layers.Conv2D, relu=True, **kwargs):
        x = kind(filters, kernel, kernel_initializer=_start(), use_bias=bias, **kwargs)(x)
        x = normalization(config)(x)
        return layers.ReLU()(x) if relu else x

    filters = config.filters
    inputs = layers.Input([*config.image_shape, 3])
    x = conv(ReflectionPadding2D(3)(inputs), filters, 7)
    for _ in range(2):
        filters *= 2
        x = conv(x, filters, 3, strides=2, padding="same")
    for _ in range(blocks):
        y = conv(ReflectionPadding2D(1)(x), filters, 3)
        y = conv(ReflectionPadding2D(1)(y), filters, 3, relu=False)
        x = layers.Add()([x, y])
    for _ in range(2):
        filters //= 2
        x = conv(x, filters, 3, layers.Conv2DTranspose, strides=2, padding="same")
    x = layers.Conv2D(3, 7, kernel_initializer=_start())(ReflectionPadding2D(3)(x))
    return tf.keras.Model(inputs, layers.Activation("tanh")(x))


def generator(config: Config) -> tf.keras.Model:
    """The generator that `config` names."""
    if config.generator == "unet":
        return unet(config)
    return resnet(config, int(config.generator.removeprefix("resnet")))


def discriminator(config: Config) -> tf.keras.Model:
    """The 70x70 PatchGAN, `[N, H, W, 3]` to logits."""
    filters = config.discriminator_filters
    inputs = x = layers.Input([*config.image_shape, 3])
    for level in range(3):
        x = _halve(config, filters * 2**level, norm=level > 0)(x)
    bias = not config.norm_affine
    x = layers.ZeroPadding2D()(x)
    x = layers.Conv2D(8 * filters, 4, kernel_initializer=_start(), use_bias=bias)(x)
    x = layers.LeakyReLU(config.leaky_slope)(normalization(config)(x))
    x = layers.Conv2D(1, 4, kernel_initializer=_start())(layers.ZeroPadding2D()(x))
    return tf.keras.Model(inputs, x)


class Tutorial:
    """Four networks, four optimizers and the step, in the tutorial's order."""

    def __init__(self, config: Config):
        self.generator_g, self.generator_f = generator(config), generator(config)
        self.discriminator_x, self.discriminator_y = discriminator(config), discriminator(config)
        self.generator_g_optimizer = tf.keras.optimizers.Adam(2e-4, beta_1=0.5)
        self.generator_f_optimizer = tf.keras.optimizers.Adam(2e-4, beta_1=0.5)
        self.discriminator_x_optimizer = tf.keras.optimizers.Adam(2e-4, beta_1=0.5)
        self.discriminator_y_optimizer = tf.keras.optimizers.Adam(2e-4, beta_1=0.5)
        if config.adversarial_loss == "bce":
            self.adversarial = tf.keras.losses.BinaryCrossentropy(from_logits=True)
        else:
            self.adversarial = tf.keras.losses.MeanSquaredError()
        self.lambda_cycle = config.lambda_cycle
        self.lambda_identity = config.lambda_cycle * config.lambda_identity

    def discriminator_loss(self, real, generated):
        real_loss = self.adversarial(tf.ones_like(real), real)
        generated_loss = self.adversarial(tf.zeros_like(generated), generated)
        return (real_loss + generated_loss) * 0.5

    def generator_loss(self, generated):
        return self.adversarial(tf.ones_like(generated), generated)

    def cycle_loss(self, real, cycled):
        return self.lambda_cycle * tf.reduce_mean(tf.abs(real - cycled))

    def identity_loss(self, real, same):
        return self.lambda_identity * tf.reduce_mean(tf.abs(real - same))

    @tf.function
    def train_step(self, real_x, real_y):
        with tf.GradientTape(persistent=True) as tape:
            fake_y = self.generator_g(real_x, training=True)
            cycled_x = self.generator_f(fake_y, training=True)
            fake_x = self.generator_f(real_y, training=True)
            cycled_y = self.generator_g(fake_x, training=True)
            same_x = self.generator_f(real_x, training=True)
            same_y = self.generator_g(real_y, training=True)

            judged_real_x = self.discriminator_x(real_x, training=True)
            judged_real_y = self.discriminator_y(real_y, training=True)
            judged_fake_x = self.discriminator_x(fake_x, training=True)
            judged_fake_y = self.discriminator_y(fake_y, training=True)

            cycle = self.cycle_loss(real_x, cycled_x) + self.cycle_loss(real_y, cycled_y)
            loss_g = self.generator_loss(judged_fake_y) + cycle + self.identity_loss(real_y, same_y)
            loss_f = self.generator_loss(judged_fake_x) + cycle + self.identity_loss(real_x, same_x)
            loss_x = self.discriminator_loss(judged_real_x, judged_fake_x)
            loss_y = self.discriminator_loss(judged_real_y, judged_fake_y)

        gradients_g = tape.gradient(loss_g, self.generator_g.trainable_variables)
        gradients_f = tape.gradient(loss_f, self.generator_f.trainable_variables)
        gradients_x = tape.gradient(loss_x, self.discriminator_x.trainable_variables)
        gradients_y = tape.gradient(loss_y, self.discriminator_y.trainable_variables)

        self.generator_g_optimizer.apply_gradients(
            zip(gradients_g, self.generator_g.trainable_variables, strict=True)
        )
        self.generator_f_optimizer.apply_gradients(
            zip(gradients_f, self.generator_f.trainable_variables, strict=True)
        )
        self.discriminator_x_optimizer.apply_gradients(
            zip(gradients_x, self.discriminator_x.trainable_variables, strict=True)
        )
        self.discriminator_y_optimizer.apply_gradients(
            zip(gradients_y, self.discriminator_y.trainable_variables, strict=True)
        )
        return loss_g, loss_f, loss_x, loss_y


def constant_batch(config: Config) -> tuple[tf.Tensor, tf.Tensor]:
    """The same random images in every step, on the device, so that no step waits for data."""
    rng = np.random.default_rng(0)
    shape = (config.batch_size, *config.image_shape, 3)
    return tuple(tf.constant(rng.uniform(-1, 1, shape), tf.float32) for _ in range(2))


def train_step(case_name: str):
    """A contender: a piece of work is a step; the result is the losses of the last."""
    config = case(case_name)
    model = Tutorial(config)
    batch = constant_batch(config)

    def run(count):
        for _ in range(count):
            losses = model.train_step(*batch)
        tf.test.experimental.sync_devices()
        return [float(loss) for loss in losses]

    return run


def first_step(case_name: str, folder: str):
    """A contender that has done a step on pictures of a folder when it is set up."""
    config = case(case_name)
    batches = image_batches(folder, config.load_shape, config.image_shape, config.resize_method)
    model = Tutorial(config)
    losses = [float(loss) for loss in model.train_step(*next(iter(batches)))]
    return lambda _: losses


def batches_tutorial(folder: str):
    """A contender: a piece of work is a batch of the tutorial's pipeline, decoded anew."""
    batches = iter(image_batches(folder, (286, 286), (256, 256), "bicubic").repeat())

    def run(count):
        for _ in range(count):
            next(batches)

    return run


def image_batches(
    folder: str, load_shape: tuple[int, int], shape: tuple[int, int], method: str
) -> tf.data.Dataset:
    """Pairs of batches as the tutorial prepares them: scale, crop, mirror, normalise."""

    def prepare(path):
        image = tf.io.decode_image(tf.io.read_file(path), 3, expand_animations=False)
        image = tf.cast(image, tf.float32)
        image = tf.image.resize(image, load_shape, method)
        image = tf.image.random_crop(image, [*shape, 3])
        image = tf.image.random_flip_left_right(image)
        return image / 127.5 - 1.0

    domains = []
    for split in ("trainA", "trainB"):
        files = sorted(str(path) for path in pathlib.Path(folder, split).iterdir())
        images = tf.data.Dataset.from_tensor_slices(files).shuffle(1000)
        images = images.map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
        domains.append(images.batch(1))
    return tf.data.Dataset.zip(tuple(domains)).prefetch(tf.data.AUTOTUNE)
