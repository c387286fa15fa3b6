"""Distances between sets of images by the features that a network sees in them."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from ..errors import NotMeasurable, UserError
from ..paths import missing
from ..progress import progress
from .inception import choose_resize, inception_extractor

BLOCK = 1024  # rows of a matrix of distances at a time

Extractor = Callable[[np.ndarray], np.ndarray]


def frechet_distance(mu1, sigma1, mu2, sigma2) -> float:
    """Squared Frechet distance of two Gaussians.

    |mu1 - mu2|^2 + Tr(S1 + S2 - 2 (S1 S2)^(1/2)): Dowson, Landau 1982,
    https://doi.org/10.1016/0047-259X(82)90077-X, equation 4.

    Args:
        mu1, mu2: Means `[D]`.
        sigma1, sigma2: Covariances `[D, D]`, singular ones too.
    """
    mu1, sigma1, mu2, sigma2 = (np.asarray(x, np.float64) for x in (mu1, sigma1, mu2, sigma2))
    # Tr (S1 S2)^(1/2) is the sum of the singular values of S1^(1/2) S2^(1/2). Unlike a root of the
    # product it needs no complex numbers, and rounding is not magnified by a last square root.
    roots = [_root(sigma) for sigma in progress((sigma1, sigma2), 2, "FID, root of a covariance")]
    overlap = np.linalg.svd(roots[0] @ roots[1], compute_uv=False).sum()
    squared = np.sum((mu1 - mu2) ** 2) + np.trace(sigma1) + np.trace(sigma2) - 2 * overlap
    return max(0.0, float(squared))  # rounding may go below


def _root(sigma):
    """Symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(sigma)
    return vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T


def fid(features, others, few: bool = False) -> float:
    """Frechet inception distance, of Gaussians fitted to the features of two sets of images.

    Heusel et al. 2017, https://arxiv.org/abs/1706.08500, equation 6. Lower is better. It is biased:
    fewer images give larger distances, so only numbers of equally many images can be compared.

    Args:
        features, others: `[N, D]` and `[M, D]`.
        few: Compute it from D images or fewer a set, too, whose covariances are singular: for
            comparing with numbers that were published so, at the same number of images.

    Raises:
        UserError: A set has too few images.
    """
    features, others = _sets(features, others)
    dimensions, fewest = features.shape[1], min(len(features), len(others))
    needed = 2 if few else dimensions + 1
    if fewest < needed:
        how_on = "" if few else "; KID has no such bias and takes fewer"
        raise NotMeasurable(
            f"FID of {dimensions} features needs {needed} images or more in each set, for its "
            f"covariances have no full rank below: one set has {fewest}{how_on}"
        )
    statistics = [
        (x.mean(axis=0), np.cov(x, rowvar=False).reshape(dimensions, dimensions))
        for x in (features, others)
    ]
    return frechet_distance(*statistics[0], *statistics[1])


