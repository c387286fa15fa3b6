"""Less flicker in translated films: where the picture stands still, its translation does, too."""

import numpy as np
from PIL import Image, ImageFilter

STILL = 6.0  # levels of 255: a difference between frames of this much is motion for the most part
BLUR = 2.0  # pixels: noise is not taken for motion, nor the inside of what moves for still


class Smoothing:
    """A running average of what the translation changes, along pixels that do not move.

    A network that sees each frame by itself changes the same wall a little differently every time. The
    change is averaged over the past, with a weight that falls to 0 where the original differs from the
    frame before: what moves, and what comes after a cut, is translated anew.

    Args:
        strength: From 0 to below 1, the weight of the past where nothing moves.
    """

    def __init__(self, strength: float):
        self._strength = strength
        self._before: np.ndarray | None = None
        self._change = np.zeros(1, np.float32)

    def __call__(self, original: np.ndarray, translated: np.ndarray) -> np.ndarray:
        """The next frame and its translation, both uint8 `[H, W, 3]`, to the smoothed translation."""
        change = translated.astype(np.float32) - original
        if self._before is not None:
            weight = self._strength * self._stillness(original)[..., None]
            change += weight * (self._change - change)
        self._before, self._change = original, change
        return np.clip(np.round(original + change), 0, 255).astype(np.uint8)

    def _stillness(self, original: np.ndarray) -> np.ndarray:
        """float32 `[H, W]`: 1 where nothing moves, 0 where all is new."""
        difference = np.abs(original.astype(np.int16) - self._before).max(axis=-1)
        picture = Image.fromarray(difference.astype(np.uint8))
        blurred = np.asarray(picture.filter(ImageFilter.GaussianBlur(BLUR)), np.float32)
        return np.exp(-np.square(blurred / STILL))
