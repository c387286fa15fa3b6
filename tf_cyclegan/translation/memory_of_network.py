"""How much memory a translation takes, before it is begun."""

from dataclasses import dataclass

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from .tiles import Network

COPIES_OF_MASK = 4  # as they are made: ones, numbers drawn, which of them are large, the mask
TRIED = 256  # pixels a side of the picture whose translation is gone through on paper
# What pass on their input without a copy.
_ALIASES = {"Identity", "Reshape", "StopGradient", "Squeeze", "ExpandDims", "ReadVariableOp"}


@dataclass(frozen=True)
class Needs:
    """Bytes that are held at one time, at the most.

    Attributes:
        by_pixel: For every pixel of what is translated at once.
        by_pixel_of_whole: For every pixel of the whole picture, while a part of it is translated.
    """

    by_pixel: float
    by_pixel_of_whole: float = 0.0


def needs_of_network(network: Network, size_multiple: int) -> Needs:
    """What a translation by a network takes.

    The graph is gone through in its order: a tensor counts from when it is made until all that use it
    are done. Weights, which do not grow with the picture, are left out. Masks of dropout that stays
    are those of the whole picture.
    """
    side = -(-TRIED // size_multiple) * size_multiple
    door = tf.TensorSpec([1, side, side, network.input_shape[-1]], tf.float32)
    function = tf.function(lambda images: network(images, training=False), autograph=False)
    graph = function.get_concrete_function(door).graph
    drawn = [
        _bytes(operation.outputs[0])
        for operation in graph.get_operations()
        if operation.type.startswith("StatelessRandomUniform")
    ]
    masks = COPIES_OF_MASK * max(drawn, default=0)
    return Needs(_peak(graph) / side**2, masks / side**2)


def needs_of_function(function) -> Needs:
    """What a translation takes by a function of TensorFlow of which no more is known.

    Args:
        function: A concrete function of one argument, images `[N, H, W, C]` of any size.
    """
    frozen = convert_variables_to_constants_v2(function)
    images, definition = frozen.inputs[0], frozen.graph.as_graph_def()
    names = [tensor.name for tensor in frozen.outputs]

    def peak(side: int) -> int:
        # Of open sizes; with a known one put in its place, TensorFlow works out the sizes of all.
        graph = tf.Graph()
        with graph.as_default():
            known = tf.compat.v1.placeholder(images.dtype, [1, side, side, images.shape[-1]])
            graph.outputs = tf.import_graph_def(definition, {images.name: known}, names, name="")
        return _peak(graph)

    # What does not grow with the picture, as the weights that are constants here, cancels out.
    return Needs((peak(2 * TRIED) - peak(TRIED)) / (3 * TRIED**2))


def _peak(graph) -> int:
    """Bytes of the tensors that are alive at once, at the most, while a graph is run."""
    operations = graph.get_operations()
    root: dict = {}
    last_use: dict = {}
    for operation in operations:
        for tensor in operation.outputs:
            alias = operation.type in _ALIASES and operation.inputs
            source = operation.inputs[0].ref() if alias else tensor.ref()
            root[tensor.ref()] = root.get(source, source)
    for place, operation in enumerate(operations):
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
                end = max(last_use.get(tensor.ref(), place), place)  # loops use what comes later
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
