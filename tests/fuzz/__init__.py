"""Damaged files for every reader of the package: `python -m tests.fuzz all 100000` (`make fuzz`)."""
