"""Dates: by the formats of their column, never guessed."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repayment_platform.sources.dates import EPOCH, kolkata_date, parse_date
from repayment_platform.sources.gateways import RAZORPAY_DATES
from repayment_platform.sources.layouts import DAY_FIRST, ISO
from repayment_platform.sources.refusals import BadValue, RowReason

MOMENTS = st.datetimes(datetime.fromisoformat("2001-01-01"), datetime.fromisoformat("2090-01-01"))
DAYS = st.dates(date(2000, 1, 1), date(2068, 12, 31))


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("05/11/2025", date(2025, 11, 5)),
        ("5/11/2025", date(2025, 11, 5)),
        ("06/11/25", date(2025, 11, 6)),
        ("19-Nov-25", date(2025, 11, 19)),
        ("19-NOV-2025", date(2025, 11, 19)),
        ("19.11.2025", date(2025, 11, 19)),
        ("2025-11-19", date(2025, 11, 19)),
        ("2025-11-19 23:59:59", date(2025, 11, 19)),
        ("45981", date(2025, 11, 20)),
        ("45981.75", date(2025, 11, 20)),
    ],
)
def test_the_day_stands_first(text: str, day: date) -> None:
    assert parse_date(text, DAY_FIRST + ISO) == day


@pytest.mark.parametrize(
    "text",
    [
        "", "31/02/2025", "3009202", "5112025", "05112025", "13/13/2025", "11/25/2025",
        "2025-13-01", "05/11/0025", "05/11/1925", "05/11/2125", "1５/11/2025",
        "yesterday", "1763548800", "39999", "60001", "05/11/2025x", "4598", "-45981",
    ],
)  # fmt: skip
def test_what_fits_no_declared_format_is_refused(text: str) -> None:
    with pytest.raises(BadValue) as refused:
        parse_date(text, DAY_FIRST + ISO)
    assert refused.value.code is RowReason.BAD_DATE


def test_digits_alone_are_a_date_only_where_the_column_says_so() -> None:
    assert parse_date("5112025", ("%d%m%Y",)) == date(2025, 11, 5)


def test_one_report_may_mix_two_declared_formats() -> None:
    assert parse_date("21/11/2025 09:10:00", RAZORPAY_DATES) == date(2025, 11, 21)
    assert parse_date("2025-11-19T08:40:00", RAZORPAY_DATES) == date(2025, 11, 19)


def test_a_moment_belongs_to_the_indian_day() -> None:
    assert parse_date("2025-11-19T20:00:00+00:00", ISO) == date(2025, 11, 20)
    assert parse_date("2025-11-19T23:59:59+05:30", ISO) == date(2025, 11, 19)
    assert parse_date("1763575200", (EPOCH,)) == date(2025, 11, 19)  # 23:30 in India
    assert parse_date("1763578800", (EPOCH,)) == date(2025, 11, 20)  # 00:30 there, 19:00 UTC


@given(DAYS, st.sampled_from(DAY_FIRST + ISO[:1]))
def test_every_day_survives_writing_and_reading(day: date, form: str) -> None:
    assert parse_date(day.strftime(form), DAY_FIRST + ISO) == day


@given(st.integers(40_000, 60_000))
def test_an_excel_serial_counts_days(serial: int) -> None:
    assert parse_date(str(serial), DAY_FIRST) == date(1899, 12, 30) + timedelta(serial)


@given(MOMENTS)
def test_india_is_five_and_a_half_hours_ahead(moment: datetime) -> None:
    assert kolkata_date(moment.replace(tzinfo=UTC)) == (moment + timedelta(hours=5.5)).date()
    assert kolkata_date(moment) == moment.date()


@given(st.text(max_size=25) | st.from_regex(r"[0-9]{1,4}[-/. ][0-9A-Za-z]{1,3}[-/. ][0-9]{1,4}"))
def test_any_text_is_a_day_of_this_century_or_refused(text: str) -> None:
    try:
        day = parse_date(text, DAY_FIRST + ISO)
    except BadValue:
        return
    assert day.year in range(2000, 2100)
