"""How values are shown."""

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repayment_platform.display import at, csv_cell, csv_line, rupees


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        (datetime(2026, 11, 20, 11, 30, 5, tzinfo=UTC), "17:00:05"),
        (datetime(2026, 11, 20, 11, 30, 5, 1, tzinfo=UTC), "17:00:06"),
        (datetime(2026, 11, 20, 18, 29, 59, 999_999, tzinfo=UTC), "00:00:00"),
    ],
)
def test_a_moment_has_come_by_the_time_that_is_shown(moment: datetime, shown: str) -> None:
    assert at(moment) == f"{shown} (Asia/Kolkata)"


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


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "-", "＝1",
     "-5.00-3", "--5", "+91 98765 43210", "-1e5"],
)  # fmt: skip
def test_a_text_that_would_be_a_formula_is_marked_as_text(text: str) -> None:
    assert csv_cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "value",
    ["-5.00", "+5", "500.00", "", "plain", "a=b", "'=1", -5, Decimal("-5.00"), -0.5, None, True],
)
def test_numbers_and_plain_texts_stay_as_they_are(value: object) -> None:
    assert csv_cell(value) is value or csv_cell(value) == value


def test_a_value_that_is_no_text_is_shown_as_one() -> None:
    assert csv_cell(date(2025, 11, 6)) == "2025-11-06"
    assert csv_cell(["=1"]) == "['=1']"


def test_a_line_ends_once_whatever_is_in_its_cells() -> None:
    assert csv_line(["a\rb", "c\r\nd", 1]) == '"a\rb","c\r\nd",1\n'


@given(
    st.lists(st.one_of(st.text(), st.from_regex(r"[=+\-@\t\r].*"), st.decimals(allow_nan=False)))
)
def test_no_cell_of_an_export_begins_as_a_formula_unless_it_is_a_number(row: list[object]) -> None:
    """Read as a spreadsheet reads it: the text comes back whole but for the apostrophe."""
    [read] = csv.reader(io.StringIO(csv_line(row), newline="")) if row else [[]]
    assert len(read) == len(row)
    for cell, value in zip(read, row, strict=True):
        assert cell in (str(value), f"'{value}")
        if isinstance(value, str) and cell.lstrip(" ")[:1] in tuple("=+-@\t\r"):
            Decimal(cell)
