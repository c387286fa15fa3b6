"""Convolutions that a CPU computes faster than Keras's own, with the same weights and sums."""

import keras
import numpy as np
from keras import ops

from .cpu import choice, resized, strided, winograd
from .layers import repeated

plain_convolutions = choice.plain_operations  # for what is exported

# What the classes here decide: images are `[N, H, W, C]`, and groups and dilation are 1.
FIXED = (
    "kernel_size",
    "strides",
    "padding",
    "output_padding",
    "data_format",
    "dilation_rate",
    "groups",
)


@keras.saving.register_keras_serializable("tf_cyclegan")
class ReflectedConv2D(keras.layers.Conv2D):
    """Keras's `Conv2D` with 3x3 kernels and stride 1, of images that continue in their mirror image.

    `ReflectionPadding2D(1)` and `Conv2D(filters, 3)` in one, because on a CPU there is a faster way to
    compute both: Winograd's (Lavin and Gray 2015, https://arxiv.org/abs/1509.09308), see `winograd`.
    The sums are the same to rounding, and so are the weights.

    Args:
        filters: Channels of the output.
        **kwargs: As for `Conv2D`, but what is said above.

    Input shape: `[N, H, W, C]`, H and W may be unknown. Output shape: `[N, H, W, filters]`.

    Example:
        >>> ReflectedConv2D(5)(keras.random.normal([1, 8, 8, 3])).shape
        TensorShape([1, 8, 8, 5])
    """

    def __init__(self, filters, **kwargs):
        _refuse_fixed(kwargs)
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
        **kwargs: As for `Conv2D`, but what is said above.

    Input shape: `[N, H, W, C]`, H and W may be unknown. Output shape: `[N, H / 2, W / 2, filters]`,
    rounded up.

    Example:
        >>> HalvingConv2D(5)(keras.random.normal([1, 8, 8, 3])).shape
        TensorShape([1, 4, 4, 5])
    """

    def __init__(self, filters, **kwargs):
        _refuse_fixed(kwargs)
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
        **kwargs: As for `Conv2DTranspose`, but what is said above.

    Input shape: `[N, H, W, C]`, H and W may be unknown. Output shape: `[N, 2 * H, 2 * W, filters]`.

    Example:
        >>> DoublingConv2D(5)(keras.random.normal([1, 8, 8, 3])).shape
        TensorShape([1, 16, 16, 5])
    """

    def __init__(self, filters, **kwargs):
        _refuse_fixed(kwargs)
        super().__init__(filters, 4, strides=2, padding="same", **kwargs)

    def call(self, inputs):
        if not strided.doubling_pays(inputs.shape, inputs.dtype):
            return super().call(inputs)
        x = strided.double(inputs, ops.cast(self.kernel, inputs.dtype))
        return self.activation(x + self.bias if self.use_bias else x)

    def get_config(self):
        return _without_fixed(super().get_config())


@keras.saving.register_keras_serializable("tf_cyclegan")
class ResizingConv2D(keras.layers.Conv2D):
    """Keras's `Conv2D` with 3x3 kernels and padding "same", of images whose pixels are repeated.

    `NearestUpsampling2D` and `Conv2D(filters, 3, padding="same")` in one (Odena et al. 2016), because
    on a CPU there is a faster way to compute both: see `resized`. The sums are the same to rounding,
    and so are the weights.

    Args:
        filters: Channels of the output.
        **kwargs: As for `Conv2D`, but what is said above.

    Input shape: `[N, H, W, C]`, H and W may be unknown. Output shape: `[N, 2 * H, 2 * W, filters]`.

    Example:
        >>> ResizingConv2D(5)(keras.random.normal([1, 8, 8, 3])).shape
        TensorShape([1, 16, 16, 5])
    """

    def __init__(self, filters, **kwargs):
        _refuse_fixed(kwargs)
        super().__init__(filters, 3, padding="same", **kwargs)

    def call(self, inputs):
        if resized.pays(inputs.shape, inputs.dtype):
            x = resized.convolve_repeated(inputs, ops.cast(self.kernel, inputs.dtype))
        else:
            x = ops.conv(repeated(inputs), self.kernel, padding="same")
        return self.activation(x + self.bias if self.use_bias else x)

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        return (batch, height and 2 * height, width and 2 * width, self.filters)

    def get_config(self):
        return _without_fixed(super().get_config())


def _refuse_fixed(kwargs):
    if given := [name for name in FIXED if name in kwargs]:
        raise TypeError(f"{', '.join(given)} cannot be chosen for this convolution")


def _without_fixed(config):
    return {name: value for name, value in config.items() if name not in FIXED}


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
        if choice.exporting():
            return super().call(inputs)
        height, width, channels, filters = self.kernel.shape
        rows = ops.transpose(self.kernel, [1, 2, 0, 3])
        rows = ops.reshape(rows, [1, width, channels, height * filters])
        add_up = np.eye(height * filters).reshape([height, filters, height * filters])
        add_up = ops.cast(add_up.transpose([0, 2, 1])[:, None], self.compute_dtype)
        x = ops.conv(ops.conv(inputs, rows, padding="valid"), add_up, padding="valid")
        return self.activation(x + self.bias if self.use_bias else x)
