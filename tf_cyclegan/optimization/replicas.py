"""What the replicas of a training step do together; one alone has nothing to do.

A step on several devices runs once on each, on that replica's share of the batch. All of it is local
but the calls of these functions, so whatever lies between them can be compiled.
"""

import tensorflow as tf

from ..models.dropout import share_of_batch


class Replicas:
    """A single replica, whose share is the whole batch."""

    count = 1

    def local(self, part):
        """Prepare a part of the step that uses nothing of other replicas."""
        return part

    def gather(self, images: list) -> list:
        """Join every replica's `[N, ...]` to `[count * N, ...]`, in the order of the batch."""
        return images

    def share(self, images: list) -> list:
        """Take this replica's `[N, ...]` out of each `[count * N, ...]`."""
        return images

    def sum(self, tensors):
        """Add up a structure of tensors over the replicas; all get the result."""
        return tensors

    def update(self, updates, condition=None):
        """Update variables alike on all replicas.

        Args:
            updates: Tuples of an optimizer, gradients that are the same on all replicas, and the
                variables that they are of.
            condition: bool scalar, the same on all replicas: whether to do it at all.
        """

        def apply():
            for optimizer, gradients, variables in updates:
                optimizer.apply(gradients, variables)

        _if(condition, apply)

    def assign(self, variables: list, values: list):
        """Give variables values that are the same on all replicas."""
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


class SeveralReplicas(Replicas):
    """The replicas of a `tf.distribute` strategy; each method is called in its replica context.

    Args:
        strategy: The strategy.
        jit: Whether to compile the local parts with XLA.
    """

    def __init__(self, strategy: tf.distribute.Strategy, jit: bool):
        self.count = strategy.num_replicas_in_sync
        self._jit = jit

    def local(self, part):
        def with_share(*images):
            replica = _context().replica_id_in_sync_group
            with share_of_batch(replica, self.count, images[0].shape[0]):
                return part(*images)

        return tf.function(with_share, jit_compile=self._jit, autograph=False)

    def gather(self, images):
        gathered = _context().all_gather(images, axis=0)
        return [
            tf.ensure_shape(whole, [self.count * own.shape[0], *own.shape[1:]])
            for own, whole in zip(images, gathered, strict=True)
        ]

    def share(self, images):
        replica = _context().replica_id_in_sync_group
        shares = []
        for whole in images:
            size = whole.shape[0] // self.count
            own = whole[replica * size : (replica + 1) * size]
            shares.append(tf.ensure_shape(own, [size, *whole.shape[1:]]))
        return shares

    def sum(self, tensors):
        return _context().all_reduce(tf.distribute.ReduceOp.SUM, tensors)

    def update(self, updates, condition=None):
        optimizers, gradients, variables = zip(*updates, strict=True)

        def update_all(strategy, gradients, condition):
            # What an optimizer's `apply` does, but that would add up the gradients once more, and
            # cannot be called under a condition.
            def apply():
                for optimizer, *pairs in zip(optimizers, gradients, variables, strict=True):
                    for gradient, variable in zip(*pairs, strict=True):
                        strategy.extended.update(
                            variable.value,
                            lambda own, *args, step=optimizer.update_step: step(
                                args[0], own, args[1]
                            ),
                            args=(gradient, optimizer.learning_rate),
                            group=False,
                        )
                    optimizer.iterations.assign_add(1)

            if condition is not None:
                condition = strategy.experimental_local_results(condition)[0]
            _if(condition, apply)

        _context().merge_call(update_all, args=(gradients, condition))

    def assign(self, variables, values):
        def assign_all(strategy, values):
            for variable, value in zip(variables, values, strict=True):
                strategy.extended.update(
                    variable.value, lambda own, new: own.assign(new), args=(value,), group=False
                )

        _context().merge_call(assign_all, args=(values,))


def _if(condition, do):
    if condition is None:
        do()
    else:
        tf.cond(condition, do, lambda: None)


def _context():
    return tf.distribute.get_replica_context()
