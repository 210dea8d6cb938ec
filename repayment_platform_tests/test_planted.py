"""The faults that are planted to try the tests can still be planted."""

import pytest

from repayment_platform_tests.planted.__main__ import Fault, faults


@pytest.mark.parametrize("fault", faults(), ids=lambda fault: fault.harm)
def test_a_fault_can_be_planted(fault: Fault) -> None:
    assert fault.planted()
