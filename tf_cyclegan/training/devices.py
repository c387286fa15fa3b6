"""Which devices a run trains on: one, all of a machine's, those of several machines, or a TPU."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import tensorflow as tf

from ..data.pipeline import UnpairedImages
from ..errors import UserError
from ..optimization.replicas import Replicas, SeveralReplicas
from ..progress import log

TPU_VARIABLES = ("TPU_NAME", "COLAB_TPU_ADDR")  # what Cloud, Kaggle and Colab name their TPU in


def keep_operations_to_a_core() -> None:
    """On two cores without a GPU, let TensorFlow do two operations at a time instead of dividing each.

    A step has two halves that need nothing of each other, what G makes and what F makes. Dividing every
    operation between the cores as well takes up to a third longer, and sums in another order than one
    core does. Every training begins with this, so that its bits do not depend on what started it; where
    TensorFlow's runtime has started with other threads, that is said.
    """
    if usable_cores() != 2 or tf.config.list_physical_devices("GPU"):
        return
    if tf.config.threading.get_intra_op_parallelism_threads() == 1:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
    except RuntimeError:  # started already
        log(
            "TensorFlow was at work before this training and divides each operation between the two "
            "cores: the run is slower, and rounded otherwise than in a process that begins with it"
        )


def usable_cores() -> int:
    """How many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def accelerated() -> bool:
    """Whether TensorFlow sees a GPU or a TPU."""
    return bool(tf.config.list_physical_devices("GPU") or tf.config.list_physical_devices("TPU"))


class Devices:
    """One device, and all that several add to training on it.

    Attributes:
        name: What to call them in a message.
        count: Replicas, each of which takes an equal share of every batch.
        workers: Processes that take part.
        is_chief: Whether this process writes the files of the run: of several workers, one does.
    """

    def __init__(self):
        found = tf.config.list_physical_devices("GPU") or tf.config.list_physical_devices("CPU")
        self.name = found[0].device_type
        self.count = self.workers = 1
        self.is_chief = True

    def scope(self):
        """The context to create variables in."""
        return nullcontext()

    def replicas(self, jit: bool) -> Replicas:
        """What a method needs to know; `jit` says whether to compile its steps with XLA."""
        return Replicas()

    def function(self, of_a_replica: Callable, jit: bool) -> Callable:
        """Make a graph of a function that runs on every replica; give the result of the first."""
        return tf.function(of_a_replica, jit_compile=jit, autograph=False)

    def batches(self, data: UnpairedImages, start_step: int, total_steps: int) -> Iterator:
        """The batches of a run for what `function` returns, from `start_step` on."""
        return iter(data.train_batches(start_step, total_steps))

    def all_workers(self, value: int) -> list[int]:
        """The `value` that each replica's worker gives; none goes on before all have come here."""
        return [value]

    @contextmanager
    def lost_workers_told(self) -> Iterator[None]:
        """Turn what TensorFlow says when another worker has gone into a sentence."""
        yield


class SeveralDevices(Devices):
    """The devices of a `tf.distribute` strategy, in this process and perhaps others."""

    def __init__(self, strategy: tf.distribute.Strategy, name: str):
        self.strategy = strategy
        self.count = strategy.num_replicas_in_sync
        self.name = f"{name}, {self.count} replica{'s' if self.count > 1 else ''}"
        self.workers = 1
        self.is_chief = True
        self._is_tpu = isinstance(strategy, tf.distribute.TPUStrategy)

    def scope(self):
        return self.strategy.scope()

    def replicas(self, jit):
        # A TPU compiles everything that runs on it by itself.
        return SeveralReplicas(self.strategy, jit and not self._is_tpu)

    def function(self, of_a_replica, jit):
        def on_all(*args):
            results = self.strategy.run(of_a_replica, args=args)
            return tf.nest.map_structure(self._first, results)

        return tf.function(on_all, autograph=False)

    def _first(self, result):
        return self.strategy.experimental_local_results(result)[0]

    def batches(self, data, start_step, total_steps):
        def shares(context: tf.distribute.InputContext):
            # Endless, because at the end of a finite one workers ask each other at every batch
            # whether there is another.
            return data.train_batches(
                start_step,
                total_steps,
                share=context.input_pipeline_id,
                shares=context.num_input_pipelines,
                parts=context.num_replicas_in_sync // context.num_input_pipelines,
            ).repeat()

        return iter(self.strategy.distribute_datasets_from_function(shares))


