import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from checkpoints import checkpoint_hash
from PIL import Image
from trainings import interrupted_at, quick_trainings

import tf_cyclegan as cg
from tests.fidelity import golden
from tests.fidelity.checks import from_torch, precision, relative_of_each
from tf_cyclegan import evaluate, export, models
from tf_cyclegan.errors import UserError
from tf_cyclegan.methods.cogan.settings import PRESETS, Config
from tf_cyclegan.methods.cogan.step import CoGAN
from tf_cyclegan.optimization.image_pool import RNG
from tf_cyclegan.optimization.replicas import SeveralReplicas
from tf_cyclegan.training.run import Run
from tf_cyclegan.translation.translator import export_run

TINY = Config(
    image_size=16,
    load_size=18,
    batch_size=3,
    latent_size=4,
    filters=2,
    discriminator_filters=2,
    generator_own_layers=1,
    discriminator_own_layers=1,
    search_steps=3,
    steps=4,
    checkpoint_every=2,
    sample_every=0,
    log_every=1,
    jit="off",
)
FAST = dataclasses.replace(TINY, learning_rate=0.01)  # what is learnt shows at once
GENERATORS = ("generator_trunk", "generator_x", "generator_y")
NETWORKS = (*GENERATORS, "discriminator_x", "discriminator_y", "discriminator_trunk")


def random_batch(seed, count=3, size=16):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, [2, count, size, size, 3]).astype(np.float32)


def step_losses(config, steps=3):
    method = CoGAN(config, 3)
    batches = [random_batch(i, config.batch_size, config.image_shape[0]) for i in range(steps)]
    return [
        {name: float(loss) for name, loss in method.train_step(*batch).items()} for batch in batches
    ]


# --- Against PyTorch in float64: tools/make_golden_cogan.py


def set_weights(network, seed):
    """Give a network the weights that the golden script drew, in the order of its layers."""
    random = golden.draws(seed)
    for weight in network.trainable_weights:
        shape, kind = tuple(weight.shape), "kernel" if weight.name == "kernel" else "offset"
        if len(shape) == 4:
            values = golden.draw_weight(random, kind, (shape[3], shape[2], *shape[:2]))
            values = values.transpose(2, 3, 1, 0)
        elif kind == "kernel":
            values = golden.draw_weight(random, kind, (*shape[::-1], 1, 1))[:, :, 0, 0].T
        else:
            values = golden.draw_weight(random, kind, (shape[-1],)).reshape(shape)
        weight.assign(values)


def copies(network):
    # A slope that all pixels of a channel share is [1, 1, C] here.
    return [weight.numpy().squeeze() for weight in network.trainable_weights]


@pytest.fixture(scope="module")
def two_steps():
    """What the golden script computes, by CoGAN in float64."""
    random, batch = golden.draws(300), TINY.batch_size
    images = golden.draw_images(random, 4 * batch, 16, 16).reshape(2, 2, batch, 3, 16, 16)
    latents = tf.constant(random.uniform(-1.0, 1.0, (2, batch, TINY.latent_size)), tf.float64)
    arrays, terms = {}, []
    with precision("float64"):
        method = CoGAN(TINY, total_steps=2)
        method.latent_vectors = lambda count: latents[method.step]
        for i, name in enumerate(NETWORKS, 1):
            set_weights(getattr(method, name), 300 + i)
        before = {name: copies(getattr(method, name)) for name in NETWORKS}
        step = tf.function(method.train_step, autograph=False)
        for i, (real_x, real_y) in enumerate(images, 1):
            losses = step(tf.constant(from_torch(real_x)), tf.constant(from_torch(real_y)))
            terms.append([float(loss) for loss in losses.values()])
            for name in NETWORKS:
                changes = map(np.subtract, copies(getattr(method, name)), before[name])
                arrays[f"changes {i} {name}"] = golden.sketches(changes)
        arrays["averages"] = golden.sketches(method.generator_trunk.non_trainable_weights)
    return arrays | {"terms": np.array(terms)}


def test_the_losses_are_those_of_another_code(two_steps):
    np.testing.assert_allclose(two_steps["terms"], golden.load("cogan")["terms"], rtol=1e-10)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("step", [1, 2])
def test_the_updates_are_those_of_another_code(two_steps, step, name):
    changes = f"changes {step} {name}"
    error = relative_of_each(two_steps[changes], golden.load("cogan")[changes], floor=0.1)
    assert error < 1e-10


def test_the_averages_are_those_of_another_code(two_steps):
    error = relative_of_each(two_steps["averages"], golden.load("cogan")["averages"], floor=0.1)
    assert error < 1e-10


