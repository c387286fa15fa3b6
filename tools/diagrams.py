"""Draw the two diagrams of docs/images: `cycles.svg` and `networks.svg`.

python -m tools.diagrams [--check] [--png]

Both stand in the README, in docs/methods.md and in cyclegan.ipynb. They bring a background of their
own, light or dark as the reader's system is. --png also draws the pixels that the notebook has, with a
Chromium: notebooks show no SVG beside their words.
"""

import argparse
import io
import math
import re
import shutil
import sys
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images"
FONTS = "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif"
STYLE = """
    .paper {fill: #ffffff} text {fill: #1f2933} .soft {fill: #52606d} .line {stroke: #52606d}
    .g {fill: #e6f1fb; stroke: #1d6fb8} .d {fill: #fdf0d5; stroke: #b7791f}
    .cycle {stroke: #2f7d4f} .word {fill: #2f7d4f} .judged {stroke: #b7791f} .head {fill: #52606d}
    @media (prefers-color-scheme: dark) {
      .paper {fill: #161b22} text {fill: #e6edf3} .soft {fill: #9aa7b4} .line {stroke: #9aa7b4}
      .g {fill: #16324d; stroke: #58a6ff} .d {fill: #3d2f10; stroke: #d9a53f}
      .cycle {stroke: #57b87b} .word {fill: #57b87b} .judged {stroke: #d9a53f} .head {fill: #9aa7b4}
    }
    .line, .cycle, .judged {fill: none; stroke-width: 1.6} .judged {stroke-dasharray: 4 3}
    .g, .d {stroke-width: 1.4}
"""

# Heights and channels of what the networks pass on, for an image of 256x256: of the paper's generator
# (section 7.2), of the tutorial's and of the discriminator. tests/project/test_diagrams.py holds them
# to the networks.
RESNET = [(256, 3), (256, 64), (128, 128), (64, 256), (64, 256), (128, 128), (256, 64), (256, 3)]
UNET_DOWN = [(128, 64), (64, 128), (32, 256), (16, 512), (8, 512), (4, 512), (2, 512), (1, 512)]
UNET_UP = [(2, 1024), (4, 1024), (8, 1024), (16, 1024), (32, 512), (64, 256), (128, 128), (256, 3)]
PATCHGAN = [(256, 3), (128, 64), (64, 128), (32, 256), (31, 512), (30, 1)]
PATCHES = [1, 4, 10, 22, 46, 70]  # pixels a side that each number of these sees


def text(x: float, y: float, content: str, size: int = 14, anchor: str = "middle", css="") -> str:
    """Words; `_Y` in them is an index, *x* is in italics."""
    content = re.sub(r"\*(.+?)\*", r'<tspan font-style="italic">\1</tspan>', content)
    small = round(size * 0.72)
    content = re.sub(
        r"_(\w)",
        rf'<tspan dy="3" font-size="{small}">\1</tspan><tspan dy="-3">&#8203;</tspan>',
        content,
    )
    style = f' class="{css}"' if css else ""
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}"{style}>{content}</text>'
    )


def line(points: str, css: str = "line", arrow: bool = True) -> str:
    """A path, with a head at its end."""
    head = ' marker-end="url(#head)"' if arrow else ""
    return f'<path d="{points}" class="{css}"{head}/>'


def box(x: float, y: float, width: float, height: float, css: str) -> str:
    """A rounded box."""
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" class="{css}"/>'


def document(width: int, height: int, title: str, parts: list[str]) -> str:
    """The SVG file."""
    head = (
        '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0 0 L8 4 L0 8 z" class="head"/></marker>'
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" font-family="{FONTS}">',
            f"  <title>{title}</title>",
            f"  <style>{STYLE}  </style>",
            f"  <defs>{head}</defs>",
            f'  <rect width="{width}" height="{height}" rx="8" class="paper"/>',
            *(f"  {part}" for part in parts),
            "</svg>\n",
        ]
    )


SIDE = 76
COLOURS = {  # sea, land, hills
    "map": ("#bcd8ee", "#eadfc8", "#cdbf9f"),
    "photograph": ("#14305c", "#4f4d26", "#7a6a3c"),
}


