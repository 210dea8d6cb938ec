"""Amounts: exact, or refused."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repayment_platform.sources.money import parse_paise, parse_rupees
from repayment_platform.sources.refusals import BadValue, RowReason

WRITTEN = (
    ("12500.5", "12500.50"),
    ("8800", "8800.00"),
    ("0", "0.00"),
    ("007", "7.00"),
    ("1,25,000.00", "125000.00"),
    ("125,000.00", "125000.00"),
    ("1,25,00,000", "12500000.00"),
    ("₹ 1,25,000.00", "125000.00"),
    ("₹\N{NO-BREAK SPACE}500", "500.00"),
    ("Rs. 12,500/-", "12500.00"),
    ("Rs.100", "100.00"),
    ("INR 100.10", "100.10"),
    ("(500.00)", "-500.00"),
    ("-500", "-500.00"),
    ("347.00 Dr", "-347.00"),
    ("347.00 Cr.", "347.00"),
    (" 5.00 ", "5.00"),
)
"""Spellings of files, and the rupees they mean."""
AMOUNTS = st.integers(0, 10**19 - 1).map(lambda paise: Decimal(paise).scaleb(-2))


def lakhs(amount: Decimal) -> str:
    whole, paise = f"{amount:.2f}".split(".")
    head, tail = whole[:-3], whole[-3:]
    pairs = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)]
    return ",".join([*reversed(pairs), tail]) + "." + paise


@pytest.mark.parametrize(("text", "amount"), WRITTEN)
def test_an_amount_as_indian_files_write_it_is_read_to_the_paisa(text: str, amount: str) -> None:
    assert str(parse_rupees(text)) == amount


@pytest.mark.parametrize(
    "text",
    [
        "", "-", "abc", "NaN", "Infinity", "-inf", "1e400", "1E5", "1_000", "0x10", "५००", "１２",
        "4.255", "0.001", "1.", ".5", "1.2.3", "12,50", "1,2,3", "1,25,00", "1.250,00", "1,25 000",
        "(500.00", "500.00)", "--5", "(-5)", "-5 Dr", "True", "12 500", "$5", "Rs", "5 Rs",
        "9" * 18, "1," + "00," * 40 + "000",
    ],
)  # fmt: skip
def test_what_is_not_exactly_an_amount_is_refused(text: str) -> None:
    with pytest.raises(BadValue) as refused:
        parse_rupees(text)
    assert refused.value.code is RowReason.BAD_DECIMAL
    assert repr(text) in refused.value.reason


@given(AMOUNTS)
def test_every_amount_survives_writing_and_reading(amount: Decimal) -> None:
    for text in (f"{amount:.2f}", lakhs(amount), f"{amount:,.2f}", f"₹ {lakhs(amount)}"):
        assert parse_rupees(text) == amount
    assert parse_rupees(f"({amount:.2f})") == -amount


@given(st.text(max_size=30) | st.from_regex(r"[-(₹Rs.]{0,3}[0-9,.]{1,12}[)/\-DrC]{0,3}"))
def test_any_text_is_an_amount_of_two_decimals_or_refused(text: str) -> None:
    try:
        amount = parse_rupees(text)
    except BadValue:
        return
    assert amount.as_tuple().exponent == -2
    assert any(character in "0123456789" for character in text)


@given(st.integers(0, 10**19 - 1))
def test_paise_are_a_hundredth_of_rupees(paise: int) -> None:
    assert parse_paise(paise) == parse_paise(str(paise)) == Decimal(paise) / 100


@pytest.mark.parametrize("value", [True, False, "1.5", "1e3", "", "५", 10**20, None, 1.0])
def test_paise_that_are_no_whole_number_are_refused(value: object) -> None:
    with pytest.raises(BadValue):
        parse_paise(value)  # type: ignore[arg-type]
