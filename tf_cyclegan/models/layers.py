"""The layers that Keras lacks, and the initial weights that all networks share."""

from collections.abc import Iterator

import keras
import numpy as np
from keras import ops

from . import strided, winograd


@keras.saving.register_keras_serializable("tf_cyclegan")
class InstanceNormalization(keras.layers.Layer):
    """Normalise every channel of every image by its own mean and variance.

    Ulyanov, Vedaldi, Lempitsky 2016, https://arxiv.org/abs/1607.08022. Statistics are computed in
    float32 at least, so that half precision activations do not overflow when they are squared.

    Args:
        epsilon: Added to the variance.
        affine: Whether to learn a scale and an offset a channel, as the TensorFlow tutorial does.
            The authors' PyTorch code has none.
        seed: Seed of the initial scale, N(1, 0.02).

    Input shape: `[N, H, W, C]`, H and W may be unknown. Output shape: the same.

    Example:
        >>> InstanceNormalization()(keras.random.normal([1, 8, 8, 3])).shape
        TensorShape([1, 8, 8, 3])
    """

    def __init__(self, epsilon=1e-5, affine=True, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.affine = affine
        self.seed = seed

    def build(self, input_shape):
        if self.affine:
            channels = input_shape[-1:]
            scale_init = keras.initializers.RandomNormal(1.0, 0.02, seed=self.seed)
            # The attribute names are those of the tutorial's layer: checkpoints restore by them.
            self.scale = self.add_weight(name="scale", shape=channels, initializer=scale_init)
            self.offset = self.add_weight(name="offset", shape=channels, initializer="zeros")

    def call(self, inputs):
        dtype = keras.backend.result_type(self.compute_dtype, "float32")
        x = standardise(ops.cast(inputs, dtype), self.epsilon)
        if self.affine:
            x = x * ops.cast(self.scale, dtype) + ops.cast(self.offset, dtype)
        return ops.cast(x, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        return config | {"epsilon": self.epsilon, "affine": self.affine, "seed": self.seed}


def standardise(x, epsilon):
    """Give every channel of every image `[N, H, W, C]` mean 0 and variance 1.

    The gradient is the analytic one: half the operations, and fewer passes over memory, than what
    differentiating each operation would make.
    """

    def mean(values):
        return ops.mean(values, axis=(1, 2), keepdims=True)

    @ops.custom_gradient
    def standardised(x):
        centred = x - mean(x)
        factor = ops.rsqrt(mean(ops.square(centred)) + epsilon)
        y = centred * factor

        def grad(upstream):
            return factor * (upstream - mean(upstream) - y * mean(upstream * y))

        return y, grad

    return standardised(x)


@keras.saving.register_keras_serializable("tf_cyclegan")
class ReflectionPadding2D(keras.layers.Layer):
    """Pad height and width with their mirror image, the edge pixel itself not repeated.

    The paper's way around the seams that zero padding leaves at the border (section 7, appendix).

    Args:
        padding: Pixels on each of the four sides; height and width must be larger than this.

    Input shape: `[N, H, W, C]`. Output shape: `[N, H + 2 * padding, W + 2 * padding, C]`.

    Example:
        >>> ReflectionPadding2D(3)(keras.random.normal([1, 8, 8, 3])).shape
        TensorShape([1, 14, 14, 3])
    """

    def __init__(self, padding=1, **kwargs):
        super().__init__(**kwargs)
        self.padding = padding

    def call(self, inputs):
        sides = (self.padding, self.padding)
        return ops.pad(inputs, [(0, 0), sides, sides, (0, 0)], mode="reflect")

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        grow = 2 * self.padding
        return (batch, height and height + grow, width and width + grow, channels)

    def get_config(self):
        return super().get_config() | {"padding": self.padding}


@keras.saving.register_keras_serializable("tf_cyclegan")
class ReflectedConv2D(keras.layers.Conv2D):
    """Keras's `Conv2D` with 3x3 kernels and stride 1, of images that continue in their mirror image.

    `ReflectionPadding2D(1)` and `Conv2D(filters, 3)` in one, because on a CPU there is a faster way to
    compute both: see `winograd`. The sums are the same to rounding, and so are the weights.

    Args:
        filters: Channels of the output.
        **kwargs: As for `Conv2D`.

    Input shape: `[N, H, W, C]`, H and W may be unknown. Output shape: `[N, H, W, filters]`.
    """

    def __init__(self, filters, **kwargs):
        super().__init__(filters, 3, padding="same", **kwargs)

    def call(self, inputs):
        if winograd.pays(inputs.shape, inputs.dtype):
            x = winograd.convolve_reflected(inputs, ops.cast(self.kernel, inputs.dtype))
        else:
            padded = ops.pad(inputs, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="reflect")
            x = ops.conv(padded, self.kernel, padding="valid")
        return self.activation(x + self.bias if self.use_bias else x)

    def get_config(self):
        return _without_fixed(super().get_config())


@keras.saving.register_keras_serializable("tf_cyclegan")
class HalvingConv2D(keras.layers.Conv2D):
    """Keras's `Conv2D` with 4x4 kernels, stride 2 and padding "same".

    Small images take a faster way on a CPU: see `strided`. The sums are the same to rounding.

    Args:
        filters: Channels of the output.
        **kwargs: As for `Conv2D`.

    Input shape: `[N, H, W, C]`, H and W may be unknown. Output shape: `[N, H / 2, W / 2, filters]`,
    rounded up.
    """

    def __init__(self, filters, **kwargs):
        super().__init__(filters, 4, strides=2, padding="same", **kwargs)

    def call(self, inputs):
        if not strided.halving_pays(inputs.shape, inputs.dtype):
            return super().call(inputs)
        x = strided.halve(inputs, ops.cast(self.kernel, inputs.dtype))
        return self.activation(x + self.bias if self.use_bias else x)

    def get_config(self):
        return _without_fixed(super().get_config())


@keras.saving.register_keras_serializable("tf_cyclegan")
class DoublingConv2D(keras.layers.Conv2DTranspose):
    """Keras's `Conv2DTranspose` with 4x4 kernels, stride 2 and padding "same".

    Small images take a faster way on a CPU: see `strided`. The sums are the same to rounding.

    Args:
        filters: Channels of the output.
        **kwargs: As for `Conv2DTranspose`.

    Input shape: `[N, H, W, C]`, H and W may be unknown. Output shape: `[N, 2 * H, 2 * W, filters]`.
    """

    def __init__(self, filters, **kwargs):
        super().__init__(filters, 4, strides=2, padding="same", **kwargs)

    def call(self, inputs):
        if not strided.doubling_pays(inputs.shape, inputs.dtype):
            return super().call(inputs)
        x = strided.double(inputs, ops.cast(self.kernel, inputs.dtype))
        return self.activation(x + self.bias if self.use_bias else x)

    def get_config(self):
        return _without_fixed(super().get_config())


def _without_fixed(config):
    """Leave out of a convolution's config what its class decides."""
    fixed = ("kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups")
    return {name: value for name, value in config.items() if name not in fixed}


@keras.saving.register_keras_serializable("tf_cyclegan")
class CropTopLeft2D(keras.layers.Layer):
    """Cut off the first row and the first column.

    Keras's `Cropping2D` would do, but the gradient of its slices takes several times as long.

    Input shape: `[N, H, W, C]`. Output shape: `[N, H - 1, W - 1, C]`.
    """

    def call(self, inputs):
        batch, height, width, channels = ops.shape(inputs)
        return ops.slice(inputs, [0, 1, 1, 0], [batch, height - 1, width - 1, channels])

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (batch, height and height - 1, width and width - 1, channels)


@keras.saving.register_keras_serializable("tf_cyclegan")
class ToImageConv2D(keras.layers.Conv2D):
    """Keras's `Conv2D` of stride 1 without padding, for few output channels and a large kernel.

    The kernels for 3 channels leave most of a processor's vectors empty. So the rows of the kernel
    become channels: a convolution with 1 x W kernels makes the share of every row, 7 * 3 channels for
    7 rows, and a second one with kernels of zeros and ones adds each to where it belongs. The same
    sums at half the time on a CPU, gradients included, and the same weights.

    Input shape: `[N, H, W, C]`. Output shape: `[N, H - h + 1, W - w + 1, filters]` with kernels h x w.
    """

    def call(self, inputs):
        height, width, channels, filters = self.kernel.shape
        rows = ops.transpose(self.kernel, [1, 2, 0, 3])
        rows = ops.reshape(rows, [1, width, channels, height * filters])
        add_up = np.eye(height * filters).reshape([height, filters, height * filters])
        add_up = ops.cast(add_up.transpose([0, 2, 1])[:, None], self.compute_dtype)
        x = ops.conv(ops.conv(inputs, rows, padding="valid"), add_up, padding="valid")
        return self.activation(x + self.bias if self.use_bias else x)


@keras.saving.register_keras_serializable("tf_cyclegan")
class NearestUpsampling2D(keras.layers.Layer):
    """Double height and width by repeating every pixel.

    What Keras's `UpSampling2D` does, but it keeps the number of channels known where height and width
    are not: without it the LiteRT converter has no kernel for the convolution that follows.

    Input shape: `[N, H, W, C]`, H and W may be unknown. Output shape: `[N, 2 * H, 2 * W, C]`.

    Example:
        >>> NearestUpsampling2D()(keras.random.normal([1, 8, 8, 3])).shape
        TensorShape([1, 16, 16, 3])
    """

    def call(self, inputs):
        batch, height, width, channels = ops.shape(inputs)
        x = ops.concatenate([inputs, inputs], axis=3)
        x = ops.reshape(x, [batch, height, 2 * width, channels])
        x = ops.concatenate([x, x], axis=2)
        return ops.reshape(x, [batch, 2 * height, 2 * width, channels])

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (batch, height and 2 * height, width and 2 * width, channels)


def normalization(norm: str, affine: bool, seed: int, name=None) -> keras.layers.Layer:
    """Build the norm that the networks here share: "instance", or "batch" (pix2pix, always affine).

    Batch norms have PyTorch's epsilon 1e-5 and its momentum 0.1, which Keras writes as 0.9.
    """
    if norm == "batch":
        scale_init = keras.initializers.RandomNormal(1.0, 0.02, seed=seed)
        return keras.layers.BatchNormalization(
            momentum=0.9, epsilon=1e-5, gamma_initializer=scale_init, name=name
        )
    return InstanceNormalization(affine=affine, seed=seed, name=name)


def seed_stream(seed: int) -> Iterator[int]:
    """Yield independent seeds for the weights of one network, the same ones for the same `seed`."""
    sequence = np.random.SeedSequence(seed)
    while True:
        yield int(sequence.spawn(1)[0].generate_state(1)[0]) % 2**31


def normal_initializer(seed: int) -> keras.initializers.Initializer:
    """N(0, 0.02), the initial kernels of every network here (paper, section 7.1)."""
    return keras.initializers.RandomNormal(0.0, 0.02, seed=seed)
