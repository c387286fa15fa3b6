"""Data sets made up for measuring, with files of a usual size: JPEGs of 256x256 have 33 kB."""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

JPEG_QUALITY = 95


def write_pictures(folder: Path, count: int, size: int = 256, suffix: str = ".jpg") -> None:
    """Write a data set, trainA and trainB of `count` pictures each, the same ones in each run."""
    for domain, split in enumerate(("trainA", "trainB")):
        (folder / split).mkdir(parents=True)
        rng = np.random.default_rng(domain)
        for index in range(count):
            path = folder / split / f"{index:04}{suffix}"
            path.write_bytes(encoded(picture(rng, size), suffix))


def picture(rng: np.random.Generator, size: int) -> Image.Image:
    """Draw noise with detail at every scale, as photographs have."""
    pixels = np.full([size, size, 3], 127.5)
    side = 2
    while side <= size:
        noise = rng.normal(0, 1, [side, side, 3]).clip(-2, 2)
        octave = Image.fromarray(np.uint8(noise * 60 + 127.5))
        octave = octave.resize([size, size], Image.Resampling.BICUBIC)
        pixels += (np.asarray(octave) - 127.5) * 0.6 * side**-0.35
        side *= 2
    return Image.fromarray(np.uint8(pixels.clip(0, 255)))


def encoded(image: Image.Image, suffix: str) -> bytes:
    """The file of a picture."""
    file = io.BytesIO()
    if suffix == ".jpg":
        image.save(file, "JPEG", quality=JPEG_QUALITY)
    else:
        image.save(file, suffix.removeprefix("."))
    return file.getvalue()


def read_pixels(archive: str | Path, folder: str) -> tuple[list[str], np.ndarray]:
    """The names and the images of a folder in a zip: uint8 `[N, H, W, 3]`."""
    with zipfile.ZipFile(archive) as files:
        names = sorted(name for name in files.namelist() if name.startswith(f"{folder}/"))
        images = [Image.open(io.BytesIO(files.read(name))).convert("RGB") for name in names]
    return [Path(name).stem for name in names], np.stack([np.asarray(image) for image in images])
