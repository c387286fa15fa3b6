"""What tests ask of checkpoints."""

import hashlib

import numpy as np
import tensorflow as tf


def checkpoint_hash(folder):
    """One hash over every tensor in the newest checkpoint."""
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(folder / "checkpoints")))
    digest = hashlib.sha256()
    for name in sorted(reader.get_variable_to_shape_map()):
        # Counts how often a process saved, which is no part of the run; the graph has random names.
        if name not in ("save_counter/.ATTRIBUTES/VARIABLE_VALUE", "_CHECKPOINTABLE_OBJECT_GRAPH"):
            digest.update(name.encode() + np.asarray(reader.get_tensor(name)).tobytes())
    return digest.hexdigest()
