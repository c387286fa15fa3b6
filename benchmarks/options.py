"""What does each option of a training step cost, in time and in memory?

    python -m benchmarks.options [--rounds 7] [--steps 2] [--no-memory] [OPTION ...]

The step of the `plain` preset with one option beside the step without it. Times: all in one process, a
few steps of each in turn, round after round; of the rounds' ratios of processor time the median counts.
Memory: the most that a process of its own holds until the end of its third step. Prints Markdown.
"""

import argparse
import contextlib
import dataclasses
import json
import multiprocessing
import resource
import time
from pathlib import Path
from statistics import median

import numpy as np

from tf_cyclegan.methods.cyclegan.settings import PRESETS, Config

PLAIN = "TensorFlow's own convolutions"  # in place of those of tf_cyclegan/models/cpu
OPTIONS: dict[str, dict] = {
    "--ema 1000": {"ema": 1000.0},
    "--augment color": {"augment": "color"},
    "--augment color,translation,cutout": {"augment": "color,translation,cutout"},
    "... --augment-target 0.8": {"augment": "color,translation,cutout", "augment_target": 0.8},
    "--penalty r1": {"penalty": "r1"},
    "--penalty r1 --penalty-every 16": {"penalty": "r1", "penalty_every": 16},
    "--penalty zero": {"penalty": "zero"},
    "--adversarial-loss wgan --penalty wgan-gp": {"adversarial_loss": "wgan", "penalty": "wgan-gp"},
    "--adversarial-loss hinge": {"adversarial_loss": "hinge"},
    "--discriminator-norm spectral": {"discriminator_norm": "spectral"},
    "--discriminator-halvings 2": {"discriminator_halvings": 2},
    "... --discriminator-scales 2": {"discriminator_halvings": 2, "discriminator_scales": 2},
    "--unet-outer-skip": {"unet_outer_skip": True},
    "--dropout 0": {"dropout": 0.0},
    "--pool-size 50": {"pool_size": 50},
    "--lambda-identity 0": {"lambda_identity": 0.0},
    "--copy-steps 100": {"copy_steps": 100},
    "--cycle-noise 0.05": {"cycle_noise": 0.05},
    "--decay cosine --warmup-steps 100": {"decay": "cosine", "warmup_steps": 100},
    "--decay plateau": {"decay": "plateau"},
    PLAIN: {},
}
OFF = "off"
WARM_UP = 2  # steps that trace and allocate
MEMORY_STEPS = 3


def batch(config: Config) -> np.ndarray:
    """The same real_x and real_y for all."""
    shape = [2, config.batch_size, *config.image_shape, 3]
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def step_of(option: str):
    """A function that does a training step."""
    import tensorflow as tf

    from tf_cyclegan.methods.cyclegan.step import CycleGAN
    from tf_cyclegan.models.convolutions import plain_convolutions

    config = dataclasses.replace(PRESETS["plain"], **OPTIONS.get(option, {}))
    model = CycleGAN(config, 1000)
    function = tf.function(model.train_step, autograph=False)
    real_x, real_y = (tf.constant(images) for images in batch(config))

    def step():
        with plain_convolutions() if option == PLAIN else contextlib.nullcontext():
            return [value.numpy() for value in function(real_x, real_y).values()]

    return step


def time_ratios(options: list[str], rounds: int, steps: int) -> dict[str, float]:
    """Processor time a step, as a multiple of that of the first of them."""
    functions = {option: step_of(option) for option in options}
    for function in functions.values():
        for _ in range(WARM_UP):
            function()
    ratios: dict[str, list[float]] = {option: [] for option in options}
    for _ in range(rounds):
        seconds = {}
        for name, function in functions.items():
            start = time.process_time()
            for _ in range(steps):
                function()
            seconds[name] = time.process_time() - start
        off = next(iter(seconds.values()))
        for name, taken in seconds.items():
            ratios[name].append(taken / off)
    return {name: median(several) for name, several in ratios.items()}


def peak_bytes(option: str) -> int:
    """The most memory that this process holds until it has done some steps."""
    function = step_of(option)
    for _ in range(MEMORY_STEPS):
        function()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def memory_ratios(options: list[str]) -> dict[str, float]:
    """Peaks of processes of their own, libraries included, as multiples of the first one's."""
    peaks = {}
    for option in options:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            peaks[option] = pool.apply(peak_bytes, [option])
    off = next(iter(peaks.values()))
    return {name: peak / off for name, peak in peaks.items()}


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("options", nargs="*", default=list(OPTIONS), metavar="OPTION")
    parser.add_argument(
        "--rounds", type=int, default=7, help="of the times; 0 measures memory alone"
    )
    parser.add_argument("--steps", type=int, default=2, help="of each in a round")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    options = [OFF, *args.options]
    memory = {} if args.no_memory else memory_ratios(options)
    times = time_ratios(options, args.rounds, args.steps) if args.rounds else {}
    print("| option | time | memory |\n|---|---|---|")
    for name in args.options:
        taken, peak = (f"{ratios[name]:.2f}" if ratios else "" for ratios in (times, memory))
        told = name if name == PLAIN else f"`{name}`"
        print(f"| {told} | {taken} | {peak} |")
    if args.json:
        args.json.write_text(json.dumps({"time": times, "memory": memory}, indent=2) + "\n")


if __name__ == "__main__":
    main()