def tile(x: float, y: float, kind: str, label: str) -> str:
    """A small coast as a map or as a photograph, and its name below."""
    sea, land, hills = COLOURS[kind]
    coast = "M0 30 C14 26 20 40 34 38 S52 20 76 24 V76 H0 Z"
    ridge = "M8 62 l9 -13 8 9 11 -17 9 13 8 -8 13 16"
    return (
        f'<g transform="translate({x} {y})"><rect width="{SIDE}" height="{SIDE}" fill="{sea}"/>'
        f'<path d="{coast}" fill="{land}"/>'
        f'<path d="{ridge}" fill="none" stroke="{hills}" stroke-width="3"/>'
        f'<rect width="{SIDE}" height="{SIDE}" rx="2" fill="none" stroke-width="1" class="line"/></g>'
        + text(x + SIDE / 2, y + SIDE + 19, label)
    )


def half(
    top: int, kinds: tuple[str, str], names: tuple[str, str, str], generators: str, judge: str
) -> list[str]:
    """There and back from one domain: the picture, its translation, the way back, and who judges."""
    there, back = generators
    real, fake, cycled = names
    other = "*y*" if real == "*x*" else "*x*"
    middle = top + SIDE / 2
    left, centre, right = 40, 330, 620
    parts = [
        tile(left, top, kinds[0], real),
        tile(centre, top, kinds[1], fake),
        tile(right, top, kinds[0], cycled),
        tile(870, top, kinds[1], f"{other}, a real one"),
    ]
    for start, name in ((left, there), (centre, back)):
        x = start + SIDE + 72  # of the translator's box
        parts += [
            line(f"M{start + SIDE + 8} {middle} H{x - 4}"),
            box(x, middle - 24, 70, 48, "g"),
            text(x + 35, middle + 6, f"*{name}*", 18),
            line(f"M{x + 70} {middle} H{start + 290 - 8}"),
        ]
    # The cycle: an arch from the picture to what came back.
    a, b, height = left + SIDE / 2, right + SIDE / 2, top - 8
    parts += [
        line(f"M{a} {height} V{height - 18} H{b} V{height}", "cycle", arrow=False),
        text(
            (a + b) / 2,
            height - 26,
            f"cycle consistency: {cycled} should be {real} again",
            14,
            css="word",
        ),
    ]
    # The judge: a box between the translation and a real image of its domain.
    below = top + SIDE + 62
    parts += [
        box(560, below - 22, 330 - 64, 44, "d"),
        text(693, below - 2, f"*{judge[0]}*_{judge[2]}", 16),
        text(693, below + 15, f"real, or made by *{there}*?", 12, css="soft"),
        line(f"M{centre + SIDE / 2} {top + SIDE + 28} V{below} H554", "judged"),
        line(f"M{870 + SIDE / 2} {top + SIDE + 28} V{below} H832", "judged"),
    ]
    return parts


def cycles() -> str:
    """Two translators, two discriminators, both cycles."""
    kinds = ("map", "photograph")
    parts = half(70, kinds, ("*x*", "*G*(*x*)", "*F*(*G*(*x*))"), "GF", "D_Y")
    parts.append('<path d="M30 262 H970" class="line" stroke-opacity="0.25"/>')
    parts += half(332, kinds[::-1], ("*y*", "*F*(*y*)", "*G*(*F*(*y*))"), "FG", "D_X")
    title = "CycleGAN: G and F translate there and back, D_Y and D_X judge the translations"
    return document(1000, 516, title, parts)


def maps(
    x: float, base: float, sizes: list[tuple[int, int]], step: float, css: str
) -> tuple[list[str], list[tuple[float, float]]]:
    """Feature maps on a base line, as high as their side and as wide as their channels.

    Returns:
        The drawing, and the middle and the top of each.
    """
    parts, places = [], []
    for number, (side, channels) in enumerate(sizes):
        height = 14 + 11 * math.log2(side)
        width = 6 + 3 * math.log2(channels)
        centre = x + number * step
        top = base - height
        parts.append(
            box(round(centre - width / 2, 1), round(top, 1), round(width, 1), round(height, 1), css)
        )
        parts.append(text(centre, base + 17, f"{side}²", 12))
        parts.append(text(centre, base + 32, f"{channels}", 12, css="soft"))
        places.append((centre, top))
    return parts, places


def heading(y: float, name: str, about: str) -> str:
    return text(
        24,
        y,
        f'<tspan font-weight="600">{name}</tspan><tspan dx="10" class="soft">{about}</tspan>',
        15,
        "start",
    )


