"""How fast this machine convolves: the rate that a training step is held against.

One 3x3 convolution of 256 to 256 channels on 64x64 pixels, forward and both gradients: what the trunk
of the residual generator does, on a side large enough that nothing but arithmetic counts.
"""

import numpy as np

SIDE, CHANNELS = 64, 256
# Forward, the gradient of the input, the gradient of the kernel; see `benchmarks.flops`.
FLOPS = 3 * 2 * SIDE * SIDE * 9 * CHANNELS * CHANNELS
BEST_OF = 5


def tensorflow(case_name: str):
    """A contender: a piece of work is the convolution with its gradients, by TensorFlow.

    The result is the number of operations of a training step of the case.
    """
    import tensorflow as tf

    from .cases import case
    from .flops import step_flops
    from .tutorial import discriminator, generator

    config = case(case_name)
    flops = step_flops(config, generator(config), discriminator(config))

    def convolve(image, kernel, gradient):
        with tf.GradientTape() as tape:
            tape.watch([image, kernel])
            convolved = tf.nn.conv2d(image, kernel, 1, "SAME")
        # Both: gradients alone do not need the forward convolution, and it would be left out.
        return convolved, tape.gradient(convolved, [image, kernel], gradient)

    step = tf.function(convolve, autograph=False)
    image, kernel, gradient = (tf.constant(array) for array in _arrays())

    def run(count):
        for _ in range(count):
            step(image, kernel, gradient)
        tf.test.experimental.sync_devices()
        return flops

    return run


def pytorch():
    """A contender: a piece of work is the convolution with its gradients, by PyTorch."""
    import torch
    from torch.nn import functional

    from .pytorch import DEVICE, finish

    image, kernel, gradient = (torch.from_numpy(array) for array in _arrays())
    image = image.permute(0, 3, 1, 2).contiguous().to(DEVICE).requires_grad_()
    gradient = gradient.permute(0, 3, 1, 2).contiguous().to(DEVICE)
    kernel = kernel.permute(3, 2, 0, 1).contiguous().to(DEVICE).requires_grad_()

    def run(count):
        for _ in range(count):
            convolved = functional.conv2d(image, kernel, padding=1)
            torch.autograd.grad(convolved, [image, kernel], gradient)
        finish()

    return run


def _arrays():
    rng = np.random.default_rng(0)
    shapes = [1, SIDE, SIDE, CHANNELS], [3, 3, CHANNELS, CHANNELS], [1, SIDE, SIDE, CHANNELS]
    return [rng.uniform(-1, 1, shape).astype(np.float32) for shape in shapes]
