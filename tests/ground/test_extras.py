"""What a hint says to install is on an index, and quoted for a shell."""

import re
import shlex
from importlib import metadata
from pathlib import Path

from tf_cyclegan import extras

PACKAGE = Path(extras.__file__).parent


def test_the_packages_of_an_extra_are_named(monkeypatch):
    monkeypatch.setattr(
        metadata,
        "requires",
        lambda _: [
            "numpy",
            'av >=15 ; extra == "video"',
            "a[b]<2,>=1; extra == 'two'",
            "c; extra == 'two'",
        ],
    )
    assert shlex.split(extras.how_to_install("video")) == ["pip", "install", "av >=15"]
    assert extras.how_to_install("two") == "pip install 'a[b]<2,>=1' 'c'"
    assert (
        extras.how_to_install("three")
        == "pip install '.[three]' in the folder of the package's README"
    )


def test_where_it_was_never_installed_the_checkout_is_named(monkeypatch):
    def requires(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)
    assert extras.how_to_install("video").startswith("pip install '.[video]' in the folder")


def test_no_hint_names_this_package_which_no_index_has():
    for path in PACKAGE.rglob("*.py"):
        assert not re.search(r"pip install '?tf[_-]cyclegan", path.read_text()), path
