"""Algorithms that are faster on a CPU, fenced off: only models/convolutions.py uses them."""
