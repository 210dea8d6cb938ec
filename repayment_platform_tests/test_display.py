"""How values are shown."""

from decimal import Decimal

import pytest

from repayment_platform.display import rupees


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0", "0.00"),
        ("999.5", "999.50"),
        ("1000", "1,000.00"),
        ("123456.78", "1,23,456.78"),
        ("1234567890", "1,23,45,67,890.00"),
        ("-123456", "-1,23,456.00"),
    ],
)
def test_rupees_are_grouped_the_indian_way(amount: str, shown: str) -> None:
    assert rupees(Decimal(amount)) == shown
