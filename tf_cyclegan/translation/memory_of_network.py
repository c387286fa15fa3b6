"""How much memory a translation takes, before it is begun."""

import keras
import tensorflow as tf

TRIED = 256  # pixels a side of the picture whose translation is gone through on paper
# What pass on their input without a copy.
_ALIASES = {"Identity", "Reshape", "StopGradient", "Squeeze", "ExpandDims", "ReadVariableOp"}


def bytes_per_pixel(network: keras.Model, size_multiple: int) -> float:
    """The most that is held at one time while a picture is translated, a pixel of it.

    The graph is gone through in its order: a tensor counts from when it is made until all that use it
    are done. Weights, which do not grow with the picture, are left out.
    """
    side = -(-TRIED // size_multiple) * size_multiple
    door = tf.TensorSpec([1, side, side, network.input_shape[-1]], tf.float32)
    function = tf.function(lambda images: network(images, training=False), autograph=False)
    return _peak(function.get_concrete_function(door).graph) / side**2


def _peak(graph) -> int:
    """Bytes of the tensors that are alive at once, at the most, while a graph is run."""
    operations = graph.get_operations()
    root: dict = {}
    last_use: dict = {}
    for place, operation in enumerate(operations):
        for tensor in operation.outputs:
            alias = operation.type in _ALIASES and operation.inputs
            source = operation.inputs[0].ref() if alias else tensor.ref()
            root[tensor.ref()] = root.get(source, source)
        for tensor in operation.inputs:
            last_use[root[tensor.ref()]] = place
    for tensor in graph.outputs:
        last_use[root[tensor.ref()]] = len(operations)
    alive = peak = 0
    ends: dict[int, int] = {}
    for place, operation in enumerate(operations):
        for tensor in operation.outputs:
            if root[tensor.ref()] == tensor.ref():
                size = _bytes(tensor)
                alive += size
                end = last_use.get(tensor.ref(), place)
                ends[end] = ends.get(end, 0) + size
        peak = max(peak, alive + _inside(graph, operation))
        alive -= ends.pop(place, 0)
    return peak


def _inside(graph, operation) -> int:
    """What a function that an operation calls holds beside what goes in and comes out."""
    if "PartitionedCall" not in operation.type:
        return 0
    called = graph._get_function(operation.get_attr("f").name).graph
    around = sum(map(_bytes, [*operation.inputs, *operation.outputs]))
    return max(0, _peak(called) - around)


def _bytes(tensor) -> int:
    """Of a tensor; 0 for the resources of variables, and what has no shape."""
    if tensor.dtype == tf.resource or not tensor.shape.is_fully_defined():
        return 0
    return tensor.shape.num_elements() * tensor.dtype.size
