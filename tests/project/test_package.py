"""What a package of this says of itself and carries."""

import configparser
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")


def test_the_packages_page_needs_no_checkout_beside_it(monkeypatch):
    setuptools = pytest.importorskip("setuptools")
    given = {}
    monkeypatch.setattr(setuptools, "setup", lambda **arguments: given.update(arguments))
    runpy.run_path(str(ROOT / "setup.py"))
    page, readme = given["long_description"], (ROOT / "README.md").read_text()
    targets = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", page, flags=re.DOTALL))
    assert len(targets) > 40
    headings = {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    }
    for target in targets:
        assert target.startswith("https://") or target.removeprefix("#") in headings, target
    repository = SETUP["metadata"]["url"]
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page):
        assert picture.startswith((f"{repository}/raw/main/docs/images/", "https://colab.")), (
            picture
        )
    assert f"]({repository}/blob/main/docs/methods.md#pix2pix)" in page
    assert re.findall(r"```.*?```", page, re.DOTALL) == re.findall(r"```.*?```", readme, re.DOTALL)


def test_every_file_of_the_package_is_in_the_wheel():
    package = ROOT / "tf_cyclegan"
    patterns = SETUP["options.package_data"]["tf_cyclegan"].split()
    carried = {path for pattern in patterns for path in package.glob(pattern)}
    others = {path for path in package.rglob("*") if path.is_file() and path.suffix != ".py"}
    assert {path for path in others if "__pycache__" not in path.parts} == carried
