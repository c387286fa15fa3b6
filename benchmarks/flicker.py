"""How much does `translate --smooth` damp flicker?

    python -m benchmarks.flicker

A still scene, filmed with noise of so many levels of 255 and translated with a flicker of 5: the mean
difference between one frame of the translation and the next, as translated and smoothed.
"""

import numpy as np

from tf_cyclegan.translation.smoothing import Smoothing

from .report import number, print_header, print_row

FLICKER = 5
FRAMES, FIRST = 40, 10  # frames, and those before the average has settled


def differences(noise: float, strength: float) -> tuple[float, float]:
    """Between frames, in levels of 255: as translated, and smoothed."""
    random = np.random.default_rng(0)
    scene = random.integers(40, 200, [64, 96, 3])
    smoothing = Smoothing(strength)
    plain, smooth = [], []
    for _ in range(FRAMES):
        frame = np.clip(scene + random.normal(0, noise, scene.shape), 0, 255).astype(np.uint8)
        translated = 0.5 * frame + 60 + random.normal(0, FLICKER, scene.shape)
        plain.append(np.clip(translated, 0, 255).astype(np.uint8))
        smooth.append(smoothing(frame, plain[-1]))
    before, after = (
        float(np.abs(np.diff(np.stack(frames[FIRST:]).astype(float), axis=0)).mean())
        for frames in (plain, smooth)
    )
    return before, after


def main() -> None:
    """The command."""
    print_header("noise of the film", "--smooth", "as translated", "smoothed")
    for noise in (0, 2):
        for strength in (0.5, 0.8, 0.9):
            print_row(noise, strength, *map(number, differences(noise, strength)))


if __name__ == "__main__":
    main()
