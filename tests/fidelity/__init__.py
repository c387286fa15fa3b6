"""What this package computes, measured against independent computations of the same.

`python -m tests.fidelity` measures everything and writes docs/fidelity.md;
tests/project/test_fidelity.py holds every measurement to its bound.
"""