# --- Networks


@pytest.mark.parametrize(("size", "own"), [(16, 1), (16, 3), (32, 2), (64, 4)])
def test_networks_fit_each_other_at_every_size(size, own):
    trunk = models.generator_trunk(size, 5, 2, own)
    head = models.generator_head(size, 2, own)
    front = models.discriminator_front(size, 2, own)
    judge = models.discriminator_trunk(size, 2, own)
    image = head(trunk(np.zeros([2, 5], np.float32)))
    assert image.shape == (2, size, size, 3)
    assert judge(front(image)).shape == (2, 1)
    sizes = (layer.output.shape[1] for layer in judge.layers if "conv2d" in layer.name)
    assert min(sizes, default=2) == 2


def test_the_face_models_have_the_authors_widths():
    trunk = models.generator_trunk(own_layers=1)
    kernels = [tuple(w.shape) for w in trunk.weights if w.name == "kernel"]
    widths = (1024, 512, 256, 128, 64, 32)
    doublings = zip(widths[1:], widths, strict=False)
    assert kernels == [(100, 16 * 1024), *((4, 4, *doubling) for doubling in doublings)]
    trunk = models.discriminator_trunk(own_layers=2)
    kernels = [tuple(w.shape) for w in trunk.weights if w.name == "kernel"]
    assert kernels == [
        *((5, 5, 64, 128), (3, 3, 128, 256), (3, 3, 256, 512), (3, 3, 512, 1024)),
        *((4 * 1024, 2048), (2048, 1)),
    ]


def test_networks_survive_a_file(tmp_path):
    method = CoGAN(TINY)
    latent = np.random.default_rng(0).uniform(-1, 1, [2, 4]).astype(np.float32)
    method.generator_trunk.save(tmp_path / "trunk.keras")
    loaded = keras.models.load_model(tmp_path / "trunk.keras")
    np.testing.assert_array_equal(loaded(latent), method.generator_trunk(latent))


def test_tied_layers_are_one():
    """Whatever teaches one domain alone changes the tied layers, and nothing of the other domain."""
    method = CoGAN(TINY, 1)
    variables = [v for name in NETWORKS for v in getattr(method, name).trainable_variables]
    with tf.GradientTape() as tape:
        latent = method.latent_vectors(3)
        x, y = method.render(latent, training=True)
        loss = tf.reduce_sum(method.judge(x, tf.stop_gradient(y))[0])
    gradients = dict(zip([id(v) for v in variables], tape.gradient(loss, variables), strict=True))
    learns = {
        name: any(
            gradients[id(v)] is not None and np.abs(gradients[id(v)]).max() > 0
            for v in getattr(method, name).trainable_variables
        )
        for name in NETWORKS
    }
    assert learns.pop("generator_y") is False
    learns.pop("discriminator_y")  # its images are in the batch that the tied batch norms look at
    assert all(learns.values())
    saved = [item for item in method.checkpoint_items.values() if isinstance(item, keras.Model)]
    assert len(saved) == len({id(item) for item in saved}) == 6


# --- Settings


@pytest.fixture(scope="module")
def default_losses():
    return step_losses(FAST)


@pytest.mark.parametrize(
    ("settings", "shows_at"),
    [
        ({"seed": 1}, 1),
        ({"image_size": 32, "load_size": 32}, 1),
        ({"batch_size": 2}, 1),
        ({"latent_size": 5}, 1),
        ({"filters": 3}, 1),
        ({"discriminator_filters": 3}, 1),
        ({"generator_own_layers": 2}, 1),
        ({"discriminator_own_layers": 2}, 1),
        ({"weight_decay": 10.0}, 2),
        ({"learning_rate": 1e-3}, 2),
        ({"epsilon": 1e-3}, 2),
        ({"beta_1": 0.9}, 3),
        ({"decay_start": 0.0}, 3),
    ],
)
def test_every_setting_changes_what_is_learnt(settings, shows_at, default_losses):
    losses = step_losses(dataclasses.replace(FAST, **settings), shows_at)
    *before, last = losses
    for losses, expected in zip(before, default_losses, strict=False):
        assert losses == pytest.approx(expected, rel=1e-4)
    assert last != pytest.approx(default_losses[shows_at - 1], rel=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        {"search_steps": 5},
        {"search_rate": 0.3},
        {"search_distance": "l1"},
        {"search_starts": 4},
    ],
)
def test_every_setting_of_the_search_changes_what_is_found(settings):
    x, _ = random_batch(0)
    found = [
        CoGAN(config).translators["x_to_y"].nearest(x).numpy()
        for config in (TINY, dataclasses.replace(TINY, **settings))
    ]
    assert np.abs(found[0] - found[1]).max() > 1e-3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"image_size": 48}, "--image-size 48 does not fit cogan, .* 16, 32, 64"),
        ({"image_size": 8}, "--image-size 8 does not fit cogan"),
        ({"image_size": "64x32"}, "--image-size 64x32 does not fit cogan"),
        ({"generator_own_layers": 4}, "--generator-own-layers is 4; .* from 1 to 3"),
        ({"discriminator_own_layers": 4}, "--discriminator-own-layers is 4; .* from 1 to 3"),
        ({"batch_size": 1}, "--batch-size 1 does not fit cogan"),
        ({"remat": True}, "--remat does not fit cogan"),
    ],
)
def test_what_does_not_fit_is_refused(settings, words):
    with pytest.raises(UserError, match=words):
        dataclasses.replace(TINY, **({"load_size": None} | settings))


