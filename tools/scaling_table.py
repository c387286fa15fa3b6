"""Write the tables of docs/scaling.md: what training on many accelerators would give, on paper.

    python tools/scaling_table.py [--check]

The operations and the bytes are counted from the networks of the `paper` preset; the rates of the
accelerator and its links are the maker's, the share of its peak that is reached is assumed.
"""

import dataclasses
import math
import os
import re
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
PAGE = ROOT / "docs" / "scaling.md"
MARKED = re.compile(r"(<!-- (\w+): written .*? -->\n).*?(<!-- end of \2 -->)", re.DOTALL)

PEAK = 156e12  # TF32 operations a second, NVIDIA A100 data sheet
SHARES = (0.15, 0.30, 0.60)  # of the peak that a step reaches
NODE = 8  # accelerators joined by NVLink
NVLINK = 300e9  # bytes a second and direction
NETWORK = 25e9  # bytes a second an accelerator between nodes: 200 Gbit/s InfiniBand
LATENCY = 10e-6  # seconds a hop
COUNTS = (1, 8, 64, 512)
IMAGE = 256 * 256 * 3 * 4  # bytes of a generated image, float32
IMAGES = 1334 * 200  # of each domain, horse2zebra for the paper's 200 epochs


def networks() -> tuple[float, int, int, int]:
    """Operations of a step at 256x256, weights of a generator and of a discriminator, gradients."""
    from benchmarks import tutorial
    from benchmarks.flops import step_flops
    from tf_cyclegan.methods.adversarial import build_discriminator, build_generator
    from tf_cyclegan.methods.cyclegan.settings import PRESETS

    config = dataclasses.replace(PRESETS["paper"], image_size=256)
    generator, discriminator = build_generator(config, 0), build_discriminator(config, 0)
    of_known_size = tutorial.generator(config), tutorial.discriminator(config)
    weights = generator.count_params(), discriminator.count_params()
    gradients = sum(2 * len(network.trainable_variables) for network in (generator, discriminator))
    return step_flops(config, *of_known_size), *weights, gradients


def all_reduce(count: int, size: int) -> float:
    """Seconds for a ring within each node and one between nodes, each accelerator with its link."""
    if count == 1:
        return 0.0
    local, nodes = min(count, NODE), math.ceil(count / NODE)
    seconds = 2 * (local - 1) / local * size / NVLINK + 2 * math.log2(count) * LATENCY
    return seconds + 2 * (nodes - 1) / nodes * size / local / NETWORK


def gather(count: int) -> float:
    """Seconds until every replica has both generated images of every other, for the one pool."""
    link = NVLINK if count <= NODE else NETWORK
    return (count - 1) * 2 * IMAGE / link


def scaling(flops: float, size: int) -> str:
    """The table of seconds and images a second by number of accelerators."""
    compute = flops / (PEAK * SHARES[1])
    rows = [
        "| accelerators | compute, ms | all-reduce, ms | gather for the pool, ms "
        "| images/s | of ideal | without the pool | 200 epochs, minutes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for count in COUNTS:
        reduce, pool = all_reduce(count, size), gather(count)
        step = compute + reduce + pool
        rows.append(
            f"| {count} | {1e3 * compute:.1f} | {1e3 * reduce:.2f} | {1e3 * pool:.2f} "
            f"| {count / step:.0f} | {compute / step:.0%} | {compute / (compute + reduce):.0%} "
            f"| {IMAGES / count * step / 60:.1f} |"
        )
    return "\n".join(rows) + "\n"


def sensitivity(flops: float, size: int) -> str:
    """The share of ideal for other speeds of a step."""
    rows = ["| of the peak | step alone, ms | 8 | 64 | 512 |", "|---|---|---|---|---|"]
    for share in SHARES:
        compute = flops / (PEAK * share)
        ideal = [compute / (compute + all_reduce(n, size) + gather(n)) for n in COUNTS[1:]]
        cells = " | ".join(f"{value:.0%}" for value in ideal)
        rows.append(f"| {share:.0%} | {1e3 * compute:.1f} | {cells} |")
    return "\n".join(rows) + "\n"


def facts(flops: float, generator: int, discriminator: int, gradients: int) -> str:
    """What is counted."""
    total = 2 * (generator + discriminator)
    return (
        "| | |\n|---|---|\n"
        f"| weights of a generator | {generator:,} |\n"
        f"| weights of a discriminator | {discriminator:,} |\n"
        f"| operations of a step at 256x256, one image of each domain | {flops / 1e9:,.0f} GFLOP |\n"
        f"| gradients summed over the replicas in a step "
        f"| {gradients} tensors, {total * 4 / 1e6:.1f} MB |\n"
        f"| generated images gathered for the pool | {2 * IMAGE / 1e6:.2f} MB a replica |\n"
    )


def main() -> None:
    """Run the command."""
    flops, generator, discriminator, gradients = networks()
    size = 4 * 2 * (generator + discriminator)
    tables = {
        "facts": facts(flops, generator, discriminator, gradients),
        "scaling": scaling(flops, size),
        "sensitivity": sensitivity(flops, size),
    }
    before = PAGE.read_text()
    after = MARKED.sub(lambda match: match[1] + tables[match[2]] + match[3], before)
    if "--check" in sys.argv:
        sys.exit("docs/scaling.md: run tools/scaling_table.py" if before != after else 0)
    PAGE.write_text(after)


if __name__ == "__main__":
    main()
