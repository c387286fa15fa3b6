"""Check what `python -m build` made: what is in it, and that the wheel's commands run.

python -m tools.check_package FOLDER
"""

import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OF_THE_REPOSITORY = {".gitignore", ".ci/run"}  # and of no package


def main(folder: Path) -> None:
    """Look into the sdist and the wheel of a folder, and type a command of the wheel."""
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = set(tracked.stdout.split("\n")) - OF_THE_REPOSITORY - {""}
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    _check(sdist, missing=files - names)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = {file for file in files if file.startswith("tf_cyclegan/")}
    _check(wheel, missing=package - names, surplus=names - package)
    with tempfile.TemporaryDirectory() as elsewhere:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--no-deps", "--target", elsewhere, str(wheel)], check=True)
        environment = os.environ | {"PYTHONPATH": elsewhere}
        command = [f"{elsewhere}/bin/tf-cyclegan", "train", "--help"]
        run = subprocess.run(
            command, cwd=elsewhere, env=environment, capture_output=True, text=True
        )
        if run.returncode or "--dataset" not in run.stdout:
            sys.exit(f"tf-cyclegan train --help of {wheel} fails:\n{run.stdout}{run.stderr}")
    print(f"{sdist.name} and {wheel.name} hold what they should, and tf-cyclegan runs")


def _check(archive: Path, **wrong: set[str]) -> None:
    for what, names in wrong.items():
        if names:
            sys.exit(f"{archive.name} has files {what}: {', '.join(sorted(names))}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
