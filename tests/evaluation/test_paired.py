"""The paired metrics against the same definitions in NumPy and SciPy."""

import numpy as np
import pytest

from tf_cyclegan.errors import NotMeasurable
from tf_cyclegan.evaluation.paired import l1, ms_ssim, psnr, ssim

signal = pytest.importorskip("scipy.signal")


def pairs(count, height, width, noise=30.0):
    """Smooth pictures and the same with noise, which grows from pair to pair."""
    rng = np.random.default_rng(0)
    blocks = rng.uniform(0, 255, [count, -(-height // 8), -(-width // 8), 3])
    images = blocks.repeat(8, 1).repeat(8, 2)[:, :height, :width]
    growth = np.arange(1, count + 1)[:, None, None, None]
    others = images + noise * growth * rng.standard_normal(images.shape)
    return tuple(np.clip(x, 0, 255).astype(np.uint8) for x in (images, others))


def ssim_by_hand(x, y):
    """Wang et al. 2004, equations 13 to 17: mean SSIM, and mean of its contrast-structure part."""
    axis = np.arange(11) - 5
    window = np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * 1.5**2))
    window /= window.sum()

    def mean(z):
        return signal.convolve2d(z, window, mode="valid")

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_x, mean_y = mean(x), mean(y)
    var_x, var_y = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2
    covariance = mean(x * y) - mean_x * mean_y
    contrast = (2 * covariance + c2) / (var_x + var_y + c2)
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return (luminance * contrast).mean(), contrast.mean()


def of_channels(metric, image, other):
    return np.mean(
        [metric(*(z[..., c].astype(np.float64) for z in (image, other))) for c in range(3)]
    )


def ms_ssim_by_hand(x, y):
    """Wang et al. 2003, equation 7, halving by means of 2x2."""
    value = 1.0
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        whole, contrast = ssim_by_hand(x, y)
        value *= (whole if scale == 4 else contrast) ** weight
        if scale < 4:
            halves = (x.shape[0] // 2, 2, x.shape[1] // 2, 2)
            x, y = (z.reshape(halves).mean(axis=(1, 3)) for z in (x, y))
    return value


def test_l1_and_psnr():
    images, others = pairs(3, 20, 24)
    difference = images.astype(np.float64) - others
    np.testing.assert_allclose(
        l1(images, others), np.abs(difference / 127.5).mean(axis=(1, 2, 3)), rtol=1e-5
    )
    expected = 10 * np.log10(255**2 / np.square(difference).mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(psnr(images, others), expected, rtol=1e-5)
    assert l1(images[:1] * 0, images[:1] * 0 + 255) == [2.0]
    assert np.isinf(psnr(images, images)).all()


def test_ssim():
    images, others = pairs(40, 32, 40)  # more than a batch
    expected = [
        of_channels(lambda x, y: ssim_by_hand(x, y)[0], *z)
        for z in zip(images, others, strict=True)
    ]
    np.testing.assert_allclose(ssim(images, others), expected, atol=1e-4)
    np.testing.assert_allclose(ssim(images, images), 1, atol=1e-6)


def test_multi_scale_ssim():
    images, others = pairs(2, 176, 192)
    expected = [of_channels(ms_ssim_by_hand, *pair) for pair in zip(images, others, strict=True)]
    np.testing.assert_allclose(ms_ssim(images, others), expected, atol=1e-4)


def test_images_too_small_are_a_sentence():
    smallest = np.zeros([1, 161, 161, 3], np.uint8)
    assert ms_ssim(smallest, smallest) == [1.0]
    with pytest.raises(NotMeasurable, match="at least 161 pixels a side, these are 160x161"):
        ms_ssim(smallest[:, 1:], smallest[:, 1:])
    with pytest.raises(NotMeasurable, match="at least 11 pixels"):
        ssim(smallest[:, :10], smallest[:, :10])