def test_the_presets_are_their_sources():
    paper = PRESETS["paper"]
    assert (paper.image_size, paper.load_size, paper.latent_size) == (128, 132, 100)
    assert (paper.learning_rate, paper.beta_1, paper.weight_decay) == (2e-4, 0.5, 1e-4)
    assert (paper.batch_size, paper.steps) == (128, 50_000)


# --- Noise


def test_latent_vectors_follow_from_seed_and_step():
    method, other = CoGAN(TINY), CoGAN(TINY)
    first = method.latent_vectors(3).numpy()
    assert first.shape == (3, 4) and np.abs(first).max() <= 1
    np.testing.assert_array_equal(first, other.latent_vectors(3))
    method.step.assign(1)
    assert np.abs(first - method.latent_vectors(3)).min() > 0
    reseeded = CoGAN(dataclasses.replace(TINY, seed=1)).latent_vectors(3)
    assert np.abs(first - reseeded).min() > 0


# --- Search


@pytest.fixture(scope="module")
def rendering():
    """A method whose generators render different images for different latent vectors."""
    method = CoGAN(dataclasses.replace(TINY, filters=8, search_steps=100))
    random = np.random.default_rng(0)
    for name in GENERATORS:
        for weight in getattr(method, name).trainable_weights:
            if weight.name == "kernel":
                weight.assign(random.normal(0, 0.2, weight.shape))
    for translator in method.translators.values():
        translator.nearest = tf.function(translator.nearest, autograph=False, reduce_retracing=True)
    return method


@pytest.mark.parametrize(("direction", "of"), [("x_to_y", 0), ("y_to_x", 1)])
def test_the_search_finds_what_the_generator_rendered(rendering, direction, of):
    latent = np.random.default_rng(1).uniform(-0.8, 0.8, [4, 4]).astype(np.float32)
    pair = rendering.render(latent, training=False)
    source, target = pair[of], pair[1 - of]

    def distance(found):
        return np.square(rendering.render(found, training=False)[of] - source).mean((1, 2, 3))

    translator = rendering.translators[direction]
    before, after = distance(np.zeros_like(latent)), distance(translator.nearest(source))
    assert np.all(after < 0.01 * before), (before, after)
    # So the translation is the other image of the pair.
    translated = translator(source)
    error = np.abs(translated - target).mean((1, 2, 3))
    others = np.abs(translated[::-1] - target).mean((1, 2, 3))
    assert np.all(error < 0.2 * others), (error, others)


def test_the_search_stays_where_the_generators_were_taught(rendering):
    latent = np.random.default_rng(1).choice([-3, 3], [4, 4]).astype(np.float32)
    beyond, _ = rendering.render(latent, training=False)
    found = rendering.translators["x_to_y"].nearest(beyond)
    assert np.abs(found).max() == 1


def test_the_nearest_of_all_that_were_tried_counts(rendering):
    """With steps so long that each goes from one corner to another, that is where the search begins."""
    method = CoGAN(dataclasses.replace(rendering.config, search_rate=100.0, search_steps=5))
    for name in GENERATORS:
        getattr(method, name).set_weights(getattr(rendering, name).get_weights())
    begin = tf.random.stateless_uniform([1, 4], [TINY.seed, 3], -1, 1, alg=RNG)
    near, _ = method.render(begin + 0.02, training=False)
    np.testing.assert_array_equal(method.translators["x_to_y"].nearest(near), begin)


def test_more_starts_end_no_farther(rendering):
    x, _ = random_batch(2)
    distances = []
    for starts in (1, 4):
        config = dataclasses.replace(rendering.config, search_starts=starts, search_steps=20)
        method = CoGAN(config)
        for name in GENERATORS:
            getattr(method, name).set_weights(getattr(rendering, name).get_weights())
        found = method.translators["x_to_y"].nearest(x)
        distances.append(np.square(method.render(found, training=False)[0] - x).sum((1, 2, 3)))
    one, four = distances
    assert np.all(four <= one * (1 + 1e-4)) and np.any(four < 0.999 * one)


