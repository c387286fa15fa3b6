"""What tools/make_golden_contrastive.py and the test that reads its file share. NumPy alone."""

import numpy as np

from . import golden

SEEDS = {"cut": 600, "fastcut": 700, "dclgan": 800}
STEPS = 3
SIZE = (24, 28)
LAYERS = (0, 4, 8, 12)
PATCHES = 50  # more than the 6 x 7 places of the last layer
FEATURES = 6


def pixels(antialias: bool) -> list[int]:
    """The places of each layer."""
    height, width = SIZE
    finer = 1 if antialias else 2
    down = [(height // f, width // f) for f in (finer, 2 * finer, 4)]
    return [(height + 6) * (width + 6), *(h * w for h, w in down)]


def draw(case: str) -> tuple[np.ndarray, list[dict]]:
    """The images, and what is chosen in each step.

    Returns:
        `[STEPS, 2, BATCH, 3, H, W]`; and a dict a step, of "flip" and of "places" by comparison, then
        by layer.
    """
    random = golden.draws(SEEDS[case])
    images = golden.draw_images(random, 2 * STEPS * golden.BATCH, *SIZE)
    chosen = []
    for step in range(STEPS):
        places = [
            [random.permutation(n)[:PATCHES].astype(np.int32) for n in pixels(case != "fastcut")]
            for _ in range(2)
        ]
        chosen.append({"flip": step != 1, "places": places})
    return images.reshape(STEPS, 2, golden.BATCH, 3, *SIZE), chosen
