"""Write the table of settings and presets into README.md, or check that it is up to date.

python tools/settings_table.py [--check]
"""

import itertools
import re
import sys
from pathlib import Path

from tf_cyclegan.methods.cyclegan.settings import PRESETS, Config
from tf_cyclegan.settings import in_groups

README = Path(__file__).resolve().parent.parent / "README.md"
MARKED = re.compile(r"(<!-- settings: .*? -->\n).*?(<!-- end of settings -->)", re.DOTALL)


def table() -> str:
    """The table in Markdown."""
    lines = [f"| setting | {' | '.join(PRESETS)} | |", "|---|" + "---|" * len(PRESETS) + "---|"]
    for field in itertools.chain(*in_groups(Config).values()):
        values = [getattr(preset, field.name) for preset in PRESETS.values()]
        cells = ["" if value is None else str(value) for value in values]
        option = "--" + field.name.replace("_", "-")
        lines.append(f"| `{option}` | {' | '.join(cells)} | {field.metadata['help']} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the command."""
    before = README.read_text()
    after = MARKED.sub(lambda match: match[1] + table() + match[2], before)
    if "--check" in sys.argv:
        sys.exit("README.md: run tools/settings_table.py" if before != after else 0)
    README.write_text(after)


if __name__ == "__main__":
    main()
