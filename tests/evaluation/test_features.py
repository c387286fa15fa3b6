import gc
import io

import keras
import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf
from PIL import Image, ImageFilter

from tf_cyclegan.errors import UserError
from tf_cyclegan.evaluation import features as measure
from tf_cyclegan.evaluation.run_evaluation import Options, check

RNG = np.random.default_rng


def covariance(dimensions, rank=None, seed=0):
    factor = RNG(seed).standard_normal([dimensions, rank or dimensions])
    return factor @ factor.T / dimensions


def test_frechet_distance_of_diagonal_gaussians():
    # Dimensions are independent: the sum of (m1 - m2)^2 + (s1 - s2)^2 by standard deviations.
    mu1, mu2, s1, s2 = RNG(0).uniform(0, 3, [4, 7])
    expected = ((mu1 - mu2) ** 2 + (s1 - s2) ** 2).sum()
    found = measure.frechet_distance(mu1, np.diag(s1**2), mu2, np.diag(s2**2))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("rank", [64, 65, 80])
def test_frechet_distance_is_scipys(rank):
    mu1, mu2 = RNG(1).standard_normal([2, 64])
    sigma1, sigma2 = covariance(64, rank, 2), covariance(64, rank, 3)
    root = scipy.linalg.sqrtm(sigma1 @ sigma2).real
    expected = ((mu1 - mu2) ** 2).sum() + np.trace(sigma1 + sigma2 - 2 * root)
    found = measure.frechet_distance(mu1, sigma1, mu2, sigma2)
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_frechet_distance_of_singular_gaussians():
    # Commuting covariances of rank 2 and 3 in a rotated basis; they share one direction.
    basis = scipy.linalg.qr(RNG(4).standard_normal([6, 6]))[0]
    s1, s2 = np.array([3.0, 2, 0, 0, 0, 0]), np.array([0.0, 1, 5, 4, 0, 0])
    sigma1, sigma2 = ((basis * s**2) @ basis.T for s in (s1, s2))
    found = measure.frechet_distance(np.zeros(6), sigma1, np.zeros(6), sigma2)
    np.testing.assert_allclose(found, ((s1 - s2) ** 2).sum(), rtol=1e-6)


def test_fid_is_between_fitted_gaussians():
    x, y = RNG(5).standard_normal([300, 8]), 1 + 2 * RNG(6).standard_normal([400, 8])
    sigmas = [np.einsum("ni,nj->ij", d, d) / (len(d) - 1) for d in (x - x.mean(0), y - y.mean(0))]
    root = scipy.linalg.sqrtm(sigmas[0] @ sigmas[1]).real
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(sum(sigmas) - 2 * root)
    np.testing.assert_allclose(measure.fid(x, y), expected, rtol=1e-9)
    # Means 1 apart and deviations 1 and 2 in 8 dimensions: 8 + 8.
    assert measure.fid(x, y) == pytest.approx(16, rel=0.1)
    np.testing.assert_allclose(measure.fid(y, x), measure.fid(x, y), rtol=1e-9)


def test_fid_needs_more_images_than_features():
    x, y = RNG(7).standard_normal([2, 8, 8])
    with pytest.raises(UserError, match=r"FID of 8 features needs 9 images.*one set has 8; KID"):
        measure.fid(x, y)
    assert measure.fid(x, y, few=True) > 0
    assert abs(measure.fid(x, x, few=True)) < 1e-9
    with pytest.raises(UserError, match=r"needs 2 images or more in each set.*one set has 1$"):
        measure.fid(x[:1], y, few=True)


def test_kid_is_the_loop_over_pairs():
    x, y = RNG(8).standard_normal([2, 12, 5])

    def kernel(a, b):
        return (sum(p * q for p, q in zip(a, b, strict=True)) / 5 + 1) ** 3

    pairs = [(i, j) for i in range(12) for j in range(12)]
    within = sum(kernel(x[i], x[j]) + kernel(y[i], y[j]) for i, j in pairs if i != j) / (12 * 11)
    expected = within - 2 * sum(kernel(x[i], y[j]) for i, j in pairs) / 12**2
    # A subset of all images is the same subset in any order.
    mean, deviation = measure.kid(x, y, subsets=3, subset_size=12)
    np.testing.assert_allclose(mean, expected, rtol=1e-10)
    assert deviation < 1e-12


