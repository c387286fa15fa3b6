"""The table of settings in the README is what the code says; test_docs.py has the rest."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_of_settings_is_up_to_date():
    check = [sys.executable, "tools/settings_table.py", "--check"]
    result = subprocess.run(
        check, cwd=ROOT, env={"PYTHONPATH": "."}, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