def networks() -> str:
    """The networks of the paper and of the tutorial, with their sizes at 256x256."""
    parts = []

    base = 176
    parts.append(
        heading(34, "ResNet generator", "the paper's; 9 residual blocks, 11.4 million weights")
    )
    drawn, places = maps(80, base, RESNET, 118, "g")
    parts += drawn
    layers = ["7x7", "3x3, halve", "3x3, halve", "", "3x3, double", "3x3, double", "7x7, tanh"]
    for (left, _), (right, _), name in zip(places[:-1], places[1:], layers, strict=True):
        middle = base - 52
        if name:
            parts += [
                line(f"M{left + 22} {middle} H{right - 24}"),
                text((left + right) / 2, middle - 8, name, 12, css="soft"),
            ]
        else:
            parts += [
                line(f"M{left + 22} {middle} H{left + 34}", arrow=False),
                line(f"M{right - 34} {middle} H{right - 24}"),
                box(left + 34, middle - 22, right - left - 68, 44, "g"),
                text((left + right) / 2, middle - 3, "9 x", 12),
                text((left + right) / 2, middle + 12, "block", 12),
            ]
    parts.append(text(976, base + 17, "pixels", 12, "end", "soft"))
    parts.append(text(976, base + 32, "channels", 12, "end", "soft"))

    base = 430
    parts.append(
        heading(
            252,
            "U-Net generator",
            "the tutorials'; details go across by skip connections, 54.4 million weights",
        )
    )
    drawn, places = maps(44, base, [(256, 3), *UNET_DOWN, *UNET_UP], 54, "g")
    parts += drawn
    count = len(UNET_DOWN)
    for level in range(1, count):
        (left, top), (right, _) = places[level], places[2 * count - level]
        rise = 16 + 6 * (count - level)
        height = top - 4
        parts.append(
            line(
                f"M{left} {height} C{left} {height - rise} {right} {height - rise} {right} {height}",
                "cycle",
            )
        )
    parts.append(
        text(
            24,
            base + 54,
            "4x4 convolutions: eight halve, eight double; the channels are with what a skip brings",
            12,
            "start",
            "soft",
        )
    )

    base = 660
    parts.append(
        heading(
            524,
            "PatchGAN discriminator",
            "of all; one answer for every patch of 70x70 pixels, 2.8 million weights",
        )
    )
    drawn, places = maps(80, base, PATCHGAN, 118, "d")
    parts += drawn
    layers = ["4x4, halve", "4x4, halve", "4x4, halve", "4x4", "4x4"]
    for (left, _), (right, _), name in zip(places[:-1], places[1:], layers, strict=True):
        middle = base - 40
        parts += [
            line(f"M{left + 22} {middle} H{right - 26}"),
            text((left + right) / 2, middle - 8, name, 12, css="soft"),
        ]
    for (centre, _), patch in zip(places, PATCHES, strict=True):
        parts.append(text(centre, base + 47, f"sees {patch}x{patch}", 12, css="word"))
    parts.append(text(752, base - 44, "a grid of 30x30 answers:", 13, "start"))
    parts.append(text(752, base - 26, "real here, made up there", 13, "start"))
    title = (
        "The generators and the discriminator, with the sides and the channels of what they pass on"
    )
    return document(1000, 730, title, parts)


DRAWINGS = {"cycles": cycles, "networks": networks}


def draw_pixels(path: Path) -> None:
    """Draw an SVG file as a PNG file of few colours beside it, as a reader of a light page sees it."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(device_scale_factor=1.5, color_scheme="light")
        page.goto(path.as_uri())
        pixels = page.locator("svg").screenshot()
        browser.close()
    few = Image.open(io.BytesIO(pixels)).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    few.save(path.with_suffix(".png"), optimize=True)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say what is not up to date")
    parser.add_argument("--png", action="store_true", help="PNG files too, with a Chromium")
    options = parser.parse_args()
    check, stale = options.check, []
    for name, draw in DRAWINGS.items():
        path = FOLDER / f"{name}.svg"
        if check and (not path.is_file() or path.read_text(encoding="utf-8") != draw()):
            stale.append(name)
        elif not check:
            path.write_text(draw(), encoding="utf-8")
        if options.png:
            draw_pixels(path)
    sys.exit(f"run python -m tools.diagrams: {', '.join(stale)}" if stale else 0)


if __name__ == "__main__":
    main()
