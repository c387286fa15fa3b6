"""The README's table of settings and the picture of the rooms are what the code says."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("tool", ["settings_table", "architecture"])
def test_what_a_tool_writes_is_up_to_date(tool):
    check = [sys.executable, f"tools/{tool}.py", "--check"]
    result = subprocess.run(
        check, cwd=ROOT, env={"PYTHONPATH": "."}, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
