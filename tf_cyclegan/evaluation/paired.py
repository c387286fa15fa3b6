"""How far images are from the ones they should be, pair by pair."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from ..errors import NotMeasurable
from ..progress import progress

WINDOW = 11  # pixels a side of the Gaussian window of SSIM
CONSTANTS = {"max_val": 255, "filter_size": WINDOW, "filter_sigma": 1.5, "k1": 0.01, "k2": 0.03}
SCALES = 5
SMALLEST_MS_SSIM = (WINDOW - 1) * 2 ** (SCALES - 1) + 1  # what leaves a window on the last scale
BATCH = 32


def l1(images, others) -> np.ndarray:
    """Mean absolute difference, on the scale of the losses: images in [-1, 1]."""
    difference = np.abs(images.astype(np.float32) - others.astype(np.float32))
    return difference.mean(axis=(1, 2, 3)) / 127.5


def psnr(images, others) -> np.ndarray:
    """Peak signal-to-noise ratio in decibels, of all channels together; infinite if identical."""
    return _in_batches(lambda x, y: tf.image.psnr(x, y, max_val=255), images, others)


def ssim(images, others) -> np.ndarray:
    """Structural similarity, at most 1: the mean of the three colour channels.

    Wang, Bovik, Sheikh, Simoncelli 2004, https://doi.org/10.1109/TIP.2003.819861: Gaussian window of
    11x11 with a standard deviation of 1.5, K1 = 0.01, K2 = 0.03, no padding.

    Raises:
        NotMeasurable: The images are smaller than the window.
    """
    _check_size("SSIM", images, WINDOW)
    return _in_batches(
        lambda x, y: tf.image.ssim(x, y, **CONSTANTS),
        images,
        others,
    )


def ms_ssim(images, others) -> np.ndarray:
    """Multi-scale structural similarity over five scales, at most 1.

    Wang, Simoncelli, Bovik 2003, https://doi.org/10.1109/ACSSC.2003.1292216, with the paper's
    exponents. Negative contrasts, whose powers would be complex, count as 0.

    Raises:
        NotMeasurable: The images are smaller than the window on the smallest scale.
    """
    _check_size("multi-scale SSIM", images, SMALLEST_MS_SSIM)
    return _in_batches(
        lambda x, y: tf.image.ssim_multiscale(x, y, **CONSTANTS),
        images,
        others,
    )


# From two sets of uint8 `[N, H, W, 3]` in the same order to a number for every pair.
PAIRED_METRICS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "l1": l1,
    "psnr": psnr,
    "ssim": ssim,
    "ms_ssim": ms_ssim,
}


def _check_size(metric: str, images, smallest: int):
    height, width = images.shape[1:3]
    if min(height, width) < smallest:
        raise NotMeasurable(
            f"{metric} needs images of at least {smallest} pixels a side, these are "
            f"{height}x{width}"
        )


def _in_batches(metric, images, others) -> np.ndarray:
    starts = range(0, len(images), BATCH)
    parts = [
        metric(tf.constant(images[i : i + BATCH]), tf.constant(others[i : i + BATCH])).numpy()
        for i in progress(starts, len(starts), "comparing pairs, batch")
    ]
    return np.concatenate(parts)
