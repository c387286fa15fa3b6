"""Draw docs/images/architecture.svg from the code's own imports, or check that it is up to date.

python tools/architecture.py [--check]
"""

import ast
import sys
import textwrap
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tf_cyclegan"
PICTURE = ROOT / "docs" / "images" / "architecture.svg"

DOORS, GROUND = "doors", "ground"
GROUND_FILES = (
    "losses",
    "pictures",
    "pixels",
    "settings",
    "paths",
    "local_server",
    "errors",
    "extras",
    "help_texts",
    "files",
    "progress",
    "commands",
)
# From the top down: each uses only what is below it.
FLOORS = (
    (DOORS,),
    ("evaluation",),
    ("translation",),
    ("training",),
    ("methods",),
    ("optimization",),
    ("torch_weights",),
    ("data", "models"),
    (GROUND,),
)
ABOUT = {
    DOORS: "one command a file: parse, call one function of a room, print",
    "evaluation": "how good a translator is: metrics, the page, comparisons, the study",
    "translation": "a trained generator at work: uint8 doors, files, films, the demo, other formats",
    "training": "runs a method: the loop, the run folder, checkpoints, the log, devices",
    "methods": "one method, one place: settings and presets, networks, objective, step, samples",
    "optimization": "what a step is made of: Adam, rates, pools, precision, replicas",
    "torch_weights": "other people's weights, read without running them",
    "data": "whatever people have, to batches",
    "models": "networks and layers, Keras alone",
    GROUND: "what everybody stands on",
}
WIDTH, MARGIN, GAP, LINE = 1000, 16, 14, 19


def rooms() -> dict[str, list[str]]:
    """The files of every room, without suffix; methods by their names."""
    found: dict[str, list[str]] = {room: [] for floor in FLOORS for room in floor}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).with_suffix("").as_posix()
        if name.endswith(("__init__", "__main__")):
            continue
        found[room_of(name)].append(name.split("/", 1)[-1])
    methods = [file for file in found["methods"] if "/" in file]
    names = sorted({file.split("/")[0] for file in methods})
    found["methods"] = [*names, *(file for file in found["methods"] if file not in methods)]
    return found


def room_of(name: str) -> str:
    """The room of a file, named by its path without suffix."""
    if "/" in name:
        return name.split("/")[0]
    return GROUND if name in GROUND_FILES else DOORS


def uses() -> dict[str, set[str]]:
    """Which rooms the files of each room import anything of."""
    found: dict[str, set[str]] = {room: set() for floor in FLOORS for room in floor}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        room = room_of("/".join(parts))
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom) or not node.level:
                continue
            base = parts[: len(parts) - node.level]
            for module in [node.module] if node.module else [alias.name for alias in node.names]:
                target = "/".join((*base, *module.split(".")))
                is_package = (PACKAGE / target).is_dir()
                found[room].add(target.split("/")[0] if is_package else room_of(target))
    return {room: others - {room} for room, others in found.items()}


def misplaced() -> list[str]:
    """What a room uses that stands above it, in sentences."""
    floor = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
    return [
        f"{room} uses {other}, which is not below it"
        for room, others in uses().items()
        for other in sorted(others)
        if room != DOORS and floor[other] <= floor[room]
    ]


def draw() -> str:
    """The picture, an SVG."""
    files, used = rooms(), uses()
    order = [room for floor in FLOORS for room in floor]
    boxes, top = [], 52
    for floor in FLOORS:
        width = (WIDTH - 2 * MARGIN - GAP * (len(floor) - 1)) / len(floor)
        heights = []
        for place, room in enumerate(floor):
            left = MARGIN + place * (width + GAP)
            lines = textwrap.wrap(", ".join(files[room]), int(width / 7.6), break_long_words=False)
            below = [other for other in order if other in used[room]]
            height = 34 + LINE * (len(lines) + bool(below))
            heights.append(height)
            kind = {DOORS: "door", GROUND: "ground", "methods": "heart"}.get(room, "room")
            text = [
                f'<text x="{left + 14:g}" y="{top + 23}" class="name">{room}'
                f'<tspan class="about" dx="10">{escape(ABOUT[room])}</tspan></text>'
            ]
            for row, line in enumerate(lines):
                y = top + 23 + LINE * (row + 1)
                text.append(f'<text x="{left + 14:g}" y="{y}">{escape(line)}</text>')
            if below:
                y = top + 23 + LINE * (len(lines) + 1)
                text.append(
                    f'<text x="{left + 14:g}" y="{y}" class="uses">uses {", ".join(below)}</text>'
                )
            boxes.append(
                f'<rect x="{left:g}" y="{top}" width="{width:g}" height="{height}" rx="7" '
                f'class="{kind}"/>' + "".join(text)
            )
        top += max(heights) + GAP
    content = "\n  ".join(boxes)
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" \
font-family="system-ui, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="14" fill="#1f2933">
  <title>The rooms of tf_cyclegan, their files, and what each uses</title>
  <style>
    rect {{stroke-width: 1.2}}
    .door {{fill: #e6f1fb; stroke: #1d6fb8}}
    .room {{fill: #f5f7fa; stroke: #52606d}}
    .heart {{fill: #fdf0d5; stroke: #b7791f}}
    .ground {{fill: #eef3ee; stroke: #4d7c5a}}
    .name {{font-weight: 600; font-size: 16px}}
    .about {{font-weight: 400; font-size: 14px; fill: #52606d}}
    .uses {{fill: #1d6fb8; font-size: 13px}}
  </style>
  <rect width="{WIDTH}" height="{top}" rx="8" fill="#ffffff"/>
  <text x="{MARGIN}" y="34">Every room uses only rooms below it.</text>
  {content}
</svg>
"""


def main() -> None:
    """Run the command."""
    for sentence in misplaced():
        sys.exit(f"error: {sentence}")
    picture = draw()
    if "--check" in sys.argv:
        before = PICTURE.read_text()
        sys.exit(
            "docs/images/architecture.svg: run tools/architecture.py" if picture != before else 0
        )
    PICTURE.write_text(picture)


if __name__ == "__main__":
    main()
