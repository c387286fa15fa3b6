import numpy as np
import pytest

from tf_cyclegan.errors import NotMeasurable
from tf_cyclegan.evaluation.distribution import _laplacian_pyramid, sliced_wasserstein


def pictures(count, seed=0, noise=0.0):
    rng = np.random.default_rng(seed)
    shades = rng.uniform(0, 255, [count, 4, 4, 3]).repeat(8, 1).repeat(8, 2)
    shades += noise * rng.standard_normal(shades.shape)
    return np.clip(shades, 0, 255).astype(np.uint8)


def test_a_set_is_close_to_itself_and_further_with_more_noise():
    clean = pictures(40)
    distances = [sliced_wasserstein(clean, pictures(40, noise=n))["mean"] for n in (0, 20, 60)]
    assert distances[0] < distances[1] < distances[2]
    assert sorted(sliced_wasserstein(clean, clean)) == ["16x16", "32x32", "mean"]


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
