"""Every check: what is computed, against what, the measured error and its bound."""

import dataclasses
import functools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from tf_cyclegan import PRESETS, CycleGAN
from tf_cyclegan.models import patchgan_discriminator, resnet_generator, unet_generator
from tf_cyclegan.optimization.image_pool import RNG, ImagePool
from tf_cyclegan.optimization.schedules import LinearDecay

from . import golden, tutorial


@dataclass(frozen=True)
class Check:
    """One row of docs/fidelity.md, and one test.

    Attributes:
        group: Heading that the row stands under.
        what: What is compared.
        bound: The largest error that passes.
        measure: Computes the error.
    """

    group: str
    what: str
    bound: float
    measure: Callable[[], float]


@contextmanager
def precision(dtype: str) -> Iterator[None]:
    """Build and run Keras in `dtype`: inputs follow floatx, layers the dtype policy.

    Without TensorFloat-32, which keeps ten bits of a float32 on a GPU.
    """
    before = keras.config.floatx(), keras.config.dtype_policy()
    tf32 = tf.config.experimental.tensor_float_32_execution_enabled()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])
        tf.config.experimental.enable_tensor_float_32_execution(tf32)


def relative(ours, expected) -> float:
    """The largest error, relative to the largest value."""
    ours, expected = np.asarray(ours, np.float64), np.asarray(expected, np.float64)
    assert ours.shape == expected.shape, f"{ours.shape} is not {expected.shape}"
    return float(np.abs(ours - expected).max() / np.abs(expected).max())


def relative_of_each(ours, expected, floor: float) -> float:
    """The largest error of a network's arrays by their sketches, relative to the array.

    Arrays shorter than `floor` times the longest are measured against that.
    """
    lengths = np.linalg.norm(expected, axis=1)
    errors = np.linalg.norm(ours - expected, axis=1)
    return float((errors / np.maximum(lengths, floor * lengths.max())).max())


# --- Networks


def to_torch(array) -> np.ndarray:
    """A weight or gradient in PyTorch's layout; the same for both kinds of convolution."""
    array = np.asarray(array)
    if array.ndim == 2:  # a dense layer is a convolution of one pixel
        array = array[None, None]
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array


def from_torch(images: np.ndarray) -> np.ndarray:
    return images.transpose(0, 2, 3, 1)


def set_weights(network: keras.Model, seed: int) -> None:
    """Give a network the weights that the golden script drew, in the order of the layers."""
    random = golden.draws(seed)
    for weight in network.trainable_weights:
        shape = to_torch(np.empty(weight.shape)).shape
        values = golden.draw_weight(random, weight.name, shape)
        values = values.transpose(2, 3, 1, 0) if values.ndim == 4 else values
        weight.assign(values.reshape(weight.shape))


NETWORKS = {"resnet": resnet_generator, "unet": unet_generator, "patchgan": patchgan_discriminator}


def network_error(case: str, dtype: str) -> float:
    """The largest relative error of a network's output over its golden sizes."""
    network, kwargs, seed, sizes = golden.NETWORK_CASES[case]
    expected = golden.load("networks")
    with precision(dtype):
        model = NETWORKS[network](filters=golden.FILTERS, **kwargs)
        set_weights(model, seed)
        shapes = [str(to_torch(np.empty(weight.shape)).shape) for weight in model.trainable_weights]
        assert shapes == list(expected[f"{case} shapes"])
        errors = []
        for height, width in sizes:
            images = golden.draw_images(golden.draws(seed), 2, height, width)[:1]
            translate = tf.function(model, autograph=False)  # a graph, as everywhere in use
            ours = translate(from_torch(images).astype(dtype), training=False)
            assert ours.dtype == dtype
            errors.append(relative(ours, from_torch(expected[f"{case} {height}x{width}"])))
    return max(errors)


def network_checks() -> Iterator[Check]:
    for dtype, bound in (("float64", 1e-9), ("float32", 1e-4)):
        for case, (_, _, _, sizes) in golden.NETWORK_CASES.items():
            at = " and ".join(f"{height}x{width}" for height, width in sizes)
            measure = functools.partial(network_error, case, dtype)
            yield Check("Networks", f"{case}, output at {at}, {dtype}", bound, measure)


# --- Training steps

TRAINING = {
    "paper": dataclasses.replace(
        PRESETS["paper"],
        image_size="24x28",
        generator="resnet6",
        filters=golden.FILTERS,
        discriminator_filters=golden.FILTERS,
        batch_size=golden.BATCH,
        pool_size=golden.POOL_SIZE,
    ),
    "tutorial": dataclasses.replace(
        PRESETS["tutorial"],
        image_size=32,
        filters=golden.FILTERS,
        discriminator_filters=golden.FILTERS,
        batch_size=golden.BATCH,
    ),
}


