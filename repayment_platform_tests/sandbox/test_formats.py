"""Java date patterns and numbers in a locale."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repayment_platform.sandbox.formats import is_locale, parse_date, parse_decimal


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("2026-11-05", "yyyy-MM-dd"),
        ("2026-11-5", "yyyy-MM-dd"),
        ("05/11/2026", "dd/MM/yyyy"),
        ("05 November 2026", "dd MMMM yyyy"),
        ("5 nov 2026", "d MMM yyyy"),
        ("20261105", "yyyyMMdd"),
        ("05-11-26", "dd-MM-yy"),
        ("2026-11-05 10:20:30", "yyyy-MM-dd"),
        ("on 05.11.2026", "'on' dd.MM.uuuu"),
    ],
)
def test_a_date_is_read_by_its_java_pattern(text: str, pattern: str) -> None:
    assert parse_date(text, pattern) == date(2026, 11, 5)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("2026-02-31", "yyyy-MM-dd"),
        ("2026-13-01", "yyyy-MM-dd"),
        ("05-11-2026", "yyyy/MM/dd"),
        ("2026110", "yyyyMMdd"),
        ("2026-11-05x", "yyyy-MM-dd"),
        ("2026-11", "yyyy-MM"),
        ("2026-11-05", "yyyy-MM-QQ"),
    ],
)
def test_a_text_or_pattern_that_makes_no_date_is_refused(text: str, pattern: str) -> None:
    with pytest.raises(ValueError):
        parse_date(text, pattern)


@given(st.dates(min_value=date(1000, 1, 1)))
def test_every_day_survives_its_iso_form(day: date) -> None:
    assert parse_date(day.isoformat(), "yyyy-MM-dd") == day


@given(st.decimals(min_value=0, max_value=10**9, places=2))
def test_every_amount_survives_being_written_with_group_marks(amount: Decimal) -> None:
    assert parse_decimal(f"{amount:,}", "en_IN") == amount


def test_a_number_is_read_in_its_locale() -> None:
    assert parse_decimal("1.250,50", "de") == Decimal("1250.50")
    with pytest.raises(ValueError):
        parse_decimal("1e5", "en")


@pytest.mark.parametrize(("text", "expected"), [("en", True), ("en_GB", True), ("english", False)])
def test_a_locale_is_a_language_with_perhaps_a_country(text: str, expected: bool) -> None:
    assert is_locale(text) is expected
