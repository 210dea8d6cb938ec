from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repayment_platform.fineract.contract import (
    InvalidRequestError,
    Loan,
    Repayment,
    check_idempotency_key,
)

DAY = date(2026, 11, 20)


@pytest.mark.parametrize(
    "amount",
    ["0", "-1", "0.001", "10.005", "NaN", "Infinity", "10000000000000", "1E+13", "-0.00"],
)
def test_an_amount_that_fineract_would_refuse_or_round_is_not_accepted(amount: str) -> None:
    with pytest.raises(InvalidRequestError):
        Repayment("LN-1", "pay-1", DAY, Decimal(amount))


@pytest.mark.parametrize("amount", ["0.01", "1", "1E+3", "10.50", "10.5000", "9999999999999.99"])
def test_an_exact_amount_of_rupees_and_paise_is_accepted(amount: str) -> None:
    assert Repayment("LN-1", "pay-1", DAY, Decimal(amount)).amount == Decimal(amount)


def test_an_amount_that_went_through_a_float_is_not_accepted() -> None:
    with pytest.raises(InvalidRequestError):
        Repayment("LN-1", "pay-1", DAY, 10.5)  # type: ignore[arg-type]


@given(st.decimals(places=3, min_value=0, max_value=10**9).filter(lambda d: d * 100 % 1))
def test_no_third_decimal_ever_leaves(amount: Decimal) -> None:
    with pytest.raises(InvalidRequestError):
        Repayment("LN-1", "pay-1", DAY, amount)


@pytest.mark.parametrize("bad", ["", " ", " a", "a ", "a\nb", "a\x00", ".", "..", "x" * 101])
def test_an_id_that_fineract_would_cut_or_drop_is_not_accepted(bad: str) -> None:
    with pytest.raises(InvalidRequestError):
        Repayment(bad, "pay-1", DAY, Decimal(1))
    with pytest.raises(InvalidRequestError):
        Repayment("LN-1", bad, DAY, Decimal(1))


@pytest.mark.parametrize("fine", ["LN-1", "A/B C", "ऋण-१", "x" * 100, "a?b#c%d;e"])
def test_an_id_may_hold_slashes_spaces_and_any_script(fine: str) -> None:
    assert Repayment(fine, fine, DAY, Decimal(1)).loan_external_id == fine


@pytest.mark.parametrize("bad", ["", "x" * 51, "a b", "a\r\nX: y", "ключ"])
def test_an_idempotency_key_that_does_not_fit_fineracts_column_or_a_header_is_refused(
    bad: str,
) -> None:
    with pytest.raises(InvalidRequestError):
        check_idempotency_key(bad)


@pytest.mark.parametrize(
    ("status_id", "takes"),
    [(100, False), (200, False), (300, True), (600, True), (601, False), (700, True)],
)
def test_active_closed_and_overpaid_loans_take_repayments(status_id: int, takes: bool) -> None:
    assert Loan("LN-1", status_id).takes_repayments is takes
