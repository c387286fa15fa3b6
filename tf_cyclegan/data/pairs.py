"""Which images of two domains belong together."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from typing import Literal

import numpy as np

from ..errors import UserError
from .sources import SPLITS, Domain

Pairs = Literal["names", "order", "none"]

NO_PAIR = -1


def short_names(paths: Sequence[str]) -> list[str]:
    """Names for the images of a domain that may be used as file names in a folder.

    What follows the split's folder, or else the folder of all, without suffixes where no two differ
    only in those.
    """
    parts = [PurePath(path.replace("\\", "/")).parts for path in paths]
    shared = 0
    while all(len(p) > shared + 1 and p[shared] == parts[0][shared] for p in parts):
        shared += 1
    names = []
    for path in parts:
        split = max((i + 1 for i, part in enumerate(path[:-1]) if part in SPLITS), default=shared)
        # TFDS names its images "cycle_gan/facades testA[3]".
        name = re.sub(r"(\w+)\[(\d+)\]$", r"\1_\2", path[-1])
        names.append("/".join([*path[split:-1], name.split()[-1] if name != path[-1] else name]))
    stems = [re.sub(r"\.\w+$", "", name) for name in names]
    twice = {stem for stem, count in Counter(stems).items() if count > 1}
    return [name if stem in twice else stem for name, stem in zip(names, stems, strict=True)]


def find_pairs(names: Sequence[str], others: Sequence[str], by: Pairs) -> np.ndarray:
    """Which image of the other domain is the true translation of each.

    Args:
        names: Of one domain.
        others: Of the other domain.
        by: "names": the one of the same name, where a last _A and _B do not count, as in the
            authors' data sets; "order": the one in the same place; "none".

    Returns:
        int `[len(names)]`, places in `others`, or `NO_PAIR`.

    Raises:
        UserError: They are paired by order and not as many.
    """
    if by == "none":
        return np.full(len(names), NO_PAIR)
    if by == "order":
        if len(names) != len(others):
            raise UserError(
                f"--pairs order needs as many images in both domains, these have {len(names)} and "
                f"{len(others)}"
            )
        return np.arange(len(names))
    places = {re.sub("_[AB]$", "", name): place for place, name in enumerate(others)}
    return np.array([places.get(re.sub("_[AB]$", "", name), NO_PAIR) for name in names])


def paired(x: Domain, y: Domain, dataset: str) -> tuple[Domain, Domain]:
    """Two domains put in one order: the pictures in one place are a pair by their names.

    Args:
        x: One domain.
        y: The other.
        dataset: What an error names.

    Raises:
        UserError: A picture has no partner; the first such is named, and how many there are.
    """
    names_x, names_y = short_names(x.names), short_names(y.names)
    partners = find_pairs(names_x, names_y, "names").tolist()
    lonely = [x.names[i] for i, partner in enumerate(partners) if partner == NO_PAIR]
    lonely += [name for i, name in enumerate(y.names) if i not in set(partners)]
    if lonely:
        raise UserError(
            f"{dataset} is not paired: {lonely[0]} has no partner of its name in the other domain, "
            f"as {len(lonely)} of {len(x) + len(y)} images; give files with both pictures side by "
            "side in train and test, or equal names in trainA and trainB, in testA and testB"
        )
    return x, y.pick(partners)
