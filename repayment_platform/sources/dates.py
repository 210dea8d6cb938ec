"""Payment dates: from the texts of a declared format to a calendar date in Asia/Kolkata.

What belongs here: reading one date by the formats its column declares. What does not:
guessing a format; a text that fits none of them is refused.
"""

import re
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from repayment_platform.sources.refusals import BadValue, RowReason

KOLKATA = ZoneInfo("Asia/Kolkata")
EPOCH = "epoch"
"""A declared format: seconds since 1970-01-01 UTC."""

_EXCEL_DAY_ZERO = date(1899, 12, 30)
_EXCEL_SERIAL = re.compile(r"([456][0-9]{4})(?:\.[0-9]+)?")
_YEARS = range(2000, 2100)


def kolkata_date(moment: datetime) -> date:
    """The calendar date of `moment` in Asia/Kolkata; one without a zone is Indian time."""
    return moment.date() if moment.tzinfo is None else moment.astimezone(KOLKATA).date()


@lru_cache(maxsize=65_536)
def parse_date(text: str, formats: tuple[str, ...]) -> date:
    """The date that `text` states in the first of `formats` it fits whole.

    `formats` are strptime formats or `EPOCH`; a time with an offset is brought to
    Asia/Kolkata. An Excel serial from 40000 to 60000 is taken for a day as well, for that is
    what a date cell becomes when a sheet is saved as text.

    Raises:
        BadValue: BAD_DATE when no format fits, or the year is not of this century.
    """
    value = _read(text.strip(), formats)
    if value is None or value.year not in _YEARS:
        raise BadValue(RowReason.BAD_DATE, f"date {text!r}: not a date in a format of its column")
    return value


def _read(text: str, formats: tuple[str, ...]) -> date | None:
    if not text.isascii():
        return None
    for form in formats:
        if form == EPOCH:
            if re.fullmatch(r"[0-9]{9,10}", text):
                return datetime.fromtimestamp(int(text), KOLKATA).date()
            continue
        try:
            return kolkata_date(datetime.strptime(text, form))  # noqa: DTZ007 - naive is Indian
        except (ValueError, OverflowError):
            continue
    serial = _EXCEL_SERIAL.fullmatch(text)
    if serial and int(serial[1]) <= 60_000:
        return _EXCEL_DAY_ZERO + timedelta(days=int(serial[1]))
    return None
