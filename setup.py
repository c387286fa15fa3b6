"""The package's page on an index, from README.md; all else stands in setup.cfg."""

import configparser
import re
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent


def page_of_package() -> str:
    """README.md with its links and pictures in the repository, for a page that lies elsewhere."""
    parser = configparser.ConfigParser()
    parser.read(HERE / "setup.cfg")
    repository = parser["metadata"]["url"]
    readme = (HERE / "README.md").read_text(encoding="utf-8")
    code_and_text = re.split(r"(^```.*?^```$)", readme, flags=re.DOTALL | re.MULTILINE)
    for place in range(0, len(code_and_text), 2):  # the text
        for mark, view in (("!", "raw"), ("", "blob")):
            code_and_text[place] = re.sub(
                rf"({mark}\[[^]]*\])\((?!https?:|#)([^)]+)\)",
                rf"\1({repository}/{view}/main/\2)",
                code_and_text[place],
            )
    return "".join(code_and_text)


setup(long_description=page_of_package(), long_description_content_type="text/markdown")