def replay(pool: ImagePool, step: tf.Variable, keep, slots) -> None:
    """Make a pool decide as the golden script's did."""
    keep, slots = tf.constant(keep), tf.constant(slots, tf.int32)
    pool.query = lambda images, seed: pool.exchange(images, keep[step], slots[step])


@functools.cache
def train(preset: str) -> dict[str, np.ndarray]:
    """What the golden script's `train` gives, by CycleGAN in float64."""
    config, seed = TRAINING[preset], golden.TRAINING_SEEDS[preset]
    random = golden.draws(seed)
    height, width = config.image_shape
    images = golden.draw_images(random, 2 * golden.STEPS * golden.BATCH, height, width)
    images = images.reshape(golden.STEPS, 2, golden.BATCH, 3, height, width)
    with precision("float64"):
        model = CycleGAN(config, total_steps=golden.STEPS)
        for pool in filter(None, (model.pool_x, model.pool_y)):
            replay(pool, model.step, *golden.draw_choices(random))
        networks = {name: getattr(model, name) for name in golden.NETWORKS}
        for i, network in enumerate(networks.values(), 1):
            set_weights(network, seed + i)
            for layer in network._flatten_layers():
                if isinstance(layer, keras.layers.Dropout):
                    layer.rate = 0.0  # PyTorch cannot draw the same masks
        before = copies(networks)
        gradients = record_gradients(model)
        optimizer = model.checkpoint_items["generator_g_optimizer"]

        @tf.function(autograph=False)
        def step(real_x, real_y):
            return model.train_step(real_x, real_y), gradients

        terms, rates, arrays = [], [], {}
        for i, reals in enumerate(images):
            rates.append(float(optimizer.learning_rate))
            losses, gradient = step(*(tf.constant(from_torch(real), tf.float64) for real in reals))
            terms.append([float(losses[name]) for name in golden.TERMS])
            if i not in (0, golden.STEPS - 1):
                continue
            after = copies(networks)
            for name in networks:
                changes = map(np.subtract, after[name], before[name])
                arrays[f"gradients {i + 1} {name}"] = sketches(gradient[name])
                arrays[f"changes {i + 1} {name}"] = sketches(changes)
    return arrays | {"terms": np.array(terms), "rates": np.array(rates)}


def record_gradients(model: CycleGAN) -> dict:
    """A dict that holds the gradients of the model's latest step."""
    recorded, compute = {}, model.losses_and_gradients

    def record(real_x, real_y):
        terms, gradients = compute(real_x, real_y)
        recorded.update(gradients)
        return terms, gradients

    model.losses_and_gradients = record
    return recorded


def copies(networks: dict) -> dict[str, list[np.ndarray]]:
    return {
        name: [weight.numpy() for weight in network.trainable_variables]
        for name, network in networks.items()
    }


def sketches(arrays) -> np.ndarray:
    return golden.sketches(map(to_torch, arrays))


def terms_error(preset: str, steps: int) -> float:
    ours, expected = train(preset)["terms"][:steps], golden.load(preset)["terms"][:steps]
    return float(np.abs(ours / expected - 1).max())


def arrays_error(preset: str, kind: str, step: int, network: str) -> float:
    name, expected = f"{kind} {step} {network}", golden.load(preset)
    ours, theirs = train(preset)[name], expected[name]
    if kind == "changes":
        # A bias before a norm has gradient zero: its change is rounding, which Adam makes larger.
        lengths = np.linalg.norm(expected[f"gradients {step} {network}"], axis=1)
        is_moved = lengths > 1e-9 * lengths.max()
        ours, theirs = ours[is_moved], theirs[is_moved]
    return relative_of_each(ours, theirs, floor=1e-3)


def training_checks() -> Iterator[Check]:
    def row(preset, what, bound, measure, *args):
        return Check(f"Training, {preset}", what, bound, functools.partial(measure, preset, *args))

    for preset in TRAINING:
        for step, bound in ((1, 1e-10), (golden.STEPS, 1e-8)):
            after = "the first step" if step == 1 else f"{step} steps"
            yield row(preset, f"all losses of {after}", bound, terms_error, step)
            for kind in ("gradients", "changes"):
                for name in golden.NETWORKS:
                    noun = {
                        "gradients": f"{name}, gradients of step {step}",
                        "changes": f"{name}, change of the weights by {after}",
                    }[kind]
                    yield row(preset, noun, bound, arrays_error, kind, step, name)


