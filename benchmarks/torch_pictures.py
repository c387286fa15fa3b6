"""What PyTorch's CycleGAN and FastCUT translate after so many minutes: a piece of work for a process.

    python -m benchmarks.torch_pictures cyclegan data.zip 10 0 translated

trains with the authors' networks and step (`pytorch.py`, `pytorch_cut.py`) on a zip with trainA and
trainB, and writes its test images translated. Run by `benchmarks.peers`.
"""

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
from .pytorch import TorchCycleGAN
from .pytorch_cut import TorchCUT


def read(archive: str, folder: str) -> tuple[list[str], torch.Tensor]:
    """The names and the images of a folder in a zip: `[N, 3, H, W]` in [-1, 1]."""
    names, pixels = read_pixels(archive, folder)
    return names, torch.from_numpy(pixels.transpose(0, 3, 1, 2) / np.float32(127.5) - 1)


def one_of(images: torch.Tensor) -> torch.Tensor:
    """A batch of one image, mirrored every other time."""
    image = images[random.randrange(len(images))][None]
    return image.flip(3) if random.random() < 0.5 else image


def train(peer: str, images_x, images_y, minutes: float):
    """Train for so many minutes of the processor, the rate falling to zero over the second half.

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
        done = (time.process_time() - start) / (60 * minutes)
        if steps % 500 == 0:
            print(f"{peer}: step {steps}, {100 * done:.0f} %", file=sys.stderr)
    return generators, steps


def main() -> None:
    """Run the command."""
    peer, archive, minutes, seed, output = sys.argv[1:]
    torch.set_num_threads(1)
    random.seed(int(seed))
    torch.manual_seed(int(seed))
    domains = {"x_to_y": "A", "y_to_x": "B"}
    images = [read(archive, f"train{domain}")[1] for domain in domains.values()]
    generators, steps = train(peer, *images, float(minutes))
    for direction, network in generators.items():
        names, tests = read(archive, f"test{domains[direction]}")
        folder = Path(output) / direction
        folder.mkdir(parents=True, exist_ok=True)
        for name, image in zip(names, tests, strict=True):
            with torch.inference_mode():
                # In training mode, which for instance norms is what they always do.
                pixels = ((network(image[None])[0] + 1) * 127.5).round().clamp(0, 255)
            drawn = pixels.to(torch.uint8).permute(1, 2, 0).numpy()
            Image.fromarray(drawn).save(folder / f"{name}.png")
    run = {"steps": steps, "minutes": float(minutes)}
    (Path(output) / "run.json").write_text(json.dumps(run))


if __name__ == "__main__":
    main()