def test_kid_of_gaussians_is_the_closed_form():
    # In one dimension with x ~ N(a, 1), y ~ N(b, 1): E k(x, y) = E (xy + 1)^3 by moments.
    def expected_kernel(a, b):
        moments = [
            (mean, mean**2 + 1, mean**3 + 3 * mean)  # E z, E z^2, E z^3
            for mean in (a, b)
        ]
        first, second, third = (p * q for p, q in zip(*moments, strict=True))
        return third + 3 * second + 3 * first + 1

    x, y = RNG(9).standard_normal([2, 20000, 1]) + np.array([0.0, 1.0])[:, None, None]
    expected = expected_kernel(0, 0) + expected_kernel(1, 1) - 2 * expected_kernel(0, 1)
    mean, deviation = measure.kid(x, y, subsets=200, subset_size=100)
    assert abs(mean - expected) < 3 * deviation / np.sqrt(200)


def test_kid_of_two_halves_is_zero_within_its_error():
    images = RNG(10).standard_normal([8000, 16])
    mean, deviation = measure.kid(images[:4000], images[4000:], subsets=100, subset_size=40)
    assert deviation > 0 and abs(mean) < 2 * deviation / np.sqrt(100)


def test_kid_needs_its_subset():
    x, y = RNG(11).standard_normal([30, 4]), RNG(12).standard_normal([20, 4])
    with pytest.raises(UserError, match=r"subsets of 1000 images, and one set has 20: .* 2 to 20"):
        measure.kid(x, y)
    with pytest.raises(UserError, match="needs 2 images or more in each set: one set has 1"):
        measure.kid(x, y[:1])


def test_precision_and_recall_are_the_loops(monkeypatch):
    monkeypatch.setattr(measure, "BLOCK", 7)
    real, fake = RNG(13).standard_normal([40, 3]), 0.5 * RNG(14).standard_normal([25, 3]) + 0.5

    def share(points, centres):
        def distance(a, b):
            return np.sqrt(((a - b) ** 2).sum())

        balls = [(c, sorted(distance(c, o) for o in centres)[3]) for c in centres]
        return np.mean([any(distance(p, c) <= radius for c, radius in balls) for p in points])

    expected = share(fake, real), share(real, fake)
    assert measure.precision_recall(real, fake) == pytest.approx(expected)
    assert expected[0] > expected[1] + 0.2  # the fake is the narrower


def test_precision_and_recall_at_their_ends():
    real = RNG(15).standard_normal([30, 4])
    assert measure.precision_recall(real, real) == (1.0, 1.0)
    assert measure.precision_recall(real, real + 100) == (0.0, 0.0)
    # One mode of two: all that is made is real, half of the real is made.
    both = np.concatenate([real, real + 100])
    assert measure.precision_recall(both, real) == (1.0, 0.5)
    with pytest.raises(UserError, match="need 4 images or more in each set: one set has 3"):
        measure.precision_recall(real, real[:3])


def small_network(size=(None, None), dtype="float32"):
    """Two convolutions with random weights to 12 features."""
    return keras.Sequential(
        [
            keras.Input([*size, 3], dtype=dtype),
            keras.layers.Rescaling(1.0),
            keras.layers.Conv2D(8, 3, activation="relu", kernel_initializer=random(1)),
            keras.layers.Conv2D(12, 3, activation="relu", kernel_initializer=random(2)),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )


def random(seed):
    return keras.initializers.HeNormal(seed)


@pytest.fixture(scope="module")
def pictures():
    """Shades in blocks with sharp edges: uint8 [240, 32, 32, 3]."""
    shades = RNG(16).integers(0, 256, [240, 8, 8, 3], np.uint8)
    return shades.repeat(4, 1).repeat(4, 2)


def blurred(image, radius):
    return image.filter(ImageFilter.GaussianBlur(radius))


def noisy(image, amount):
    noise = amount * RNG(17).standard_normal([32, 32, 3])
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def as_jpeg(image, quality):
    file = io.BytesIO()
    image.save(file, "jpeg", quality=quality)
    return Image.open(file)


@pytest.mark.parametrize(
    ("damage", "amounts"),
    [(blurred, (0.5, 1, 2)), (noisy, (10, 30, 60)), (as_jpeg, (80, 30, 5))],
)
def test_damage_makes_the_distances_grow(pictures, damage, amounts):
    extractor = measure.model_extractor(small_network())
    clean = measure.features_of(pictures, extractor, batch=100)
    fids, kids = [measure.fid(clean, clean)], []
    for amount in amounts:
        damaged = [np.asarray(damage(Image.fromarray(image), amount)) for image in pictures]
        worse = measure.features_of(np.stack(damaged), extractor)
        fids.append(measure.fid(clean, worse))
        kids.append(measure.kid(clean, worse, subsets=10, subset_size=240)[0])
    assert abs(fids[0]) < 1e-3
    assert fids == sorted(fids) and fids[1] > 2 * abs(fids[0])
    assert kids == sorted(kids)


def test_features_are_the_networks(pictures):
    network = small_network()
    features = measure.features_of(pictures[:5], measure.model_extractor(network), batch=2)
    expected = network(pictures[:5].astype(np.float32) / 127.5 - 1).numpy()
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-6)


