import numpy as np
import pytest

from tf_cyclegan.errors import NotMeasurable
from tf_cyclegan.evaluation import distribution
from tf_cyclegan.evaluation.distribution import (
    _laplacian_pyramid,
    sliced_wasserstein,
    total_variation,
)


def pictures(count, seed=0, noise=0.0):
    rng = np.random.default_rng(seed)
    shades = rng.uniform(0, 255, [count, 4, 4, 3]).repeat(8, 1).repeat(8, 2)
    shades += noise * rng.standard_normal(shades.shape)
    return np.clip(shades, 0, 255).astype(np.uint8)


def by_definition(images, others, seed=0):
    """The distance as Karras et al. 2018, section 5 describe it, in float64 and patch by patch.

    The random numbers are the function's, in the order that it draws them in; all else is done anew.
    """
    ndimage = pytest.importorskip("scipy.ndimage")
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256

    def pyramid(image):
        if min(image.shape[:2]) < 32:
            return [image]
        blurred = np.stack([ndimage.convolve(c, kernel, mode="mirror") for c in image.T]).T
        small = blurred[::2, ::2]
        spread = np.zeros_like(image)
        spread[::2, ::2] = small
        back = np.stack([ndimage.convolve(c, 4 * kernel, mode="mirror") for c in spread.T]).T
        return [image - back, *pyramid(small)]

    rng = np.random.default_rng(seed)
    pyramids = [[pyramid(image.astype(np.float64)) for image in one] for one in (images, others)]
    distances = []
    for level in range(len(pyramids[0][0])):
        descriptors = []
        for one in pyramids:
            height, width = one[0][level].shape[:2]
            rows = rng.integers(3, height - 3, len(one) * 128)
            columns = rng.integers(3, width - 3, len(one) * 128)
            patches = np.array(
                [
                    one[number // 128][level][row - 3 : row + 4, column - 3 : column + 4]
                    for number, (row, column) in enumerate(zip(rows, columns, strict=True))
                ]
            )
            for channel in range(3):
                values = patches[..., channel]
                patches[..., channel] = (values - values.mean()) / values.std()
            descriptors.append(patches.reshape(len(patches), 147))
        directions = rng.standard_normal((147, 512))
        per_direction = []
        for direction in directions.T:
            unit = direction / np.sqrt((direction**2).sum())
            one, other = (sorted(descriptor @ unit) for descriptor in descriptors)
            per_direction.append(np.mean(np.abs(np.subtract(one, other))))
        distances.append(1000 * np.mean(per_direction))
    return distances


@pytest.mark.parametrize("shape", [(32, 32), (32, 24), (20, 16)])
def test_it_is_the_distance_of_the_paper(shape):
    height, width = shape
    one, other = (pictures(4, seed, noise=20)[:, :height, :width] for seed in (0, 1))
    *levels, mean = sliced_wasserstein(one, other, seed=3, repeats=1).values()
    expected = by_definition(one, other, seed=3)
    np.testing.assert_allclose(levels, expected, rtol=1e-4)
    assert mean == pytest.approx(np.mean(levels))


def test_worked_by_hand_on_images_of_one_patch():
    """7x7 pixels have one patch, and two images that are opposites are 1 and -1 once normalised."""
    light, dark = np.full([7, 7, 3], 200, np.uint8), np.full([7, 7, 3], 100, np.uint8)
    left = light.copy()
    left[:, :3] = 100  # three columns dark, four light; and the opposite
    plain, split = (
        np.stack([light, dark]),
        np.stack([left, 300 - left.astype(int)]).astype(np.uint8),
    )
    # Less contrast is no distance: every channel is divided by its deviation.
    assert sliced_wasserstein(plain, plain // 2)["mean"] == pytest.approx(0, abs=1e-3)
    # Along a direction d the plain images lie at -s and s, the split ones at -t and t.
    rng = np.random.default_rng(0)
    for _ in range(4):  # the places of the patches, of which there is one each
        rng.integers(3, 4, 256)
    d = rng.standard_normal((147, 512))
    d /= np.linalg.norm(d, axis=0)
    sides = np.where(np.arange(7) < 3, -1.0, 1.0)[None, :, None].repeat(7, 0).repeat(3, 2).ravel()
    expected = 1000 * np.mean(np.abs(np.abs(d.sum(axis=0)) - np.abs(sides @ d)))
    found = sliced_wasserstein(plain, split, repeats=1)
    assert found["mean"] == pytest.approx(expected, rel=1e-4)


def test_repeats_are_averaged_and_their_deviation_told(monkeypatch):
    one, other = pictures(4), pictures(4, seed=1, noise=20)
    monkeypatch.setattr(distribution, "PROJECTIONS", 128)
    singles = [sliced_wasserstein(one, other, seed, repeats=1) for seed in (5, 6, 7, 8)]
    monkeypatch.setattr(distribution, "PROJECTIONS", 512)
    found = sliced_wasserstein(one, other, 5)
    for name in ("32x32", "16x16", "mean"):
        assert found[name] == pytest.approx(np.mean([single[name] for single in singles]))
    assert found["std"] == pytest.approx(np.std([s["mean"] for s in singles], ddof=1))


def test_a_set_is_close_to_itself_and_further_with_more_noise():
    clean = pictures(40)
    distances = [sliced_wasserstein(clean, pictures(40, noise=n))["mean"] for n in (0, 20, 60)]
    assert distances[0] < distances[1] < distances[2]
    assert list(sliced_wasserstein(clean, clean)) == ["32x32", "16x16", "std", "mean"]


def test_the_pyramid_loses_nothing():
    # Adding the enlarged lower level back gives the image: the definition of a Laplacian pyramid.
    scipy_ndimage = pytest.importorskip("scipy.ndimage")
    image = pictures(1, seed=3).astype(np.float32)
    detail, small = _laplacian_pyramid(image)
    enlarged = np.zeros_like(image)
    enlarged[:, ::2, ::2] = small
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 64
    enlarged = scipy_ndimage.convolve(enlarged, kernel[None, :, :, None], mode="mirror")
    np.testing.assert_allclose(detail + enlarged, image, atol=1e-3)


def test_the_larger_set_is_thinned_evenly():
    few, many = pictures(4), pictures(9, seed=1)
    expected = sliced_wasserstein(few, many[[0, 2, 4, 6]])
    assert sliced_wasserstein(few, many) == expected


def test_total_variation_is_the_sum_of_steps_between_pixels():
    ramp = np.arange(0, 80, 10, np.uint8)[None, None, :, None].repeat(6, 1).repeat(3, 3)
    assert total_variation(ramp, ramp) == {"ratio": 1}
    assert total_variation(ramp, 2 * ramp)["ratio"] == pytest.approx(2)
    checks = (np.indices([6, 8]).sum(0) % 2 * 10).astype(np.uint8)[None, ..., None].repeat(3, 3)
    assert total_variation(ramp, checks)["ratio"] == pytest.approx(2)  # both ways, not one
    with pytest.raises(NotMeasurable, match="of one colour"):
        total_variation(np.zeros_like(ramp), ramp)


def test_images_without_contrast_have_a_distance():
    assert (
        sliced_wasserstein(np.zeros([2, 16, 16, 3], np.uint8), pictures(2)[:, :16, :16])["mean"] > 0
    )


def test_the_sets_must_fit():
    with pytest.raises(ValueError, match="one shape"):
        sliced_wasserstein(pictures(3), pictures(3)[:, :16])
    with pytest.raises(NotMeasurable, match="at least 2 images"):
        sliced_wasserstein(pictures(3), pictures(1))
    with pytest.raises(NotMeasurable, match="at least 7 pixels"):
        sliced_wasserstein(pictures(3)[:, :6], pictures(3)[:, :6])
