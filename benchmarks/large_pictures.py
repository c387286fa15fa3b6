"""What large pictures take: memory, time, and how far tiles are from the picture at once.

    python -m benchmarks.large_pictures memory [--sides 512 1024] [--json FILE]
    python -m benchmarks.large_pictures tiles [--side 1024] [--tile 448] [--model RUN] [--json FILE]
    python -m benchmarks.large_pictures file --size 4032x3024 --memory 2GB [--suffix .tif] [--json FILE]

`memory` holds what a translation is said to take against what it takes; `tiles` compares tiles with
the same picture at once: with statistics of a thumbnail, and of each tile by itself; `file`
runs the `translate` command on a picture. Without --model the network is the paper's, of 9 blocks and
untrained.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from tf_cyclegan.commands import run_command
from tf_cyclegan.files import write_file

from .report import number, print_header, print_row


def scene(width: int, height: int, seed: int = 0) -> Image.Image:
    """A picture with detail of every size, a dark smooth sky and a bright rough ground."""
    random = np.random.default_rng(seed)
    total = np.zeros([height, width, 3], np.float32)
    for octave in range(3, 11):
        coarse = random.normal(0, 1, [2**octave, 2**octave, 3]).clip(-2, 2)
        layer = Image.fromarray(np.uint8(coarse * 63 + 128)).resize(
            (width, height), Image.Resampling.BICUBIC
        )
        total += (np.asarray(layer, np.float32) - 128) / 2 ** (0.7 * (octave - 3))
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    return Image.fromarray(
        np.clip(60 + 120 * down + total * (0.15 + 0.6 * down), 0, 255).astype(np.uint8)
    )


def network_of(model: Path | None, blocks: int = 9, filters: int = 64):
    """A network and what its sides must be multiples of."""
    from .ours import paper_generator

    if model is None:
        return paper_generator(blocks, filters), 4
    from tf_cyclegan.training.run import Run
    from tf_cyclegan.translation.translator import restore_translator

    network, config = restore_translator(Run(model), "x_to_y")
    return network, config.size_multiple


def peak_mb() -> float:
    """The most memory that this process has held."""
    from .worker import peak_bytes

    return peak_bytes() / 1e6


def one_size(side: int) -> dict:
    """In a process of its own: what a translation at once takes, as it is said and as it is."""
    from tf_cyclegan.translation.memory_of_network import needs_of_network
    from tf_cyclegan.translation.pictures import PictureTranslator
    from tf_cyclegan.translation.translator import Translator

    network, multiple = network_of(None)
    said = needs_of_network(network, multiple).by_pixel
    model = Translator(network, multiple)
    translator = PictureTranslator(model, network=network, size_multiple=multiple, memory=10**13)
    translator(np.zeros([64, 64, 3], np.uint8))
    before = peak_mb()
    translator(np.asarray(scene(side, side)))
    return {
        "side": side,
        "said_mb": said * side**2 / 1e6,
        "measured_mb": peak_mb() - before,
        "process_mb": before,
    }


def measure_memory(options: argparse.Namespace) -> list[dict]:
    """A process for each size."""
    print_header("picture", "said, MB", "measured, MB", "measured / said", "program, MB")
    results = []
    for side in options.sides:
        command = [sys.executable, "-m", "benchmarks.large_pictures", "one", str(side)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        result = json.loads(told.splitlines()[-1])
        results.append(result)
        cells = (result["said_mb"], result["measured_mb"])
        print_row(
            f"{side}x{side}",
            *map(number, cells),
            number(cells[1] / cells[0]),
            number(result["process_mb"]),
        )
    return results


def measure_tiles(options: argparse.Namespace) -> list[dict]:
    """One picture at once and in tiles."""
    import tensorflow as tf

    from tf_cyclegan.models.cpu.choice import also_of_open_sizes
    from tf_cyclegan.translation import tiles
    from tf_cyclegan.translation.area import Area

    network, multiple = network_of(options.model, options.blocks, options.filters)
    image = np.asarray(scene(options.side, options.side)) / np.float32(127.5) - 1

    def read(top, left, height, width):
        return image[top : top + height, left : left + width]

    area = Area(*image.shape[:2], read)
    at_once = tf.function(lambda images: network(images, training=False), autograph=False)

    def whole():
        with also_of_open_sizes():
            return at_once(image[None])[0].numpy()

    tiled = tiles.Tiled(network, multiple, options.tile)

    def in_tiles(tiled=tiled):
        return np.concatenate(list(tiled.rows(area)))

    whole(), in_tiles()  # traced
    start = time.perf_counter()
    expected = whole()
    middle = time.perf_counter()
    results = {"thumbnail": in_tiles()}
    seconds = (middle - start, time.perf_counter() - middle)

    given, tiles.Given = tiles.Given, lambda _: None
    alone = tiles.Tiled(network, multiple, options.tile)
    alone.statistics = lambda *_: []
    results["each tile"] = in_tiles(alone)
    tiles.Given = given

    starts = tiles._starts(options.side, tiled._tile(area)[1], multiple)
    shared = np.zeros(options.side - 1, bool)
    for start_, before in zip(starts[1:], starts, strict=False):
        shared[start_ : before + tiled._tile(area)[1] - 1] = True
    print(
        f"\nat once {seconds[0]:.1f} s, tiles {seconds[1]:.1f} s: {seconds[1] / seconds[0]:.2f}\n"
    )
    print_header("statistics of", "mean difference", "largest", "step at seams", "elsewhere")
    rows = []
    for name, result in results.items():
        difference = 127.5 * (result - expected)
        steps = np.abs(np.diff(difference, axis=1)).mean(axis=(0, 2))
        row = {
            "statistics": name,
            "mean": float(np.abs(difference).mean()),
            "largest": float(np.abs(difference).max()),
            "step_at_seams": float(steps[shared].mean()),
            "step_elsewhere": float(steps[~shared].mean()),
        }
        rows.append(row)
        print_row(name, *(number(value) for value in list(row.values())[1:]))
    return [{"seconds_at_once": seconds[0], "seconds_in_tiles": seconds[1], "differences": rows}]


def measure_file(options: argparse.Namespace) -> list[dict]:
    """The command on a picture, from file to file, in a process of its own."""
    width, height = map(int, options.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        source, model = Path(folder, f"in{options.suffix}"), Path(folder, "model")
        make = [sys.executable, "-m", "benchmarks.large_pictures", "make"]
        network = (str(options.blocks), str(options.filters))
        subprocess.run([*make, str(source), options.size, str(model), *network], check=True)
        target = source.with_name(f"out{options.suffix}")
        command = f"--model {model} --input {source} --output {target} --memory {options.memory}"
        run = [sys.executable, "-m", "benchmarks.large_pictures", "run", *command.split()]
        start = time.perf_counter()
        told = subprocess.run(
            [*run, "--max-pixels", str(width * height)],
            text=True,
            check=True,
            stdout=subprocess.PIPE,
        ).stdout
    result = {
        "size": options.size,
        "suffix": options.suffix,
        "memory": options.memory,
        "peak_mb": json.loads(told.splitlines()[-1]),
        "seconds": time.perf_counter() - start,
    }
    print_header("picture", "file", "--memory", "most held, MB", "seconds")
    print_row(
        options.size,
        options.suffix,
        options.memory,
        number(result["peak_mb"]),
        number(result["seconds"]),
    )
    return [result]


def _in_a_process(arguments: list[str]) -> None:
    """What is started above: `one SIDE`, `make FILE SIZE MODEL BLOCKS FILTERS`, `run OPTIONS`."""
    kind, *rest = arguments
    if kind == "one":
        print(json.dumps(one_size(int(rest[0]))))
    elif kind == "make":
        from tf_cyclegan.translation.translator import save_translator

        width, height = map(int, rest[1].split("x"))
        repeated = scene(min(width, 4032), min(height, 3024))
        whole = Image.new("RGB", (width, height))
        for left in range(0, width, repeated.width):
            for top in range(0, height, repeated.height):
                whole.paste(repeated, (left, top))
        whole.save(rest[0])
        save_translator(*network_of(None, *map(int, rest[3:])), Path(rest[2]))
    else:
        from tf_cyclegan import translate

        translate.main(rest)
        print(json.dumps(peak_mb()))


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in ("one", "make", "run"):
        _in_a_process(arguments)
        return
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("what", choices=["memory", "tiles", "file"])
    options.add_argument("--sides", nargs="+", type=int, default=[512, 1024], help="(512 1024)")
    options.add_argument("--side", type=int, default=1024, help="of the picture in tiles (1024)")
    options.add_argument("--tile", type=int, default=448, help="pixels a side of a tile (448)")
    options.add_argument("--model", type=Path, help="folder of a run")
    options.add_argument("--blocks", type=int, default=9, help="residual blocks (9)")
    options.add_argument("--filters", type=int, default=64, help="of the first layer (64)")
    options.add_argument("--size", default="4032x3024", help="of the file (4032x3024)")
    options.add_argument("--memory", default="2GB", help="for the command (2GB)")
    options.add_argument("--suffix", default=".jpg", help="of the file (.jpg)")
    options.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    given = options.parse_args(arguments)
    measures = {"memory": measure_memory, "tiles": measure_tiles, "file": measure_file}
    results = measures[given.what](given)
    if given.json:
        write_file(given.json, json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    run_command(main)