def test_a_translation_does_not_depend_on_the_batch(rendering):
    x, _ = random_batch(3)
    translate = rendering.translators["x_to_y"]
    np.testing.assert_allclose(translate(x[1:2]), translate(x)[1:2], atol=2e-3)


def test_any_size_comes_back_in_that_size(rendering):
    images = np.random.default_rng(4).uniform(-1, 1, [2, 30, 41, 3]).astype(np.float32)
    assert rendering.translators["y_to_x"](images).shape == images.shape


# --- A run


@pytest.fixture(scope="module")
def config(image_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cogan")
    return dataclasses.replace(TINY, dataset=str(image_folder), run_dir=str(folder / "whole"))


@pytest.fixture(scope="module")
def run_folder(config):
    with quick_trainings():
        folder = cg.train(dataclasses.replace(config, sample_every=4))
    export_run(folder, folder / "saved_model")
    return folder


def test_a_run_leaves_behind_what_it_should(run_folder):
    lines = Run(run_folder).metrics.lines()
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    grid = Image.open(Run(run_folder).sample(4))
    assert grid.width > 8 * 128 and grid.height > 2 * 128
    image = np.random.default_rng(0).integers(0, 256, [2, 20, 33, 3], np.uint8)
    for direction in ("x_to_y", "y_to_x"):
        exported = tf.saved_model.load(str(run_folder / "saved_model" / direction))
        translated = exported.signatures["serving_default"](images=tf.constant(image))["images"]
        expected = cg.load_translator(run_folder, direction)(image)
        assert translated.shape == image.shape
        assert np.abs(translated.numpy().astype(int) - expected).max() <= 2


def test_the_columns_of_samples(rendering):
    x, y = random_batch(5)
    columns = rendering.samples(x, y)
    assert list(columns) == [
        *("z in X", "z in Y", "x", "found x", "x to Y", "y", "found y", "y to X"),
    ]
    np.testing.assert_array_equal(columns["x"], x)
    np.testing.assert_allclose(columns["x to Y"], rendering.translators["x_to_y"](x), atol=1e-2)
    np.testing.assert_allclose(columns["y to X"], rendering.translators["y_to_x"](y), atol=1e-2)
    nearest = {name: rendering.translators[name].nearest for name in rendering.translators}
    found_x, _ = rendering.render(nearest["x_to_y"](x), training=False)
    _, found_y = rendering.render(nearest["y_to_x"](y), training=False)
    np.testing.assert_allclose(columns["found x"], found_x, atol=1e-2)
    np.testing.assert_allclose(columns["found y"], found_y, atol=1e-2)
    again = rendering.samples(y, x)
    np.testing.assert_array_equal(columns["z in X"], again["z in X"])


def test_an_interrupted_run_goes_on_with_the_same_bits(config, run_folder, tmp_path):
    again = dataclasses.replace(config, run_dir=str(tmp_path / "again"))
    with quick_trainings():
        with interrupted_at(3):
            cg.train(again)
        assert checkpoint_hash(cg.train(again)) == checkpoint_hash(run_folder)


def test_a_run_is_evaluated_and_only_its_saved_models_are_exported(run_folder, tmp_path, command):
    code, errors = command(evaluate.main, "--run", run_folder, "--output", tmp_path / "page")
    assert code == 0, errors
    assert (tmp_path / "page" / "index.html").is_file()
    for format in ("keras", "onnx", "litert"):
        output = tmp_path / format
        code, errors = command(
            export.main, "--run", run_folder, "--format", format, "--output", output
        )
        assert code == 2 and "--format saved_model alone" in errors
        assert "Traceback" not in errors


def test_half_precision_learns_too():
    half, exact = (
        step_losses(dataclasses.replace(TINY, precision=precision), 2)
        for precision in ("mixed_float16", "float32")
    )
    for losses, expected in zip(half, exact, strict=True):
        assert losses == pytest.approx(expected, rel=0.05)


def test_latent_vectors_are_divided_among_replicas():
    class Second(SeveralReplicas):
        def __init__(self):
            self.count = 2

        def share(self, images):
            return [whole[len(whole) // 2 :] for whole in images]

    whole = CoGAN(TINY).latent_vectors(4)
    np.testing.assert_array_equal(CoGAN(TINY, None, Second()).latent_vectors(2), whole[2:])