def kid(
    features, others, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Kernel inception distance: the squared maximum mean discrepancy, without bias.

    Binkowski et al. 2018, https://arxiv.org/abs/1801.01401, section 4: the polynomial kernel
    (x.y / D + 1)^3 on random subsets. Lower is better, and around zero, so below it too, for sets
    from one source.

    Args:
        features, others: `[N, D]` and `[M, D]`.
        subsets: How many are drawn.
        subset_size: Images of each set in a subset, each at most once.
        seed: Of the draws.

    Returns:
        The mean over the subsets and their standard deviation. The mean's standard error is the
        deviation / sqrt(subsets) only while subsets share few images.

    Raises:
        UserError: A set has fewer images than a subset.
    """
    features, others = _sets(features, others)
    fewest = min(len(features), len(others))
    if not 2 <= subset_size <= fewest:
        raise NotMeasurable(
            f"KID draws subsets of {subset_size} images, and one set has {fewest}: choose a subset "
            f"size from 2 to {fewest}"
            if fewest >= 2
            else f"KID needs 2 images or more in each set: one set has {fewest}"
        )
    rng = np.random.default_rng(seed)
    distances = []
    for _ in progress(range(subsets), subsets, "KID, subset"):
        x = features[rng.choice(len(features), subset_size, replace=False)]
        y = others[rng.choice(len(others), subset_size, replace=False)]
        distances.append(_squared_mmd(x, y))
    return float(np.mean(distances)), float(np.std(distances))


def _squared_mmd(x, y):
    """Unbiased estimate: an image is not compared with itself."""
    within = sum((kernel.sum() - np.trace(kernel)) for kernel in (_kernel(x, x), _kernel(y, y)))
    return within / (len(x) * (len(x) - 1)) - 2 * _kernel(x, y).mean()


def _kernel(x, y):
    return (x @ y.T / x.shape[1] + 1) ** 3


def precision_recall(real, fake, neighbours: int = 3) -> tuple[float, float]:
    """How much of the fake looks real, and how much of the real is ever made.

    Kynkaanniemi et al. 2019, https://arxiv.org/abs/1904.06991, section 2: a set covers the balls
    around its features that reach their k-th nearest neighbour. Both are from 0 to 1, more is better;
    comparable only at the same numbers of images and neighbours.

    Args:
        real, fake: Features `[N, D]` and `[M, D]`.
        neighbours: k.

    Returns:
        Precision, the share of the fake within the real set's balls, and recall, the reverse.

    Raises:
        UserError: A set has no `neighbours` images besides each.
    """
    real, fake = _sets(real, fake)
    fewest = min(len(real), len(fake))
    if fewest <= neighbours:
        raise NotMeasurable(
            f"precision and recall with {neighbours} neighbours need {neighbours + 1} images or "
            f"more in each set: one set has {fewest}"
        )
    return _covered(fake, real, neighbours), _covered(real, fake, neighbours)


def _covered(points, centres, neighbours):
    """The share of points within a ball around any centre."""
    radii = [
        # The nearest of all is the centre itself.
        np.partition(block, neighbours, axis=1)[:, neighbours]
        for block in _squared_distances(centres, centres)
    ]
    radii = np.concatenate(radii)
    inside = [(block <= radii).any(axis=1) for block in _squared_distances(points, centres)]
    return float(np.concatenate(inside).mean())


def _squared_distances(x, y):
    """Between all rows of x and of y, a block of rows at a time."""
    starts = range(0, len(x), BLOCK)
    for start in progress(starts, len(starts), "precision and recall, block"):
        block = x[start : start + BLOCK]
        squares = (block**2).sum(axis=1)[:, None] - 2 * block @ y.T + (y**2).sum(axis=1)
        yield np.maximum(squares, 0)


def _sets(features, others):
    """Two matrices in float64: sums of thousands of products lose too much in float32."""
    features, others = np.asarray(features, np.float64), np.asarray(others, np.float64)
    if features.ndim != 2 or features.shape[1:] != others.shape[1:]:
        raise ValueError(f"features must be [N, D] and [M, D]: {features.shape}, {others.shape}")
    return features, others


# The features.


def feature_metrics(extractor: Extractor) -> dict[str, Callable]:
    """FID, KID, precision and recall as functions of (real, translated) uint8 images.

    KID draws subsets of 1000 images, or of all where a set has fewer.
    """
    seen = {}

    def features(images):
        # The images are kept beside their features, so that their id is not given out again.
        if id(images) not in seen:
            seen[id(images)] = (images, features_of(eight_bit_colour(images), extractor))
        return seen[id(images)][1]

    def measure_fid(real, translated):
        return {"fid": fid(features(real), features(translated))}

    def measure_kid(real, translated):
        size = min(1000, len(real), len(translated))
        mean, std = kid(features(real), features(translated), subset_size=size)
        return {"std": std, "mean": mean}

    def measure_precision_recall(real, translated):
        values = precision_recall(features(real), features(translated))
        return dict(zip(("precision", "recall"), values, strict=True))

    return {
        "fid": measure_fid,
        "kid": measure_kid,
        "precision_recall": measure_precision_recall,
    }


def eight_bit_colour(images: np.ndarray) -> np.ndarray:
    """Images as the networks know them whose features these are: uint8 `[N, H, W, 3]`.

    Args:
        images: `[N, H, W, C]` from 0 to 255, as `judge.on_one_scale` makes them. Grey becomes colour.

    Raises:
        NotMeasurable: They have another number of channels than grey or colour.
    """
    channels = images.shape[-1]
    if channels not in (1, 3):
        raise NotMeasurable(
            f"these features are of grey or colour images, not of {channels} channels"
        )
    if images.dtype != np.uint8:
        images = np.round(images).astype(np.uint8)
    return images if channels == 3 else np.repeat(images, 3, axis=-1)


# How images are scaled for Inception by the packages whose numbers papers have.
FID_PROTOCOLS = {"pytorch-fid": "pytorch", "clean-fid": "clean"}


def protocol_metrics(protocol: str, extractor: Extractor) -> dict[str, Callable]:
    """FID at any number of images, under a name that says how it was measured.

    Below 2,049 images covariances have no full rank, and the distance is far too large; it compares
    with what others measured on as many images with the same package, and with nothing else.

    Args:
        protocol: One of `FID_PROTOCOLS`.
        extractor: Inception, images scaled as the protocol has it.
    """

    def measure(real, translated):
        distance = fid(
            *(features_of(eight_bit_colour(x), extractor) for x in (real, translated)), few=True
        )
        return {f"fid_{protocol.split('-')[0]}_{len(translated)}": distance}

    return {"published_fid": measure}


def features_of(images, extractor: Extractor, batch: int = 32) -> np.ndarray:
    """What the extractor sees in the images.

    Args:
        images: uint8 `[N, H, W, 3]`.
        extractor: A function from such a batch to `[N, D]`: `load_extractor` gives one.
        batch: Images at a time.

    Returns:
        float32 `[N, D]`.

    Raises:
        UserError: There are no images, or a feature is not finite.
    """
    if not len(images):
        raise UserError("there are no images to take features of")
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(f"images must be uint8 [N, H, W, 3]: {images.dtype} {images.shape}")
    starts = range(0, len(images), batch)
    found = [
        np.asarray(extractor(images[start : start + batch]), np.float32)
        for start in progress(starts, len(starts), "features, batch")
    ]
    features = np.concatenate(found)
    finite = np.isfinite(features).all(axis=1)
    if not finite.all():
        raise UserError(
            f"the features of image {np.argmin(finite) + 1} of {len(images)} are infinite or "
            "undefined: the weights of the feature extractor are damaged"
        )
    return features


def load_extractor(name: str | Path = "inception", resize: str = "legacy") -> Extractor:
    """A feature extractor by name or path.

    Args:
        name: "inception", fetched once; its file of weights (.pth, .pt or .safetensors); a Keras
            model (.keras); or the folder of a SavedModel.
        resize: How images get the size that a network asks for: "legacy", "clean" or "pytorch".

    Raises:
        UserError: There is no such file, it cannot be read, or it is no extractor of features.
    """
    if str(name) == "inception":
        return inception_extractor(None, resize)
    path = Path(name)
    if not path.exists():
        raise UserError(f"{missing('feature extractor', path)} (or give inception)")
    if path.suffix in (".pth", ".pt", ".safetensors"):
        return inception_extractor(path, resize)
    try:
        if path.is_dir():
            return model_extractor(tf.saved_model.load(str(path)), resize)
        return model_extractor(keras.models.load_model(path, compile=False), resize)
    except (OSError, ValueError, TypeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"cannot load the feature extractor {path}: {reason}") from error


def model_extractor(model, resize: str = "legacy") -> Extractor:
    """A feature extractor of any network of images.

    A network that takes uint8 gets the images as they are, any other gets float32 in [-1, 1], as the
    networks of this package do. One that asks for a height and width gets the images scaled. Maps
    `[N, H, W, D]` are averaged over their pixels.

    Args:
        model: A Keras model, or a SavedModel as `tf.saved_model.load` gives it, of which
            "serving_default" is taken. One input, one output.
        resize: "legacy" or "clean".

    Raises:
        UserError: The network is not one from images `[N, H, W, 3]` to features.
    """
    scale_to = choose_resize(resize)
    call, spec = _keras_call(model) if isinstance(model, keras.Model) else _saved_call(model)
    shape = tuple(spec.shape)
    if len(shape) != 4 or shape[3] != 3:
        raise UserError(
            f"the feature extractor takes {list(shape)}, not images [None, height, width, 3]"
        )
    size, dtype = shape[1:3], tf.as_dtype(spec.dtype)

    def extract(images):
        if None not in size and images.shape[1:3] != size:
            images = scale_to(images, size)
        if dtype == tf.uint8:
            images = tf.cast(tf.clip_by_value(tf.round(tf.cast(images, tf.float32)), 0, 255), dtype)
        else:
            images = tf.cast(tf.cast(images, tf.float32) / 127.5 - 1.0, dtype)
        features = tf.cast(call(images), tf.float32).numpy()
        if features.ndim == 4:
            features = features.mean(axis=(1, 2))
        if features.ndim != 2:
            raise UserError(
                f"the feature extractor gives {list(features.shape)}, not features [N, D]"
            )
        return features

    return extract


def _keras_call(model):
    inputs = getattr(model, "inputs", None)
    if inputs is None:
        raise UserError("the feature extractor is not built yet: call it on images once")
    if len(inputs) != 1 or len(model.outputs) != 1:
        raise UserError("the feature extractor must have one input and one output")
    return lambda images: model(images, training=False), inputs[0]


def _saved_call(model):
    signature = model.signatures.get("serving_default")
    if signature is None:
        raise UserError("the feature extractor has no signature serving_default")
    inputs, outputs = signature.structured_input_signature[1], signature.structured_outputs
    if len(inputs) != 1 or len(outputs) != 1:
        raise UserError("the feature extractor must have one input and one output")
    (name, spec), (output,) = *inputs.items(), outputs

    # Through the model, which holds the variables; a signature is not documented to.
    return lambda images: model.signatures["serving_default"](**{name: images})[output], spec
