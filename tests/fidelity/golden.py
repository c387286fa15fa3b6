"""What tools/make_golden.py, which wrote the golden files, and the checks that read them share.

NumPy alone. Arrays have PyTorch's layout here: images [N, C, H, W], kernels [O, I, k, k], kernels of
transposed convolutions [I, O, k, k].
"""

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parents[1] / "golden"
NETWORKS = ("generator_g", "generator_f", "discriminator_x", "discriminator_y")
TERMS = (
    *("generator_g", "generator_f", "cycle_x", "cycle_y", "identity_x", "identity_y"),
    *("discriminator_x", "discriminator_y"),
)
STEPS = 10
BATCH = 2
POOL_SIZE = 5  # at batch 2 the third step has both kinds of images: filling and exchanged
SKETCH = 8

# Name of a case: network, its arguments by our names, the seed of its weights, image sizes.
NETWORK_CASES = {
    "resnet6": ("resnet", {"blocks": 6, "upsampling": "transpose"}, 1, [(24, 24), (16, 28)]),
    "resnet9": ("resnet", {"blocks": 9, "upsampling": "transpose"}, 2, [(24, 24), (16, 28)]),
    "resnet6 resize": ("resnet", {"blocks": 6, "upsampling": "resize"}, 3, [(16, 20)]),
    "unet": ("unet", {"levels": 4, "upsampling": "transpose"}, 4, [(16, 16), (32, 48)]),
    "unet resize": ("unet", {"levels": 4, "upsampling": "resize"}, 5, [(16, 32)]),
    "patchgan paper": ("patchgan", {"affine": False, "leaky_slope": 0.2}, 6, [(24, 24), (32, 56)]),
    "patchgan tutorial": (
        "patchgan",
        {"affine": True, "leaky_slope": 0.3},
        7,
        [(24, 24), (32, 56)],
    ),
}
FILTERS = 4
TRAINING_SEEDS = {"paper": 100, "tutorial": 200}


def draws(seed: int) -> np.random.RandomState:
    """NumPy's old generator: its numbers are promised never to change."""
    return np.random.RandomState(seed)


def draw_weight(random: np.random.RandomState, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    """The next weight of a network: `kind` is kernel, bias, scale or offset."""
    values = random.uniform(-1.0, 1.0, shape)
    if kind == "kernel":
        return values * np.sqrt(3.0 / (shape[1] * shape[2] * shape[3]))
    return 1.0 + 0.5 * values if kind == "scale" else 0.5 * values


def draw_images(random: np.random.RandomState, count: int, height: int, width: int) -> np.ndarray:
    """Images [N, 3, H, W] in [-1, 1]."""
    return random.uniform(-1.0, 1.0, (count, 3, height, width))


def draw_choices(random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """What a pool decides in every step: keep [STEPS, BATCH] and slots [STEPS, BATCH]."""
    return random.rand(STEPS, BATCH) < 0.5, random.randint(0, POOL_SIZE, (STEPS, BATCH))


def sketch(array: np.ndarray) -> np.ndarray:
    """Eight numbers that stand for an array: itself, or its projections on random directions.

    The projection of a difference has on average the length of the difference, so comparing eight
    of them compares the arrays: a wrong one would have to differ at right angles to all.
    """
    flat = np.asarray(array, np.float64).ravel()
    if flat.size <= SKETCH:
        return np.pad(flat, (0, SKETCH - flat.size))
    return draws(flat.size).standard_normal((SKETCH, flat.size)) @ flat / np.sqrt(SKETCH)


def sketches(arrays) -> np.ndarray:
    """The sketch of every array, [number of arrays, SKETCH]."""
    return np.stack([sketch(array) for array in arrays])


def load(name: str) -> dict[str, np.ndarray]:
    """A golden file."""
    with np.load(FOLDER / f"{name}.npz") as file:
        return dict(file)
