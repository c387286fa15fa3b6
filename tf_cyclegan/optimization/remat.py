"""Computing activations twice instead of keeping them: memory for time."""

import keras


class Rematerialised:
    """A network whose backward pass keeps few activations and computes the others again.

    Chen et al. 2016, https://arxiv.org/abs/1604.06174. A functional model is cut into parts, at best
    where a single tensor is alive: after every residual block and every activation outside of one, and
    around every level of a U-Net. Kept is what goes from part to part. Parts that draw random numbers
    are left as they are, for they would draw others the second time.

    Args:
        network: A functional model of one input. Its layers, and so its weights, are shared; it must
            be called as `network(x, training=...)` would be, and gives a list of several outputs.
    """

    def __init__(self, network: keras.Model):
        calls = []

        def record(layer, *args, **kwargs):
            outputs = layer(*args, **kwargs)
            calls.append((layer, _tensors(args), (args, kwargs), outputs))
            return outputs

        copy = keras.models.clone_model(
            network, clone_function=lambda layer: layer, call_function=record
        )
        self._input, self._outputs = id(copy.input), [id(output) for output in copy.outputs]
        self._parts = [_Part(part, later) for part, later in _cut(calls, self._outputs)]

    def __call__(self, images, training=False):
        alive = {self._input: images}
        for part in self._parts:
            alive |= part([alive[tensor] for tensor in part.inputs], training)
        outputs = [alive[output] for output in self._outputs]
        return outputs if len(outputs) > 1 else outputs[0]


class _Part:
    """Some layers of a network as a network of its own.

    Args:
        calls: The layers with the tensors that go in and come out.
        later: What is used after them.
    """

    def __init__(self, calls, later):
        new = {}
        for _, inputs, _, _ in calls:
            for tensor in inputs:
                if id(tensor) not in new and not any(tensor is out for *_, out in calls):
                    new[id(tensor)] = keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype)
        self.inputs = list(new)
        inputs = list(new.values())
        for layer, _, arguments, output in calls:
            args, kwargs = keras.tree.map_structure(lambda x: new.get(id(x), x), arguments)
            new[id(output)] = layer(*args, **kwargs)
        self.outputs = [id(output) for *_, output in calls if id(output) in later]
        self._network = keras.Model(inputs, [new[output] for output in self.outputs])
        weights = {id(weight) for weight in self._network.weights}
        self._draws = any(id(variable) not in weights for variable in self._network.variables)

    def __call__(self, inputs, training):
        def compute(*inputs):
            return self._network(list(inputs), training=training)

        compute = compute if self._draws else keras.remat(compute)
        outputs = keras.tree.flatten(compute(*inputs))
        return dict(zip(self.outputs, outputs, strict=True))


def _cut(calls, outputs):
    """Divide calls into parts, each with what is used after it or given."""

    def used_from(index):
        return {id(tensor) for _, inputs, _, _ in calls[index:] for tensor in inputs}

    ends = set()
    for index, (layer, *_) in enumerate(calls):
        if isinstance(layer, keras.Sequential):
            ends |= {index, index + 1}
        elif isinstance(layer, (keras.layers.ReLU, keras.layers.Add)):
            later = used_from(index + 1) or {*outputs}
            if sum(id(made) in later for *_, made in calls[: index + 1]) == 1:
                ends.add(index + 1)
    ends = sorted((ends | {len(calls)}) - {0})
    for start, end in zip([0, *ends], ends, strict=False):
        yield calls[start:end], used_from(end) | {*outputs}


def _tensors(args):
    return [tensor for tensor in keras.tree.flatten(args) if isinstance(tensor, keras.KerasTensor)]
