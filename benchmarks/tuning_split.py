"""A data set to tune settings on, made of an embedded set's training pictures alone.

    python -m benchmarks.tuning_split emoji runs/comparison/emoji_pairs.zip runs/emoji_tuning.zip

The embedded sets' test pairs are for the last table, and nothing may be chosen by them. What this
writes has 100 training pictures fewer of each domain. Those, with the other half of each from the file
of pairs that `make comparison` makes, are its test pairs: 200, of which the embedded set's training has
seen one half and its test none. Which they are follows from the SHA-256 of their names.
"""

import argparse
import hashlib
import zipfile
from pathlib import Path

from tf_cyclegan.data.embedded import EMBEDDED

HELD_OUT = 100  # of each domain


def held_out(names: list[str]) -> set[str]:
    """The names of a domain that are for judging."""
    return set(sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())[:HELD_OUT])


def write_split(embedded: Path, pairs: Path, output: Path) -> None:
    """Write the data set.

    Args:
        embedded: Zip with trainA and trainB, no two pictures of which belong together.
        pairs: Zip with both halves of each of them, in its trainA and trainB under one name.
        output: Zip to write.
    """
    with (
        zipfile.ZipFile(embedded) as whole,
        zipfile.ZipFile(pairs) as paired,
        zipfile.ZipFile(output, "w") as written,
    ):
        for domain in "AB":
            names = [n.split("/")[1] for n in whole.namelist() if n.startswith(f"train{domain}/")]
            judged = held_out(names)
            for name in names:
                if name not in judged:
                    kept = f"train{domain}/{name}"
                    written.writestr(kept, whole.read(kept))
                    continue
                for half in "AB":
                    written.writestr(f"test{half}/{name}", paired.read(f"train{half}/{name}"))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dataset", choices=EMBEDDED)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("output", type=Path)
    args = parser.parse_args()
    write_split(EMBEDDED[args.dataset].archive, args.pairs, args.output)


if __name__ == "__main__":
    main()
