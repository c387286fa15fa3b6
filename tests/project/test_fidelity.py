"""Every measurement of docs/fidelity.md, held to its bound."""

import pytest

from tests.fidelity.checks import CHECKS


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.group}: {check.what}")
def test_measured_error_is_within_its_bound(check):
    assert check.measure() <= check.bound