class Workers(SeveralDevices):
    """The devices of several processes, each started with its own TF_CONFIG."""

    def __init__(self, strategy: tf.distribute.MultiWorkerMirroredStrategy):
        resolver = strategy.cluster_resolver
        cluster = resolver.cluster_spec()
        workers = sum(cluster.num_tasks(job) for job in cluster.jobs)
        super().__init__(strategy, f"{workers} workers")
        self.workers = workers
        self.is_chief = resolver.task_type == "chief" or (
            "chief" not in cluster.jobs and resolver.task_id == 0
        )
        self._all_gather = tf.function(self._gather, autograph=False)

    def all_workers(self, value):
        return self._all_gather(tf.constant([value], tf.int64)).numpy().tolist()

    def _gather(self, value):
        def gather(value):
            here = tf.identity(value)  # on the replica's device
            return tf.distribute.get_replica_context().all_gather(here, axis=0)

        return self._first(self.strategy.run(gather, args=(value,)))

    @contextmanager
    def lost_workers_told(self):
        try:
            yield
        except (
            tf.errors.AbortedError,
            tf.errors.CancelledError,
            tf.errors.DeadlineExceededError,
            tf.errors.FailedPreconditionError,
            tf.errors.UnavailableError,
        ) as error:
            raise UserError(
                f"another worker of this run has gone ({_first_line(error)}); start all workers "
                "again, and the run goes on from its last checkpoint"
            ) from error


def find_devices(strategy: str, batch_size: int) -> Devices:
    """The devices that `--strategy` asks for.

    For several workers call it before TensorFlow does anything else; it returns when all have come.

    Raises:
        UserError: There are no such devices, or the batch cannot be divided among them.
    """
    devices = _BY_NAME[strategy]()
    if batch_size % devices.count:
        raise UserError(
            f"--batch-size {batch_size} cannot be divided among {devices.count} replicas "
            f"({devices.name}): it counts the images of all together, so make it a multiple of "
            f"{devices.count}, or pass --strategy one"
        )
    return devices


def _auto() -> Devices:
    if any(name in os.environ for name in TPU_VARIABLES) or tf.config.list_physical_devices("TPU"):
        return _tpu()
    if os.environ.get("TF_CONFIG"):
        return _workers()
    return _mirrored() if len(tf.config.list_physical_devices("GPU")) > 1 else Devices()


def _mirrored() -> Devices:
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    names = [device.name for device in tf.config.list_logical_devices(kind)]
    if len(names) < 2:
        raise UserError(
            f"--strategy mirrored needs several devices and there is one {kind}: "
            "pass --strategy one, or auto"
        )
    return SeveralDevices(tf.distribute.MirroredStrategy(names), f"{len(names)} {kind}s")


def _workers() -> Devices:
    check_tf_config(os.environ.get("TF_CONFIG", ""))
    try:
        return Workers(tf.distribute.MultiWorkerMirroredStrategy())
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        raise UserError(
            f"the workers of TF_CONFIG could not be joined ({_first_line(error)}); "
            "see that all are started, with the same addresses, and that their ports are free"
        ) from error


def check_tf_config(text: str) -> None:
    """See that TF_CONFIG names the workers and which of them this is.

    Raises:
        UserError: It does not.
    """
    example = (
        'for two workers: {"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
        '"task": {"type": "worker", "index": 0}}'
    )
    if not text:
        raise UserError(f"--strategy multiworker needs the variable TF_CONFIG, {example}")
    try:
        config = json.loads(text)
        cluster = {job: list(addresses) for job, addresses in config["cluster"].items()}
        job, index = config["task"]["type"], int(config["task"]["index"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"TF_CONFIG is not what it should be ({type(error).__name__}: {error}), {example}"
        ) from error
    other = [name for name in cluster if name not in ("chief", "worker")]
    if other:
        raise UserError(f"TF_CONFIG has tasks of type {other[0]}; training has worker and chief")
    if job not in cluster or not 0 <= index < len(cluster[job]):
        raise UserError(f"TF_CONFIG says that this is {job} {index}, which its cluster lacks")


def _tpu() -> Devices:
    # The lines of TensorFlow's documentation.
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(os.environ.get("TPU_NAME", ""))
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        strategy = tf.distribute.TPUStrategy(resolver)
    except (tf.errors.OpError, ImportError, OSError, RuntimeError, ValueError) as error:
        raise UserError(
            f"there is no TPU to train on ({_first_line(error)}); name it in the variable TPU_NAME "
            '("local" on a TPU VM), or pass another --strategy'
        ) from error
    return SeveralDevices(strategy, "TPU")


_BY_NAME = {
    "auto": _auto,
    "one": Devices,
    "mirrored": _mirrored,
    "multiworker": _workers,
    "tpu": _tpu,
}


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__
