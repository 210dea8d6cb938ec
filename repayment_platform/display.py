"""How values are shown to people, the same in a terminal, in Dagster and in a browser.

What belongs here: formatting. What does not: tables and pages.
"""

import csv
import io
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from repayment_platform.sources.dates import KOLKATA

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?")


def rupees(amount: Decimal) -> str:
    """An amount in rupees, grouped the Indian way: 12,34,567.00."""
    whole, _, paise = f"{amount:.2f}".partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    head, tail = digits[:-3], digits[-3:]
    pairs: list[str] = []
    while head:
        head, pair = head[:-2], head[-2:]
        pairs.insert(0, pair)
    return f"{sign}{','.join([*pairs, tail])}.{paise}"


def at(moment: datetime) -> str:
    """The time of day in Asia/Kolkata by which a moment has certainly come, to the second."""
    whole = moment + timedelta(seconds=1, microseconds=-1)
    return f"{whole.astimezone(KOLKATA):%H:%M:%S} (Asia/Kolkata)"


def csv_cell(value: object) -> object:
    """A value as a cell of a CSV export, with which a spreadsheet does nothing but show it.

    A text that a spreadsheet would take for a formula gets an apostrophe before it, which Excel
    reads as "this is text". Numbers stay numbers, also as texts (`-5.00`).
    """
    if value is None or isinstance(value, bool | int | float | Decimal):
        return value
    text = str(value)
    # Some programs look past blanks for a formula, and all begin a new line at the last three.
    if not text.lstrip(" ").startswith(_FORMULA_STARTS) or _NUMBER.fullmatch(text):
        return text
    return f"'{text}"


def csv_line(values: Iterable[object]) -> str:
    """One line of a CSV export, with its end: every cell as `csv_cell` has it."""
    stream = io.StringIO(newline="")
    # The csv module quotes the line ends that it writes itself, so a carriage return within a
    # cell would end the line for a spreadsheet, and what follows could be a formula.
    csv.writer(stream, lineterminator="\r\n").writerow(map(csv_cell, values))
    return stream.getvalue().removesuffix("\r\n") + "\n"
