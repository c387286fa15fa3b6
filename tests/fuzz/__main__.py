"""Damage files and read them: `python -m tests.fuzz KIND|all COUNT [SEED] [--write]`.

With `--write` the results go into docs/robustness.md. Exit code 1: something else happened than that a
file was read or refused by the package's own errors, within 5 s and 1 GiB; the damaged files are kept.
"""

import argparse
import datetime
import re
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from tf_cyclegan.files import write_file

from .runner import COLUMNS, fuzz, row

KINDS = ("pictures", "zips", "checkpoints", "runs", "studies")
PAGE = Path(__file__).parents[2] / "docs" / "robustness.md"
MARKED = re.compile(r"(<!-- fuzz: .*? -->\n).*?(<!-- end of fuzz -->)", re.DOTALL)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("kind", choices=(*KINDS, "all"), help="of files")
    parser.add_argument("count", type=int, help="mutations, of all kinds together")
    parser.add_argument("seed", type=int, nargs="?", default=0)
    parser.add_argument("--write", action="store_true", help="the results into the page")
    arguments = parser.parse_args()
    names = KINDS if arguments.kind == "all" else (arguments.kind,)
    kept = Path(tempfile.mkdtemp(prefix="tf_cyclegan_fuzz_"))
    rows, escapes = {}, []
    for name in names:
        module = f"tests.fuzz.{name}"
        kind = import_module(module).KIND
        count = round(arguments.count * kind.share) if len(names) > 1 else arguments.count
        result = fuzz(module, count, arguments.seed, kept)
        when = f"{datetime.date.today():%Y-%m-%d}, seed {arguments.seed}"
        rows[kind.about] = row(kind, result, when)
        print(rows[kind.about], *result.escapes, sep="\n", flush=True)
        escapes += result.escapes
    if arguments.write:
        _write(rows)
    if escapes:
        sys.exit(1)
    kept.rmdir()


def _write(rows: dict[str, str]) -> None:
    """Put rows into the page's table, in the place of those about the same files."""
    page = PAGE.read_text()
    before = MARKED.search(page)[0].splitlines(keepends=True)
    rows = {
        line.split(" | ")[0].removeprefix("| "): line for line in before if " | " in line
    } | rows
    abouts = [import_module(f"tests.fuzz.{name}").KIND.about for name in KINDS]
    table = COLUMNS + "".join(rows[about] for about in abouts if about in rows)
    write_file(PAGE, MARKED.sub(lambda match: match[1] + table + match[2], page))


if __name__ == "__main__":
    main()