def test_images_take_the_size_that_the_network_asks_for(pictures):
    network = small_network(size=(16, 16))
    features = measure.features_of(pictures[:2], measure.model_extractor(network))
    # The legacy resize to half looks at every second pixel.
    expected = network(pictures[:2, ::2, ::2].astype(np.float32) / 127.5 - 1).numpy()
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-6)
    clean = measure.features_of(pictures[:2], measure.model_extractor(network, "clean"))
    assert np.abs(clean - features).max() > 1e-3


def test_extractors_from_files(pictures, tmp_path):
    network = small_network()
    expected = measure.features_of(pictures[:3], measure.model_extractor(network))
    network.save(tmp_path / "network.keras")
    network.export(tmp_path / "network", verbose=False)
    for name in ("network.keras", "network"):
        extractor = measure.load_extractor(tmp_path / name)
        gc.collect()  # the variables live with the extractor
        features = measure.features_of(pictures[:3], extractor)
        np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-6)


def test_a_saved_model_that_takes_uint8_gets_the_pixels(pictures, tmp_path):
    module = tf.Module()
    spec = tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")
    module.maps = tf.function(
        lambda images: {"maps": tf.cast(images, tf.float32)}, input_signature=[spec]
    )
    tf.saved_model.save(module, str(tmp_path / "maps"), {"serving_default": module.maps})
    features = measure.features_of(pictures[:3], measure.load_extractor(tmp_path / "maps"))
    np.testing.assert_allclose(features, pictures[:3].mean(axis=(1, 2)), rtol=1e-5)


def test_what_is_no_extractor_is_told(pictures, tmp_path):
    with pytest.raises(UserError, match=r"no feature extractor .*nothing.keras"):
        measure.load_extractor(tmp_path / "nothing.keras")
    (tmp_path / "damaged.keras").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"cannot load the feature extractor .*damaged.keras: "):
        measure.load_extractor(tmp_path / "damaged.keras")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"cannot load the feature extractor .*empty: "):
        measure.load_extractor(tmp_path / "empty")
    grey = keras.Sequential([keras.Input([8, 8, 1]), keras.layers.Flatten()])
    with pytest.raises(UserError, match=r"takes \[None, 8, 8, 1\], not images"):
        measure.model_extractor(grey)
    with pytest.raises(UserError, match="not built yet"):
        measure.model_extractor(keras.Sequential([keras.layers.Flatten()]))
    with pytest.raises(UserError, match="no images"):
        measure.features_of(pictures[:0], measure.model_extractor(small_network()))
    with pytest.raises(UserError, match="image 2 of 3 are infinite or undefined"):
        measure.features_of(pictures[:3], lambda x: np.array([[1.0], [np.nan], [1.0]]))


@pytest.mark.parametrize(
    ("protocol", "name"), [("pytorch-fid", "fid_pytorch_5"), ("clean-fid", "fid_clean_5")]
)
def test_a_protocols_fid_is_that_of_its_package_at_any_number(protocol, name):
    rng = np.random.default_rng(0)
    real, translated = (rng.integers(0, 256, [count, 8, 8, 3]).astype(np.uint8) for count in (7, 5))

    def extract(images):
        return images.reshape(len(images), -1)[:, :12] / 64.0

    metric = measure.protocol_metrics(protocol, extract)["published_fid"]
    # pytorch-fid 0.3.0 and clean-fid 0.1.35, word for word the same formula.
    one, other = (extract(images).astype(np.float64) for images in (real, translated))
    mu1, mu2 = one.mean(axis=0), other.mean(axis=0)
    sigma1, sigma2 = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    root = scipy.linalg.sqrtm(sigma1 @ sigma2)
    expected = (mu1 - mu2) @ (mu1 - mu2) + np.trace(sigma1 + sigma2) - 2 * np.trace(root.real)
    found = metric(real, translated)
    assert list(found) == [name]
    assert found[name] == pytest.approx(expected, rel=1e-5)


def test_a_protocol_is_of_inception_alone(tmp_path):
    with pytest.raises(UserError, match="is defined on Inception, not on mine"):
        check(Options(run=tmp_path, features="mine.keras", fid_protocol="clean-fid"))
