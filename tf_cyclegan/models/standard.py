"""Networks rebuilt from Keras's own layers, so that their files load without this package."""

import keras
from keras import layers, ops

from .convolutions import (
    DoublingConv2D,
    HalvingConv2D,
    ReflectedConv2D,
    ResizingConv2D,
    ToImageConv2D,
)
from .dropout import BatchDropout
from .layers import (
    BlurDoubling2D,
    BlurHalving2D,
    CropTopLeft2D,
    InstanceNormalization,
    NearestUpsampling2D,
    ReflectionPadding2D,
)


def with_standard_layers(network: keras.Model) -> keras.Model:
    """Rebuild a network without the layers of this package.

    Args:
        network: Of layers of this package and of Keras.

    Returns:
        A network of the same names and weights, which makes the same numbers to rounding.
    """
    rebuilt = keras.models.clone_model(network, clone_function=_standard, recursive=True)
    rebuilt.set_weights(network.get_weights())
    return rebuilt


def _standard(layer: layers.Layer) -> layers.Layer:
    """The layer of Keras that computes the same, or a small network of such."""
    config = layer.get_config()
    same = {key: config[key] for key in ("name", "dtype", "trainable")}
    match layer:
        case InstanceNormalization():
            learns = {"center": layer.affine, "scale": layer.affine}
            return layers.GroupNormalization(-1, epsilon=layer.epsilon, **learns, **same)
        case ReflectionPadding2D():
            return _reflecting(layer, layer.padding)
        case ReflectedConv2D():
            return _reflecting(layer, 1, layers.Conv2D.from_config(config | {"kernel_size": 3}))
        case HalvingConv2D():
            how = {"kernel_size": 4, "strides": 2, "padding": "same"}
            return layers.Conv2D.from_config(config | how)
        case DoublingConv2D():
            how = {"kernel_size": 4, "strides": 2, "padding": "same"}
            return layers.Conv2DTranspose.from_config(config | how)
        case ResizingConv2D():
            how = {"kernel_size": 3, "padding": "same"}
            inputs = keras.Input([None, None, layer.input.shape[-1]], dtype=layer.compute_dtype)
            x = layers.UpSampling2D(2)(inputs)
            return keras.Model(inputs, layers.Conv2D.from_config(config | how)(x), name=layer.name)
        case ToImageConv2D():
            return layers.Conv2D.from_config(config)
        case BlurHalving2D():  # by [1, 1] / 2 twice
            pools = layers.AveragePooling2D(2, 1), layers.AveragePooling2D(2, 2)
            return _reflecting(layer, 1, *pools)
        case BlurDoubling2D():
            return layers.UpSampling2D(2, interpolation="bilinear", **same)
        case CropTopLeft2D():
            return layers.Cropping2D(((1, 0), (1, 0)), **same)
        case NearestUpsampling2D():
            return layers.UpSampling2D(2, **same)
        case BatchDropout():
            return layers.Dropout.from_config(config)
        case _:
            return type(layer).from_config(config)


def _reflecting(layer: layers.Layer, padding: int, *then: layers.Layer) -> keras.Model:
    """A network that pads with the mirror image, for which Keras has an operation and no layer."""
    inputs = keras.Input([None, None, layer.input.shape[-1]], dtype=layer.compute_dtype)
    sides = (padding, padding)
    x = ops.pad(inputs, [(0, 0), sides, sides, (0, 0)], mode="reflect")
    for following in then:
        x = following(x)
    return keras.Model(inputs, x, name=layer.name)
