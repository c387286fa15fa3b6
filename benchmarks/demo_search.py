"""Which small CycleGAN learns most of the embedded emoji in a few CPU minutes?

    python -m benchmarks.demo_search [--minutes 10] [VARIANT ...]

Trains each variant of the `plain` preset, at a constant rate, for the same CPU time and judges it on
the 200 held-out pairs: L1 to the true picture (in [-1, 1]) and sliced Wasserstein distance, both
directions, beside what not translating at all would give. Prints a Markdown table.
"""

import argparse
import dataclasses
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_cyclegan.data.decode import decode_resized
from tf_cyclegan.data.pipeline import load_dataset
from tf_cyclegan.data.sources import Domain
from tf_cyclegan.evaluation.distribution import sliced_wasserstein
from tf_cyclegan.methods.cyclegan.settings import PRESETS, Config
from tf_cyclegan.methods.cyclegan.step import CycleGAN
from tf_cyclegan.pictures import image_grid, png_bytes
from tf_cyclegan.training.run import Run
from tf_cyclegan.training.trainer import xla_pays
from tf_cyclegan.translation.translator import Translator, restore_translators

SLOW = {"learning_rate": 2e-4}  # the paper's rate
VARIANTS = {
    "plain preset": {},
    "rate 2e-4": SLOW,
    "rate 2e-4, batch 1": SLOW | {"batch_size": 1},
    "rate 2e-4, no identity loss": SLOW | {"lambda_identity": 0.0},
    "rate 2e-4, lambda 5": SLOW | {"lambda_cycle": 5.0},
    "pool of 50": {"pool_size": 50},
    "cross-entropy": {"adversarial_loss": "bce"},
    "transposed convolutions": {"upsampling": "transpose"},
    "6 residual blocks": {"generator": "resnet6"},
}
ENDLESS = 10**6


def read_all(domain: Domain) -> np.ndarray:
    """All images of a domain as uint8 `[N, 64, 64, 3]`."""
    return np.stack(
        [decode_resized(domain.read(i), (64, 64), "bicubic") for i in range(len(domain))]
    )


def judge(translated: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """L1 in [-1, 1] to the true pairs, and sliced Wasserstein distance to their set."""
    difference = np.abs(translated.astype(np.float32) - truth) / 127.5
    return float(difference.mean()), sliced_wasserstein(translated, truth)["mean"]


def translate_all(generator, size_multiple: int, images: np.ndarray) -> np.ndarray:
    """Translate uint8 images in batches."""
    translator = Translator(generator, size_multiple)
    parts = [
        translator.translate_images(tf.constant(images[i : i + 50]))["images"].numpy()
        for i in range(0, len(images), 50)
    ]
    return np.concatenate(parts)


def train(config: Config, cpu_seconds: float) -> tuple[CycleGAN, int, float]:
    """Train for so much CPU time, tracing included: the model, its steps, seconds a step."""
    start = time.process_time()
    model = CycleGAN(config, ENDLESS)
    step = tf.function(model.train_step, jit_compile=xla_pays(config), autograph=False)
    for done, (x, y) in enumerate(load_dataset(config).train_batches(0, ENDLESS), 1):
        step(x, y)
        if done == 1:
            first = time.process_time()
        if time.process_time() - start > cpu_seconds:
            return model, done, (time.process_time() - first) / max(done - 1, 1)
    raise AssertionError("the stream of batches is endless")


def row(name: str, steps: str, seconds: str, scores: list[tuple[float, float]]) -> None:
    """Print one line of the table."""
    numbers = " | ".join(f"{l1:.4f} | {distance:.1f}" for l1, distance in scores)
    print(f"| {name} | {steps} | {seconds} | {numbers} |", flush=True)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("variants", nargs="*", help=f"of {', '.join(VARIANTS)} (default: all)")
    parser.add_argument(
        "--minutes", type=float, default=10, help="CPU minutes each, over all cores"
    )
    parser.add_argument("--run", type=Path, help="judge a finished run too")
    parser.add_argument("--pictures", type=Path, help="folder for a picture of each variant")
    args = parser.parse_args()
    unknown = set(args.variants) - set(VARIANTS)
    if unknown:
        parser.error(f"no variant {', '.join(unknown)}; there are {', '.join(VARIANTS)}")

    data = load_dataset(PRESETS["plain"])
    x, y = read_all(data.test_x), read_all(data.test_y)
    print("| variant | steps | CPU s a step | L1 x→y | SWD x→y | L1 y→x | SWD y→x |")
    print("|---|---|---|---|---|---|---|")
    row("not translated", "-", "-", [judge(x, y), judge(y, x)])
    if args.run:
        translators, config = restore_translators(Run(args.run))
        scores = [
            judge(translate_all(translators["x_to_y"], config.size_multiple, x), y),
            judge(translate_all(translators["y_to_x"], config.size_multiple, y), x),
        ]
        row(str(args.run), "-", "-", scores)
    for name in args.variants or ([] if args.run else VARIANTS):
        config = dataclasses.replace(PRESETS["plain"], decay_start=1.0, **VARIANTS[name])
        model, steps, seconds = train(config, 60 * args.minutes)
        fake_y = translate_all(model.generator_g, config.size_multiple, x)
        fake_x = translate_all(model.generator_f, config.size_multiple, y)
        row(name, str(steps), f"{seconds:.2f}", [judge(fake_y, y), judge(fake_x, x)])
        if args.pictures:
            args.pictures.mkdir(parents=True, exist_ok=True)
            some = slice(0, 200, 25)
            columns = {"x": x, "G(x)": fake_y, "true y": y, "F(y)": fake_x}
            grid = image_grid({heading: images[some] for heading, images in columns.items()})
            (args.pictures / f"{name}.png").write_bytes(png_bytes(grid))


if __name__ == "__main__":
    main()