# --- Learning rate

EPOCHS, STEPS_PER_EPOCH, RATE = 200, 1334, 2e-4  # the paper on horse2zebra


def rates(dtype: str) -> np.ndarray:
    """Our rate at every boundary of epochs, as a share of the first: [EPOCHS + 1]."""
    with precision(dtype):
        schedule = LinearDecay(RATE, PRESETS["paper"].decay_start, EPOCHS * STEPS_PER_EPOCH)
        steps = [epoch * STEPS_PER_EPOCH for epoch in range(EPOCHS + 1)]
        return np.array([float(schedule(tf.constant(step, tf.int64))) for step in steps]) / RATE


def paper_rate_error(dtype: str) -> float:
    """Against the paper's words: "the same rate for the first 100 epochs", then linearly to zero."""
    expected = [1.0] * 100 + [(200 - epoch) / 100 for epoch in range(100, 201)]
    return float(np.abs(rates(dtype) - expected).max())


def golden_rate_error(preset: str) -> float:
    return relative(train(preset)["rates"], golden.load(preset)["rates"])


def authors_rate_difference() -> float:
    """The authors' rule is one rate an epoch: 1 - max(0, epoch + 1 - 100) / 101, epoch from 1."""
    ours = rates("float64")
    theirs = np.array([1 - max(0, epoch + 1 - 100) / 101 for epoch in range(1, EPOCHS + 1)])
    first, last = ours[:-1] - theirs, ours[1:] - theirs
    return float(np.abs([first, last]).max())


def rate_checks() -> Iterator[Check]:
    group = "Learning rate"
    for dtype, bound in (("float64", 1e-12), ("float32", 1e-6)):
        what = f"paper: the rate at all 201 boundaries of epochs, share of 2e-4, {dtype}"
        yield Check(group, what, bound, functools.partial(paper_rate_error, dtype))
    for preset, shape in (("paper", "falling in the second half"), ("tutorial", "constant")):
        what = f"{preset}: what Adam used in ten steps, {shape}, float64"
        yield Check(group, what, 1e-12, functools.partial(golden_rate_error, preset))
    what = "a difference by design: the authors' rule, which stays for an epoch"
    yield Check(group, what, 0.02, authors_rate_difference)


# --- Image pool

DRAWS, POOL = 10_000, 50


@functools.cache
def pool_run() -> tuple[np.ndarray, np.ndarray]:
    """Put images 0, 1, 2, ... into a pool of 50 with the seeds of training steps.

    Returns:
        The images returned, and the place that each came from; -1 where it is the image itself.
    """
    pool = ImagePool(POOL, [1, 1, 1], "int32")

    @tf.function
    def run():
        returned = tf.TensorArray(tf.int32, POOL + DRAWS)
        for i in tf.range(POOL + DRAWS):
            seed = tf.random.split(tf.random.fold_in([0, 0], tf.cast(i, tf.int64), RNG), 2, RNG)[0]
            images = tf.reshape(i, [1, 1, 1, 1])
            returned = returned.write(i, tf.reshape(pool.query(images, seed), []))
        return returned.stack()

    returned = run().numpy()
    places, slots = {}, []
    for i, image in enumerate(returned):
        if i < POOL:
            places[i] = i
        slots.append(-1)
        if image != i:
            slots[-1] = places.pop(image)
            places[i] = slots[-1]
    return returned, np.array(slots)


def filling_error() -> float:
    return float(np.abs(pool_run()[0][:POOL] - np.arange(POOL)).max())


def return_rate_deviation() -> float:
    kept = (pool_run()[1][POOL:] == -1).mean()
    return float(abs(kept - 0.5) / np.sqrt(0.25 / DRAWS))


def slots_chi_square() -> float:
    slots = pool_run()[1]
    counts = np.bincount(slots[slots >= 0], minlength=POOL)
    expected = counts.sum() / POOL
    return float((np.square(counts - expected) / expected).sum())


def xla_differences() -> float:
    """How many images of 20 batches differ when XLA compiles the pool."""
    returned = []
    for jit_compile in (False, True):
        pool = ImagePool(5, [1, 1, 1])
        query = tf.function(pool.query, jit_compile=jit_compile)
        batches = [tf.reshape(tf.range(i, i + 4.0), [4, 1, 1, 1]) for i in range(0, 80, 4)]
        returned.append([query(batch, tf.constant([1, i])) for i, batch in enumerate(batches)])
    return float(np.not_equal(*np.array(returned)).sum())


