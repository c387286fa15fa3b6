"""The layers that Keras lacks, and the initial weights that all networks share."""

from collections.abc import Iterator

import keras
import numpy as np
from keras import ops

from . import statistics


@keras.saving.register_keras_serializable("tf_cyclegan")
class InstanceNormalization(keras.layers.Layer):
    """Normalise every channel of every image by its own mean and variance.

    Ulyanov, Vedaldi, Lempitsky 2016, https://arxiv.org/abs/1607.08022. Statistics are computed in
    float32 at least, so that half precision activations do not overflow when they are squared.

    Args:
        epsilon: Added to the variance.
        affine: Whether to learn a scale and an offset a channel, as the TensorFlow tutorial does.
            The authors' PyTorch code has none.
        seed: Seed of the initial scale.
        scale_deviation: Standard deviation of the initial scale, whose mean is 1.

    Input shape: `[N, H, W, C]`, H and W may be unknown. Output shape: the same.

    Example:
        >>> InstanceNormalization()(keras.random.normal([1, 8, 8, 3])).shape
        TensorShape([1, 8, 8, 3])
    """

    def __init__(self, epsilon=1e-5, affine=True, seed=None, scale_deviation=0.02, **kwargs):
        super().__init__(**kwargs)
        self.scale_deviation = scale_deviation
        self.epsilon = epsilon
        self.affine = affine
        self.seed = seed

    def build(self, input_shape):
        if self.affine:
            channels = input_shape[-1:]
            scale_init = keras.initializers.RandomNormal(1.0, self.scale_deviation, seed=self.seed)
            # The attribute names are those of the tutorial's layer: checkpoints restore by them.
            self.scale = self.add_weight(name="scale", shape=channels, initializer=scale_init)
            self.offset = self.add_weight(name="offset", shape=channels, initializer="zeros")

    def call(self, inputs):
        dtype = keras.backend.result_type(self.compute_dtype, "float32")
        shared = statistics.current()
        x = (shared.standardise if shared else standardise)(ops.cast(inputs, dtype), self.epsilon)
        if self.affine:
            x = x * ops.cast(self.scale, dtype) + ops.cast(self.offset, dtype)
        return ops.cast(x, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {
            "epsilon": self.epsilon,
            "affine": self.affine,
            "seed": self.seed,
            "scale_deviation": self.scale_deviation,
        }


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
        return repeated(inputs)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (batch, height and 2 * height, width and 2 * width, channels)


def repeated(x):
    """Every pixel of `[N, H, W, C]` four times: `[N, 2 * H, 2 * W, C]`."""
    batch, height, width, channels = ops.shape(x)
    x = ops.concatenate([x, x], axis=3)
    x = ops.reshape(x, [batch, height, 2 * width, channels])
    x = ops.concatenate([x, x], axis=2)
    return ops.reshape(x, [batch, 2 * height, 2 * width, channels])


@keras.saving.register_keras_serializable("tf_cyclegan")
class BlurHalving2D(keras.layers.Layer):
    """Halve height and width of what was blurred by [1, 2, 1] / 4, rows and columns.

    The anti-aliased halving of Zhang 2019 (https://arxiv.org/abs/1904.11486) as CUT's networks have
    it: images continue beyond their borders in their mirror image.

    Input shape: `[N, H, W, C]`, H and W may be unknown. Output shape: `[N, H / 2, W / 2, C]`, rounded
    up.

    Example:
        >>> BlurHalving2D()(keras.random.normal([1, 8, 8, 3])).shape
        TensorShape([1, 4, 4, 3])
    """

    def call(self, inputs):
        dtype = keras.backend.result_type(self.compute_dtype, "float32")
        x = _blurred(ops.cast(inputs, dtype), "reflect", strides=2)
        return ops.cast(x, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (batch, height and (height + 1) // 2, width and (width + 1) // 2, channels)


@keras.saving.register_keras_serializable("tf_cyclegan")
class BlurDoubling2D(keras.layers.Layer):
    """Double height and width, with zeros between the pixels, and blur by [1, 3, 3, 1] / 4.

    The anti-aliased doubling of CUT's networks: images continue beyond their borders in the pixels
    there. A new pixel is three quarters of the nearest old one and a quarter of the next, along rows
    and along columns, which is bilinear interpolation.

    Input shape: `[N, H, W, C]`, H and W may be unknown. Output shape: `[N, 2 * H, 2 * W, C]`.

    Example:
        >>> BlurDoubling2D()(keras.random.normal([1, 8, 8, 3])).shape
        TensorShape([1, 16, 16, 3])
    """

    def call(self, inputs):
        dtype = keras.backend.result_type(self.compute_dtype, "float32")
        x = ops.cast(inputs, dtype)
        _, height, width, _ = x.shape
        # Faster by far, but Keras takes no open sizes, and TensorFlow gives float32 for float64.
        if None not in (height, width) and dtype == "float32":
            size = 2 * height, 2 * width
            x = ops.image.resize(x, size, interpolation="bilinear", data_format="channels_last")
        else:
            x = _blurred(repeated(x), "symmetric", strides=1)
        return ops.cast(x, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (batch, height and 2 * height, width and 2 * width, channels)


def _blurred(x, beyond: str, strides: int):
    """Filter `[N, H, W, C]`, which continues beyond its borders as said, by [1, 2, 1] / 4 both ways."""
    row = np.array([1, 2, 1]) / 4
    kernel = np.tile(np.outer(row, row)[:, :, None, None], (1, 1, x.shape[-1], 1))
    x = ops.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], mode=beyond)
    return ops.depthwise_conv(x, ops.cast(kernel, x.dtype), strides=strides, padding="valid")


@keras.saving.register_keras_serializable("tf_cyclegan")
class SharedBatchNormalization(keras.layers.BatchNormalization):
    """Batch norm over the batches of all replicas of a step, so that it is that of one device.

    Its averages for translating are variables that every replica has and updates alike. It takes the
    arguments of Keras's layer, but for `synchronized`. It must not be called inside a graph of its
    own on each replica, where replicas cannot ask each other.

    Input shape: `[N, ..., C]`. Output shape: the same.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs | {"synchronized": True})

    def add_weight(self, *args, **kwargs):
        if not kwargs["trainable"]:
            kwargs["aggregation"] = "only_first_replica"
        return super().add_weight(*args, **kwargs)


@keras.saving.register_keras_serializable("tf_cyclegan")
class SpectralConv2D(keras.layers.Conv2D):
    """A convolution whose kernel, as a matrix, has the spectral norm 1.

    Miyato, Kataoka, Koyama, Yoshida 2018, https://arxiv.org/abs/1802.05957, algorithm 1: the largest
    singular value is found by a step of the power method, and who trains the layer does another step a
    step: `u.assign(layer.next_u())`. A call changes nothing, so that replicas have the same.

    Args:
        u_seed: Of the vector that the power method begins with.
        **kwargs: Those of Keras's layer.
    """

    def __init__(self, *args, u_seed=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.u_seed = u_seed

    def build(self, input_shape):
        super().build(input_shape)
        start = keras.initializers.RandomNormal(seed=self.u_seed)
        self.u = self.add_weight(
            name="u", shape=(self.filters,), initializer=start, trainable=False, autocast=False
        )
        for _ in range(15):  # so that the first steps know the norm, as in PyTorch
            self.u.assign(self.next_u())

    def next_u(self):
        """`u` after another step of the power method."""
        return self._power_step(ops.cast(self._kernel, self.u.dtype))[1]

    def convolution_op(self, inputs, kernel):
        v, u, matrix = self._power_step(ops.cast(kernel, self.u.dtype))
        norm = ops.sum(ops.stop_gradient(u) * ops.matmul(matrix, ops.stop_gradient(v)))
        return super().convolution_op(inputs, kernel / ops.cast(norm, kernel.dtype))

    def _power_step(self, kernel):
        matrix = ops.transpose(ops.reshape(kernel, (-1, self.filters)))
        v = _unit(ops.matmul(ops.transpose(matrix), self.u))
        return v, _unit(ops.matmul(matrix, v)), matrix

    def get_config(self):
        return super().get_config() | {"u_seed": self.u_seed}


def _unit(vector):
    return vector / (ops.sqrt(ops.sum(ops.square(vector))) + 1e-12)


def spectral_layers(network: keras.Model) -> list[SpectralConv2D]:
    """All layers of that kind in a network, in those that it is made of too."""
    layers = [
        spectral_layers(layer) if isinstance(layer, keras.Model) else [layer]
        for layer in network.layers
    ]
    return [layer for inner in layers for layer in inner if isinstance(layer, SpectralConv2D)]


def normalization(norm: str, affine: bool, seed: int, name=None) -> keras.layers.Layer:
    """Build the norm that the networks here share, by its name.

    Args:
        norm: "instance"; "batch", of batches (always affine), with PyTorch's epsilon 1e-5 and its
            momentum 0.1, which Keras writes as 0.9; or "keras batch of 1", an instance norm that
            computes and begins as Keras's batch norm does on a batch of one image.
        affine: Whether instance norms learn a scale and an offset.
        seed: Of the initial scale.
        name: Of the layer.
    """
    if norm == "keras batch of 1":
        return InstanceNormalization(1e-3, affine, seed, scale_deviation=0.0, name=name)
    if norm == "batch":
        scale_init = keras.initializers.RandomNormal(1.0, 0.02, seed=seed)
        return keras.layers.BatchNormalization(
            momentum=0.9, epsilon=1e-5, gamma_initializer=scale_init, name=name
        )
    if norm != "instance":
        raise ValueError(f"there is no norm {norm!r}")
    return InstanceNormalization(affine=affine, seed=seed, name=name)


def seed_stream(seed: int) -> Iterator[int]:
    """Yield independent seeds for the weights of one network, the same ones for the same `seed`."""
    sequence = np.random.SeedSequence(seed)
    while True:
        yield int(sequence.spawn(1)[0].generate_state(1)[0]) % 2**31


def normal_initializer(seed: int) -> keras.initializers.Initializer:
    """N(0, 0.02), the initial kernels of every network here (paper, section 7.1)."""
    return keras.initializers.RandomNormal(0.0, 0.02, seed=seed)


def small_xavier_initializer(seed: int) -> keras.initializers.Initializer:
    """N(0, s) with s = 0.02 * sqrt(2 / (fan in + fan out)), the initial kernels of CUT's networks."""
    return keras.initializers.VarianceScaling(0.02**2, "fan_avg", "untruncated_normal", seed=seed)


INITIALIZERS = {"normal": normal_initializer, "xavier": small_xavier_initializer}
