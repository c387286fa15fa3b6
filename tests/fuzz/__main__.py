"""Damage files and read them: `python -m tests.fuzz KIND|all COUNT [SEED]`.

With `all` the results are written into docs/robustness.md. Exit code 1: something else happened than
that a file was read or refused by the package's own errors, within 5 s and 1 GiB; the damaged files are
kept.
"""

import argparse
import datetime
import platform
import re
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from tf_cyclegan.files import write_file

from .runner import fuzz, table

KINDS = ("pictures", "zips", "checkpoints", "runs", "studies")
PAGE = Path(__file__).parents[2] / "docs" / "robustness.md"
MARKED = re.compile(r"(<!-- fuzz: .*? -->\n).*?(<!-- end of fuzz -->)", re.DOTALL)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("kind", choices=(*KINDS, "all"), help="of files")
    parser.add_argument("count", type=int, help="mutations, of all kinds together")
    parser.add_argument("seed", type=int, nargs="?", default=0)
    arguments = parser.parse_args()
    kinds = KINDS if arguments.kind == "all" else (arguments.kind,)
    kept = Path(tempfile.mkdtemp(prefix="tf_cyclegan_fuzz_"))
    results = {}
    for name in kinds:
        module = f"tests.fuzz.{name}"
        kind = import_module(module).KIND
        count = round(arguments.count * kind.share) if len(kinds) > 1 else arguments.count
        result = fuzz(module, count, arguments.seed, kept)
        results[name] = (kind, result)
        print(f"{name}: {dict(result.outcomes)}, {len(result.escapes)} escaped", flush=True)
        for escape in result.escapes:
            print(f"  {escape}", flush=True)
    text = "\n".join(table(results)) + "\n"
    print(text)
    if arguments.kind == "all":
        seed = f"seed {arguments.seed}, Python {platform.python_version()}"
        text = f"{datetime.date.today():%d %B %Y}, {seed}:\n\n{text}"
        page = MARKED.sub(lambda match: match[1] + text + match[2], PAGE.read_text())
        write_file(PAGE, page)
    if any(result.escapes for _, result in results.values()):
        sys.exit(1)
    kept.rmdir()


if __name__ == "__main__":
    main()