def batch_differences(batch: int) -> float:
    """How many images of 20 batches differ from what a list of images would have returned."""
    random, size = np.random.default_rng(0), 5
    pool, images = ImagePool(size, [1, 1, 1], "float64"), []
    differences = 0
    for first in range(0, 20 * batch, batch):
        fresh = np.arange(first, first + batch, dtype=np.float64)
        keep, slots = random.random(batch) < 0.5, random.integers(0, size, batch)
        returned = pool.exchange(
            tf.reshape(tf.constant(fresh), [batch, 1, 1, 1]),
            tf.constant(keep),
            tf.constant(slots, tf.int32),
        )
        expected = []
        for image, kept, slot in zip(fresh, keep, slots, strict=True):
            if len(images) < size:
                images.append(image)
                expected.append(image)
            elif kept:
                expected.append(image)
            else:
                expected.append(images[slot])
                images[slot] = image
        differences += int((returned.numpy().ravel() != expected).sum())
        assert pool.images.numpy().ravel()[: len(images)].tolist() == images
    return float(differences)


def pool_checks() -> Iterator[Check]:
    group = "Image pool"
    yield Check(group, "while it fills, images come back as they are", 0.0, filling_error)
    what = "10,000 images: share returned as they are, standard errors from 1/2"
    yield Check(group, what, 3.3, return_rate_deviation)
    what = "10,000 images: places of the others, chi-square of 50 (99.9% are below 85.4)"
    yield Check(group, what, 85.4, slots_chi_square)
    for batch in (1, 4, 8):
        what = f"batch {batch}, pool of 5: images unlike those of a plain list"
        yield Check(group, what, 0.0, functools.partial(batch_differences, batch))
    what = "20 batches of 4, pool of 5: images that differ when XLA compiles it"
    yield Check(group, what, 0.0, xla_differences)


# --- Tutorial checkpoint

TUTORIAL_FILTERS = 2


@functools.cache
def restored_tutorial() -> tuple[dict, dict, CycleGAN]:
    """Write a checkpoint with the tutorial's code, restore it into ours."""
    networks, optimizers, checkpoint = tutorial.checkpoint(TUTORIAL_FILTERS)
    random = np.random.default_rng(0)
    for name, network in networks.items():
        variables = network.trainable_variables
        for variable in variables:
            variable.assign(variable + random.normal(0, 0.1, variable.shape))
        gradients = [tf.constant(random.normal(size=v.shape), v.dtype) for v in variables]
        optimizers[f"{name}_optimizer"].apply_gradients(zip(gradients, variables, strict=True))
    config = dataclasses.replace(
        PRESETS["tutorial"], filters=TUTORIAL_FILTERS, discriminator_filters=TUTORIAL_FILTERS
    )
    ours = CycleGAN(config, total_steps=1)
    with tempfile.TemporaryDirectory() as folder:
        manager = tf.train.CheckpointManager(checkpoint, folder, max_to_keep=5)
        status = tf.train.Checkpoint(**ours.checkpoint_items).restore(manager.save())
        status.expect_partial()
    return networks, optimizers, ours


def tutorial_output_error(name: str) -> float:
    networks, _, ours = restored_tutorial()
    images = tf.random.stateless_uniform([1, 256, 256, 3], [0, 1], -1.0, 1.0)
    with precision("float32"):
        expected = networks[name](images, training=False)
        return relative(getattr(ours, name)(images, training=False), expected)


def tutorial_moments_error() -> float:
    networks, optimizers, ours = restored_tutorial()
    differences = []
    for name in networks:
        theirs = optimizers[f"{name}_optimizer"].variables
        mine = ours.checkpoint_items[f"{name}_optimizer"].variables
        assert len(theirs) > 2, "iterations and learning rate alone are no moments"
        differences += [
            np.abs(a.numpy() - b.numpy()).max() for a, b in zip(mine, theirs, strict=True)
        ]
    return float(max(differences))


def tutorial_checks() -> Iterator[Check]:
    group = "Tutorial checkpoint"
    for name in golden.NETWORKS:
        what = f"{name} restored, output at 256x256, float32"
        yield Check(group, what, 1e-5, functools.partial(tutorial_output_error, name))
    what = "Adam's moments, step counts and rates, all four optimizers"
    yield Check(group, what, 0.0, tutorial_moments_error)


CHECKS = [
    *network_checks(),
    *training_checks(),
    *rate_checks(),
    *pool_checks(),
    *tutorial_checks(),
]
