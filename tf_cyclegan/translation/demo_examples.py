"""Some test pictures of a run on the demo's page, to click on.

They are in the page itself. A click gives one to the browser's own upload, as if it had been chosen
from the disk: the server has no door for them, and reads no file but uploads.
"""

import base64
import io
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from PIL import Image

from ..data.decode import UnreadableImage
from ..data.embedded import EMBEDDED
from ..data.piles import open_data
from ..errors import UserError
from ..files import from_home
from ..progress import log
from ..settings import RunSettings
from ..training.run import Run

EACH = 4  # pictures of a domain
SIDE = 256  # pixels, at most

CLICKED = """
(async button => {
  const field = document.querySelector('#original');
  const input = () => field.querySelector('input[type=file]');
  if (!input()) field.querySelector('button[aria-label^=Clear], button[aria-label^=Remove]').click();
  for (let wait = 0; !input() && wait < 100; wait++) await new Promise(r => setTimeout(r, 20));
  const image = button.querySelector('img');
  const content = await (await fetch(image.src)).blob();
  const chosen = new DataTransfer();
  chosen.items.add(new File([content], 'example.png', { type: content.type }));
  input().files = chosen.files;
  input().dispatchEvent(new Event('change', { bubbles: true }));
})(this)
"""


def examples_of(models: Sequence[Path]) -> str:
    """HTML with pictures of the first run among models whose data are on this machine; else "".

    Args:
        models: Folders of runs, or anything else.
    """
    for path in models:
        if (run := Run(path)).has_settings:
            settings = run.read_settings()
            if all(
                place in EMBEDDED or from_home(place).exists() for place in settings.data_places
            ):
                return _html(_pictures(settings, path))
    return ""


def _pictures(settings: RunSettings, path: Path) -> Iterator[Image.Image]:
    """A few of each domain's test pictures, or training pictures, spread evenly."""
    try:
        domains = open_data(settings)
    except UserError as error:
        log(f"no pictures of {path} to click on: {error}")
        return
    for letter in settings.domains:
        domain = domains.get(f"test{letter}", domains[f"train{letter}"])
        count = min(EACH, len(domain))
        for index in range(count):
            try:
                picture = domain.image(index * len(domain) // count, settings.max_pixels)
            except UnreadableImage:
                continue
            picture.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC)
            yield picture


def _html(pictures: Iterator[Image.Image]) -> str:
    buttons = []
    for number, picture in enumerate(pictures, 1):
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        content = base64.b64encode(buffer.getvalue()).decode()
        buttons.append(
            f'<button class="example" aria-label="example {number}" onclick="{escape(CLICKED)}">'
            f'<img src="data:image/png;base64,{content}" alt="" height="72"></button>'
        )
    return f"<div>{''.join(buttons)}</div>" if buttons else ""
