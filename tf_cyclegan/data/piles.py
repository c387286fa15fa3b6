"""Two piles of images as a data set: some of each are held out for testing, by their names."""

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from ..errors import UserError
from ..files import from_home
from ..settings import TEST_SHARE, RunSettings
from .sources import Domain, open_images, open_source
from .walk import no_image, readable


def open_data(settings: RunSettings, data_dir: str | None = None) -> dict[str, Domain]:
    """The domains of a run's data, by split: of `--dataset`, or of the piles `--x` and `--y`.

    Args:
        settings: Of the run.
        data_dir: Where TFDS keeps its data sets; as the run if not given.

    Raises:
        UserError: They are not there, cannot be used, or hold too few images.
    """
    if settings.dataset is not None:
        return open_source(settings.dataset, data_dir or settings.data_dir)
    domains = {}
    for letter, path in zip("AB", settings.data_places, strict=True):
        train, test = divided(path, TEST_SHARE)
        domains |= {f"train{letter}": train, f"test{letter}": test}
    return domains


def divided(path: str | Path, share: float, seed: int = 0) -> tuple[Domain, Domain]:
    """The images of a pile to train on and those that are held out.

    Args:
        path: A folder or a .zip of images, laid out anyhow.
        share: About how much of it is held out, from 0 to below 1; at least one image where it is
            not 0, and never all. An image stays on its side whatever is added to the pile, but for
            that one.
        seed: Another one holds out others.

    Raises:
        UserError: There is no such pile, or it has too few images.
    """
    domain = open_images(path)
    least = 2 if share else 1
    if len(domain) < least:
        raise UserError(
            f"{path} {no_image(domain.left_out)}"
            if not len(domain)
            else f"{path} holds too few images: {len(domain)}; it takes at least {least}"
            + (", one to train on and one to test with" if share else "")
        )
    places = [_place(_name_in(path, name), seed) for name in domain.names]
    order = sorted(range(len(domain)), key=places.__getitem__)
    count = sum(place < share for place in places)
    if share:
        count = min(max(1, count), len(domain) - 1)
    tested = set(order[:count])
    train = [index for index in range(len(domain)) if index not in tested]
    others = replace(domain.pick(train), left_out=domain.left_out)
    return others, domain.pick(sorted(tested))


def _name_in(path: str | Path, name: str) -> str:
    """The name of an image in its pile without its suffix, the same on every system."""
    inside = PurePath(name).relative_to(readable(from_home(path))).with_suffix("")
    return unicodedata.normalize("NFC", inside.as_posix())


def _place(name: str, seed: int) -> float:
    """Where from 0 to below 1 a name lies, evenly and for ever: from its SHA-256.

    Pictures of one name lie in one place, so that pairs are held out together.
    """
    text = f"{seed}/{name}" if seed else name
    digest = hashlib.sha256(text.encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def names_digest(names: Sequence[str]) -> str:
    """A short sum of the names of images without the folders they lie in, in their order."""
    text = "\n".join(PurePath(name.replace("\\", "/")).name for name in names)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]
