"""What the README says is so."""

import re
import subprocess
import sys
from pathlib import Path

from tf_cyclegan.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def test_the_table_of_settings_is_up_to_date():
    check = [sys.executable, "tools/settings_table.py", "--check"]
    result = subprocess.run(
        check, cwd=ROOT, env={"PYTHONPATH": "."}, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


def test_links_and_pictures_are_there():
    prose = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)\)", prose):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target


def test_commands_and_their_options_exist():
    used = re.findall(r"python -m tf_cyclegan\.(\w+)(.*)", README)
    assert {command for command, _ in used} <= set(COMMANDS)
    helps = {
        command: subprocess.run(
            [sys.executable, "-m", f"tf_cyclegan.{command}", "--help"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for command in {command for command, _ in used}
    }
    for command, rest in used:
        for option in re.findall(r"--[a-z][a-z0-9-]*", rest.split("#")[0]):
            assert option in helps[command], (command, option)
