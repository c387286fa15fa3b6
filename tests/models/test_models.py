import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_cyclegan.models import (
    InstanceNormalization,
    ReflectionPadding2D,
    ToImageConv2D,
    in_scales,
    patchgan_discriminator,
    resnet_generator,
    unet_generator,
)
from tf_cyclegan.models.dropout import BatchDropout, share_of_batch


def random_images(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def test_instance_normalization_against_numpy():
    layer = InstanceNormalization(epsilon=1e-3, seed=1)
    x = random_images(2, 5, 7, 3) * 4 + 2
    y = layer(x)
    x = x.astype(np.float64)
    expected = (x - x.mean((1, 2), keepdims=True)) / np.sqrt(x.var((1, 2), keepdims=True) + 1e-3)
    expected = expected * layer.scale.numpy() + layer.offset.numpy()
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    assert layer.scale.numpy().std() > 0  # N(1, 0.02)


def test_instance_normalization_without_affine_terms_has_no_weights():
    layer = InstanceNormalization(affine=False)
    y = layer(random_images(1, 8, 8, 2)).numpy()
    assert layer.weights == []
    np.testing.assert_allclose(y.mean((1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(y.std((1, 2)), 1, atol=1e-3)


def test_the_gradient_of_an_instance_normalization_against_finite_differences():
    layer = InstanceNormalization(affine=False, dtype="float64")
    rng = np.random.default_rng(0)
    x, weights = rng.normal(3, 2, [2, 4, 5, 3]), rng.normal(size=[2, 4, 5, 3])

    def value(x):
        return float(tf.reduce_sum(layer(x) * weights))

    with tf.GradientTape() as tape:
        inputs = tf.constant(x)
        tape.watch(inputs)
        total = tf.reduce_sum(layer(inputs) * weights)
    gradient = tape.gradient(total, inputs).numpy()
    for place in [(0, 0, 0, 0), (0, 3, 4, 1), (1, 2, 2, 2)]:
        change = np.zeros_like(x)
        change[place] = 1e-5
        numerical = (value(x + change) - value(x - change)) / 2e-5
        np.testing.assert_allclose(gradient[place], numerical, rtol=1e-6, atol=1e-9)


def test_a_convolution_to_an_image_is_keras_s():
    settings = {"filters": 3, "kernel_size": (7, 5), "activation": "tanh", "dtype": "float64"}
    ours, kerass = ToImageConv2D(**settings), keras.layers.Conv2D(**settings)
    rng = np.random.default_rng(0)
    x, weights = tf.constant(rng.normal(size=[2, 9, 8, 4])), rng.normal(size=[2, 3, 4, 3])
    results = []
    for layer in (kerass, ours):
        layer.build(x.shape)
        if results:
            layer.set_weights(kerass.get_weights())
        else:
            layer.bias.assign([0.1, -0.2, 0.3])
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
            total = tf.reduce_sum(y * weights)
        results.append([y, *tape.gradient(total, [x, layer.kernel.value, layer.bias.value])])
    assert results[0][0].shape == ours.compute_output_shape(x.shape) == (2, 3, 4, 3)
    for expected, got in zip(*results, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


def test_instance_normalization_in_half_precision_does_not_overflow():
    layer = InstanceNormalization(dtype="mixed_float16", affine=False)
    x = (random_images(1, 8, 8, 2) * 1000).astype(np.float16)
    y = layer(x)
    assert y.dtype == tf.float16
    np.testing.assert_allclose(np.std(y, (1, 2)), 1, atol=1e-2)


def test_reflection_padding_against_numpy():
    x = random_images(2, 5, 6, 3)
    expected = np.pad(x, [(0, 0), (2, 2), (2, 2), (0, 0)], mode="reflect")
    np.testing.assert_array_equal(ReflectionPadding2D(2)(x), expected)
    assert ReflectionPadding2D(2).compute_output_shape((None, None, 6, 3)) == (None, None, 10, 3)


@pytest.mark.parametrize(
    ("network", "parameters"),
    [
        (lambda: unet_generator(), 54_414_979),  # tensorflow_examples, norm_type="instancenorm"
        (lambda: resnet_generator(), 11_378_179),  # the authors' resnet_9blocks
        (lambda: patchgan_discriminator(), 2_765_569),  # tensorflow_examples, target=False
        (lambda: patchgan_discriminator(affine=False), 2_764_737),  # the authors' basic
    ],
)
def test_published_parameter_counts(network, parameters):
    assert network().count_params() == parameters


@pytest.mark.parametrize("upsampling", ["transpose", "resize"])
@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (lambda **kwargs: unet_generator(2, levels=3, **kwargs), (24, 40)),
        (lambda **kwargs: resnet_generator(2, 2, **kwargs), (24, 36)),
    ],
)
def test_generators_keep_any_fitting_size(build, shape, upsampling):
    generator = build(upsampling=upsampling)
    images = random_images(2, *shape, 3)
    translated = generator(images)
    assert translated.shape == images.shape
    assert np.abs(translated).max() <= 1
    kinds = {type(layer).__name__ for layer in generator._flatten_layers()}
    transposed = {"Conv2DTranspose", "DoublingConv2D"} & kinds
    assert bool(transposed) == (upsampling == "transpose")


def test_the_patchgan_sees_70_pixels():
    # The gradient of one logit reaches exactly as far as its receptive field. The norms would make
    # every pixel reach every logit, so they are replaced by what the discriminator is without them.
    discriminator = patchgan_discriminator(filters=2)
    for layer in discriminator._flatten_layers():
        if isinstance(layer, InstanceNormalization):
            layer.call = lambda x: x
    image = tf.Variable(random_images(1, 128, 128, 3))
    with tf.GradientTape() as tape:
        logits = discriminator(image)
        logit = logits[0, 7, 7, 0]
    assert logits.shape == (1, 14, 14, 1)
    reached = np.abs(tape.gradient(logit, image)[0]).sum(-1) > 0
    rows, columns = reached.any(1).nonzero()[0], reached.any(0).nonzero()[0]
    assert rows[-1] - rows[0] + 1 == columns[-1] - columns[0] + 1 == 70


def test_xla_computes_the_same_gradients():
    networks = resnet_generator(1, 2), patchgan_discriminator(2)
    variables = [v for network in networks for v in network.trainable_variables]
    images = tf.constant(random_images(1, 32, 32, 3))

    def gradients():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(networks[1](networks[0](images, training=True)) - 1))
        return [loss, *tape.gradient(loss, variables)]

    plain, compiled = gradients(), tf.function(gradients, jit_compile=True)()
    largest = max(np.abs(gradient).max() for gradient in plain[1:])
    assert 0 < largest < np.inf
    for one, other in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4 * largest)


@pytest.mark.parametrize(
    "build",
    [
        lambda seed: unet_generator(2, levels=2, seed=seed),
        lambda seed: resnet_generator(1, 2, affine=True, seed=seed),
        lambda seed: patchgan_discriminator(2, seed=seed),
    ],
)
def test_initial_weights_follow_from_the_seed(build):
    one, same, other = build(1), build(1), build(2)
    for a, b in zip(one.weights, same.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    kernels = [w for w in one.trainable_weights if w.name in ("kernel", "scale")]
    others = [w for w in other.trainable_weights if w.name in ("kernel", "scale")]
    for a, b in zip(kernels, others, strict=True):
        assert not np.array_equal(a, b)
    values = np.concatenate([w.numpy().ravel() for w in kernels if w.name == "kernel"])
    assert abs(values.mean()) < 2e-3 and abs(values.std() - 0.02) < 2e-3


def test_networks_serialise(tmp_path):
    images = random_images(1, 24, 24, 3)
    for network in (
        unet_generator(2, levels=2),
        resnet_generator(1, 2),
        patchgan_discriminator(2),
    ):
        network.save(tmp_path / "network.keras")
        loaded = keras.saving.load_model(tmp_path / "network.keras")
        np.testing.assert_array_equal(loaded(images), network(images))


def test_u_net_dropout_works_in_training_alone():
    generator = unet_generator(2, levels=3)
    images = random_images(1, 16, 16, 3)
    np.testing.assert_array_equal(generator(images), generator(images))
    trained = [generator(images, training=True).numpy() for _ in range(2)]
    assert not np.array_equal(*trained)


def test_replicas_draw_the_dropout_of_the_whole_batch():
    x, y = np.ones([4, 3, 3, 2], np.float32), 3 * np.ones([4, 3, 3, 2], np.float32)
    whole, first, second = (BatchDropout(0.5, seed=7) for _ in range(3))
    for _ in range(2):
        expected = np.split(whole(np.concatenate([x, y]), training=True), 2)
        halves = []
        for index, layer in enumerate((first, second)):
            own = slice(2 * index, 2 * index + 2)
            with share_of_batch(index, 2, 2):
                halves.append(np.split(layer(np.concatenate([x[own], y[own]]), training=True), 2))
        for domain in range(2):
            joined = np.concatenate([half[domain] for half in halves])
            np.testing.assert_array_equal(expected[domain], joined)
    assert 0.2 < np.mean(expected[0] == 0) < 0.8
    np.testing.assert_array_equal(expected[0], np.where(expected[0] == 0, 0, 2))
    np.testing.assert_array_equal(whole(x), x)


def test_a_unets_outer_skip_adds_features_of_the_whole_image():
    plain, skipping = (
        unet_generator(2, levels=2, upsampling="resize", outer_skip=skips, seed=3)
        for skips in (False, True)
    )
    for old, new in zip(plain.weights, skipping.weights, strict=False):
        np.testing.assert_array_equal(old, new)  # those that both have begin alike
    first, bias, second = (np.float64(weight) for weight in skipping.weights[len(plain.weights) :])
    images = random_images(1, 8, 8, 3)
    features = convolved(images, first) + bias
    details = convolved(np.where(features > 0, features, 0.3 * features), second)
    expected = np.tanh(np.arctanh(np.float64(plain(images))) + details)
    np.testing.assert_allclose(skipping(images), expected, atol=1e-6)


def convolved(images, kernel):
    """3x3, zeros around, as it is defined."""
    padded = np.pad(np.float64(images), [(0, 0), (1, 1), (1, 1), (0, 0)])
    height, width = images.shape[1:3]
    return sum(
        padded[:, row : row + height, column : column + width] @ kernel[row, column]
        for row in range(3)
        for column in range(3)
    )


def test_discriminators_in_scales_count_alike():
    scales = [
        patchgan_discriminator(2, halvings=1, seed=seed, name=f"patchgan_{seed}") for seed in (0, 1)
    ]
    images = random_images(2, 24, 24, 3)
    logits = in_scales(scales)(images).numpy()
    assert logits.shape == (2, 10, 10, 2)
    np.testing.assert_allclose(logits[..., :1], scales[0](images), atol=1e-6)
    padded = np.pad(images, [(0, 0), (0, 1), (0, 1), (0, 0)], constant_values=np.nan)
    halves = [[padded[:, r : r + 24 : 2, c : c + 24 : 2] for c in range(3)] for r in range(3)]
    halved = np.nanmean(np.reshape(halves, [9, 2, 12, 12, 3]), axis=0)
    small = scales[1](halved).numpy()
    assert small.shape == (2, 4, 4, 1)
    places = np.arange(10) * 4 // 10
    np.testing.assert_allclose(logits[..., 1:], small[:, places][:, :, places], atol=1e-5)
