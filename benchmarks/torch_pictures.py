"""What PyTorch's CycleGAN and FastCUT translate after a training: a piece of work for a process.

    python -m benchmarks.torch_pictures cyclegan data.zip translated --minutes 10

trains with the authors' networks and step (`pytorch.py`, `pytorch_cut.py`) on a zip with trainA and
trainB, and writes its test images translated. Run by `benchmarks.peers`; on a GPU, where there is one.
"""

import argparse
import json
import random
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .cases import PEERS, case
from .pictures import read_pixels
from .pytorch import DEVICE, TorchCycleGAN
from .pytorch_cut import TorchCUT


def read(archive: str, folder: str) -> tuple[list[str], torch.Tensor]:
    """The names and the images of a folder in a zip: `[N, 3, H, W]` in [-1, 1]."""
    names, pixels = read_pixels(archive, folder)
    images = torch.from_numpy(pixels.transpose(0, 3, 1, 2) / np.float32(127.5) - 1)
    return names, images.to(DEVICE)


def one_of(images: torch.Tensor) -> torch.Tensor:
    """A batch of one image, mirrored every other time."""
    image = images[random.randrange(len(images))][None]
    return image.flip(3) if random.random() < 0.5 else image


def train(peer: str, images_x, images_y, minutes: float | None, total_steps: int | None):
    """Train for so many minutes of the processor or steps; the rate falls to zero over the second half.

    Returns:
        Generators by direction, and how many steps they were trained.
    """
    name, rate = PEERS[peer]
    config = case(name)
    if config.method == "cut":
        model = TorchCUT(config)
        generators, optimizers = {"x_to_y": model.generator}, model.optimizers
    else:
        model = TorchCycleGAN(config)
        generators = dict(zip(("x_to_y", "y_to_x"), model.generators, strict=True))
        optimizers = [model.generator_optimizer, model.discriminator_optimizer]
    start, steps, done = time.process_time(), 0, 0.0
    while done < 1:
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * min(1.0, 2 * (1 - done))
        model.train_step(one_of(images_x), one_of(images_y))
        steps += 1
        done = steps / total_steps if total_steps else elapsed(start) / minutes
        if steps % 500 == 0:
            print(f"{peer}: step {steps}, {100 * done:.0f} %", file=sys.stderr)
    return generators, steps


def elapsed(start: float) -> float:
    """Minutes of the processor since a `time.process_time()`."""
    return (time.process_time() - start) / 60


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("archive", type=Path)
    parser.add_argument("output", type=Path)
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float, help="of the processor")
    length.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    random.seed(args.seed)
    torch.manual_seed(args.seed)
    domains = {"x_to_y": "A", "y_to_x": "B"}
    images = [read(args.archive, f"train{domain}")[1] for domain in domains.values()]
    start = time.process_time()
    generators, steps = train(args.peer, *images, args.minutes, args.steps)
    minutes = elapsed(start)
    for direction, network in generators.items():
        names, tests = read(args.archive, f"test{domains[direction]}")
        folder = args.output / direction
        folder.mkdir(parents=True, exist_ok=True)
        for name, image in zip(names, tests, strict=True):
            with torch.inference_mode():
                # In training mode, which for instance norms is what they always do.
                pixels = ((network(image[None])[0] + 1) * 127.5).round().clamp(0, 255)
            drawn = pixels.to(torch.uint8).permute(1, 2, 0).cpu().numpy()
            Image.fromarray(drawn).save(folder / f"{name}.png")
    run = {"steps": steps, "minutes": minutes, "device": DEVICE}
    (args.output / "run.json").write_text(json.dumps(run))


if __name__ == "__main__":
    main()
