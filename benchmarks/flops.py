"""How many floating point operations a training step cannot do without, from the layers' shapes.

A multiplication and its addition are two operations. Only convolutions are counted: all else together
is below a hundredth of them. A convolution costs as much again for the gradient of its input and once
more for that of its kernel, where these are needed. An algorithm that multiplies less (Winograd's,
Fourier transforms) can be faster than this count at the measured rate.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import keras

from tf_cyclegan.methods.cyclegan.settings import Config


@dataclass(frozen=True)
class NetworkFlops:
    """The operations of a network's forward pass.

    Attributes:
        forward: Of all its convolutions.
        first: Of the one convolution that sees the image itself.
    """

    forward: int
    first: int

    @property
    def kernel_gradients(self) -> int:
        """Of the gradients of all kernels, those of the activations aside."""
        return self.forward

    def input_gradients(self, of_image: bool) -> int:
        """Of the gradients of all activations; of the image too, if that is wanted."""
        return self.forward if of_image else self.forward - self.first

    def trained(self, of_image: bool) -> int:
        """Of a forward pass and the gradients of all kernels."""
        return self.forward + self.kernel_gradients + self.input_gradients(of_image)


def network_flops(network: keras.Model, batch_size: int = 1) -> NetworkFlops:
    """Count the operations of a network whose input has a known height and width."""
    counts = [_convolution(layer, batch_size) for layer in _convolutions(network)]
    return NetworkFlops(sum(counts), counts[0])


def _convolutions(network) -> Iterator[keras.layers.Layer]:
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from _convolutions(layer)
        elif isinstance(layer, keras.layers.Conv2D | keras.layers.Conv2DTranspose):
            yield layer
        elif any(len(weight.shape) > 1 for weight in layer.weights):
            raise TypeError(f"{layer.name} has a kernel and its operations are not counted")


def _convolution(layer, batch_size: int) -> int:
    """Every pixel of the smaller side of a convolution meets every number of the kernel once."""
    transposed = isinstance(layer, keras.layers.Conv2DTranspose)
    image = layer.input if transposed else layer.output
    _, height, width, _ = image.shape
    return 2 * batch_size * height * width * math.prod(layer.kernel.shape)


def step_flops(config: Config, generator: keras.Model, discriminator: keras.Model) -> int:
    """Count the operations of one training step.

    Each generator makes three images: of a real one, of a generated one (whose gradient goes on to the
    other generator), and the identity; each discriminator judges for the generator, whose image's
    gradient is wanted, and learns from a real and a generated image. Without a pool the last is the one
    that it has judged, whose forward pass is counted once.
    """
    g = network_flops(generator, config.batch_size)
    d = network_flops(discriminator, config.batch_size)
    generated = g.trained(of_image=False) + g.trained(of_image=True)
    identity = g.trained(of_image=False) if config.lambda_identity else 0
    judging = d.forward + d.input_gradients(of_image=True)
    learning = 2 * d.trained(of_image=False)
    if not config.pool_size:
        learning -= d.forward
    return 2 * (generated + identity + judging + learning)
