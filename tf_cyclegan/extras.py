"""How to install what a part of this package needs and the package alone does not bring."""

import re
from importlib import metadata


def how_to_install(extra: str) -> str:
    """The command that installs an extra of setup.cfg, quoted for a shell: "pip install 'av>=15'".

    It names the packages of the extra, because this one is on no index by its own name.
    """
    try:
        requirements = metadata.requires("tf_cyclegan") or []
    except metadata.PackageNotFoundError:  # a checkout that was never installed
        requirements = []
    wanted = re.compile(rf"""(.*?)\s*;.*\bextra\s*==\s*["']{re.escape(extra)}["']""")
    packages = [match[1] for match in map(wanted.fullmatch, requirements) if match]
    if not packages:
        return f"pip install '.[{extra}]' in the folder of the package's README"
    return "pip install " + " ".join(f"'{package}'" for package in packages)
