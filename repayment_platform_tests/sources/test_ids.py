"""Loan ids in a text: one, several, and what only looks like several."""

import pytest

from repayment_platform.sources.ids import loans_in


@pytest.mark.parametrize(
    ("pattern", "text", "loans"),
    [
        (r"IKF-LN-\d+", "IKF-LN-5511/5512", {"IKF-LN-5511", "IKF-LN-5512"}),
        (r"IKF-LN-\d+", "ikf-ln-5511 & 5512", {"IKF-LN-5511", "IKF-LN-5512"}),
        (r"IKF-LN-\d+", "IKF-LN-5511/5511", {"IKF-LN-5511"}),
        (r"IKF-LN-\d+", "IKF-LN-5511/EMI5", {"IKF-LN-5511"}),
        (r"IKF-LN-\d+", "IKF-LN-5511/5", {"IKF-LN-5511"}),
        (r"IKF-LN-\d+", "IKF-LN-5511\n5512", {"IKF-LN-5511"}),
        (r"LN/\d{4}/\d+", "LN/2024/00123", {"LN/2024/00123"}),
        (r"LN/\d{4}(/\d+)?", "LN/2024/0123", {"LN/2024/0123"}),
        (r"LN/\d{4}/\d+", "LN/2024/00123/00124", {"LN/2024/00123", "LN/2024/00124"}),
        (r"GOLD-[A-Z]+", "GOLD-ABC/5", {"GOLD-ABC"}),
    ],
)
def test_a_further_number_of_as_many_digits_is_another_loan(
    pattern: str, text: str, loans: set[str]
) -> None:
    assert loans_in(pattern, text) == loans
