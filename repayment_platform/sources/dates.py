"""Payment dates: from the texts of a declared format to a calendar date in Asia/Kolkata.

What belongs here: reading one date by the formats its column declares. What does not:
guessing a format; a text that fits none of them is refused. Whether a column means the month
first is told by all of its dates (`days`).
"""

import re
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from repayment_platform.sources.refusals import BadValue, RowReason

KOLKATA = ZoneInfo("Asia/Kolkata")
EPOCH = "epoch"
"""A declared format: seconds since 1970-01-01 UTC."""

_EXCEL_DAY_ZERO = date(1899, 12, 30)
_EXCEL_SERIAL = re.compile(r"([456][0-9]{4})(?:\.[0-9]+)?")
_YEARS = range(2000, 2100)
_TIME = re.compile(
    r"""(?P<day>.*?[0-9]) (?:T|,?\s+)
        (?P<hour>[0-9]{1,2}) [:.] (?P<minute>[0-9]{2}) (?: [:.] (?P<second>[0-9]{2}) )?
        (?:[.,:][0-9]{1,9})? \s* (?P<half>[AaPp]\.?[Mm]\.?)?
        \s* (?P<zone>IST|Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2})?""",
    re.VERBOSE,
)
_NAMED = re.compile(
    r"([0-9]{1,2})(?:st|nd|rd|th)?[-/., ]+([A-Za-z]{3,9})[-/., ]+([0-9]{4}|[0-9]{2})"
)
_MONTHS = {
    name[:length]: name[:3].title()
    for name in ("january", "february", "march", "april", "may", "june", "july", "august",
                 "september", "october", "november", "december")
    for length in {3, 4, len(name)}
}  # fmt: skip
"""Spellings of months; `sept` is what Indian English makes of September."""


def kolkata_date(moment: datetime) -> date:
    """The calendar date of `moment` in Asia/Kolkata; one without a zone is Indian time."""
    return moment.date() if moment.tzinfo is None else moment.astimezone(KOLKATA).date()


@lru_cache(maxsize=65_536)
def parse_date(text: str, formats: tuple[str, ...]) -> date:
    """The date that `text` states in the first of `formats` it fits whole.

    `formats` are strptime formats of days, or `EPOCH`. A time of day may stand behind any of them;
    one with an offset is brought to Asia/Kolkata. Months may be written out. An Excel serial from
    40000 to 60000 is taken for a day as well, for that is what a date cell becomes when a sheet is
    saved as text.

    Raises:
        BadValue: BAD_DATE when no format fits, or the year is not of this century.
    """
    value = _read(" ".join(text.split()), formats)
    if value is None or value.year not in _YEARS:
        raise BadValue(RowReason.BAD_DATE, f"date {text!r}: not a date in a format of its column")
    return value


def _read(text: str, formats: tuple[str, ...]) -> date | None:
    if not text.isascii():
        return None
    if EPOCH in formats and re.fullmatch(r"[0-9]{9,10}", text):
        return datetime.fromtimestamp(int(text), KOLKATA).date()
    serial = _EXCEL_SERIAL.fullmatch(text)
    if serial and int(serial[1]) <= 60_000:
        return _EXCEL_DAY_ZERO + timedelta(days=int(serial[1]))
    timed = _TIME.fullmatch(text)
    day = _day(timed["day"] if timed else text, formats)
    return day if day is None or timed is None else _in_india(day, timed)


def _day(text: str, formats: tuple[str, ...]) -> date | None:
    if (named := _NAMED.fullmatch(text)) and (month := _MONTHS.get(named[2].lower())):
        text = f"{named[1]}-{month}-{named[3]}"
    for form in formats:
        try:
            return datetime.strptime(text, form).date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            continue
    return None


def _in_india(day: date, timed: re.Match[str]) -> date | None:
    hour, half = int(timed["hour"]), (timed["half"] or "").lower()
    if half:
        hour = hour % 12 + 12 * half.startswith("p") if hour <= 12 else 24
    zone = (timed["zone"] or "").replace("UTC", "Z").replace("GMT", "Z").replace("IST", "")
    try:
        clock = time(hour, int(timed["minute"]), int(timed["second"] or 0))
        moment = datetime.fromisoformat(f"{day}T{clock}{zone}")
        return kolkata_date(moment)
    except (ValueError, OverflowError):
        return None
