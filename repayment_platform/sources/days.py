"""Whether the days of a file are written with the day first, as every source here writes them.

What belongs here: what all dates of a column, and the dates beside them, say of their order. What
does not: reading one date (`dates`). A file whose days are in doubt is refused, never read the
other way round.

`11/18/2025` can only be month-first. `11/05/2025` can be both; but a debit presented then and
settled on `11/06/2025` was settled a month later by one order and a day later by the other. A
spreadsheet that reads days month-first makes typed dates of those that it can read, which then lie
months from those that it has left as texts.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from itertools import product

from repayment_platform.sources.dates import parse_date
from repayment_platform.sources.layouts import Layout
from repayment_platform.sources.refusals import BadValue, FileReason, FileRefused, RowReason

SOON = 7
"""Days after its presentation within which a debit is usually settled."""
LATE = 21
"""More days than these are weeks: the order of day and month may be the cause."""
FAR = 31
"""Days by which typed dates may lie from the texts of their column."""
SHOWN = 3
_NUMBERS = re.compile(r"([0-9]{1,2})[-/. ]([0-9]{1,2})[-/. ]([0-9]{4}|[0-9]{2})(?![0-9])")
_TYPED = re.compile(r"[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}|[0-9]{5}(?![0-9])")


@dataclass
class _Column:
    """What one column has shown so far."""

    day_first: bool = False
    """A text such as 18/11/2025 has settled the order."""
    texts: set[date] = field(default_factory=set)
    typed: set[date] = field(default_factory=set)


@dataclass(frozen=True)
class _Reading:
    """A date as it is read, and as it would be with day and month exchanged, where it could."""

    text: str
    column: str
    read: date
    other: date | None


class Days:
    """What the dates of one table say. Each different combination of a row's dates is shown to it
    once, with `saw`; `check` judges them all."""

    def __init__(self, layout: Layout) -> None:
        self._formats = {name: column.date_formats for name, column in layout.columns.items()}
        self._columns: defaultdict[str, _Column] = defaultdict(_Column)
        self._month_first: dict[str, None] = {}
        self._better_exchanged: list[tuple[_Reading, _Reading]] = []
        self._fitting = 0
        """Pairs of days that make sense only as they are read."""

    def saw(self, texts: Mapping[str, str | None]) -> None:
        """Take note of the dates of a row, by field.

        Raises:
            BadValue: CONTRADICTORY_DAYS; they make sense only with the month first.
        """
        readings = {
            name: reading
            for name, text in texts.items()
            if text is not None and (reading := self._reading(name, text))
        }
        if {"presentation_date", "payment_date"} <= readings.keys():
            self._compare(readings["presentation_date"], readings["payment_date"])

    def check(self) -> None:
        """Judge the file.

        Raises:
            FileRefused: DOUBTFUL_DAYS.
        """
        if self._month_first:
            shown = ", ".join(list(self._month_first)[:SHOWN])
            raise _doubt(
                f"{shown} can only be read with the month first, so the other days of the file "
                "may be meant so too"
            )
        doubtful = [pair for pair in self._better_exchanged if not self._settled(pair)]
        if doubtful and self._fitting <= 4 * len(doubtful):
            presented, paid = doubtful[0]
            raise _doubt(
                f"read with the day first, a debit presented on {presented.text} was paid on "
                f"{paid.text}, {_apart(presented.read, paid.read)}; read with the month first it "
                "was paid at once"
            )
        for column in self._columns.values():
            _check_typed(column)

    def _reading(self, name: str, text: str) -> _Reading | None:
        numbers, column = _NUMBERS.match(text), self._columns[name]
        if numbers:
            first, second = int(numbers[1]), int(numbers[2])
            if first <= 12 < second <= 31:
                self._month_first.setdefault(text)
            column.day_first |= second <= 12 < first <= 31
        read: date | None = None
        with suppress(BadValue):  # the row that holds it is told why
            read = parse_date(text, self._formats[name])
        if read is None:
            return None
        is_typed = _TYPED.match(text)
        (column.typed if is_typed else column.texts).add(read)
        exchanged = _exchanged(read) if numbers or is_typed else None
        return _Reading(text, name if numbers else "", read, exchanged)

    def _compare(self, presented: _Reading, paid: _Reading) -> None:
        ways = [
            0 <= (second - first).days <= SOON
            for first, second in product(
                filter(None, (presented.read, presented.other)),
                filter(None, (paid.read, paid.other)),
            )
        ]
        gap = (paid.read - presented.read).days
        if ways[0]:
            self._fitting += len(ways) == 4 and not ways[3]
        elif any(ways) and not 0 <= gap <= LATE:
            self._better_exchanged.append((presented, paid))
            raise BadValue(
                RowReason.CONTRADICTORY_DAYS,
                f"presented on {presented.text} and paid on {paid.text}, "
                f"{_apart(presented.read, paid.read)}: day and month may be exchanged",
            )

    def _settled(self, pair: tuple[_Reading, _Reading]) -> bool:
        """Whether other dates have shown that what could be exchanged is day-first."""
        able = [reading for reading in pair if reading.other]
        return all(self._columns[reading.column].day_first for reading in able)


def _exchanged(day: date) -> date | None:
    if day.day > 12 or day.day == day.month:
        return None
    return day.replace(month=day.day, day=day.month)


def _check_typed(column: _Column) -> None:
    """Typed dates that lie months from the texts of their column, and near them exchanged."""
    texts = sorted(column.texts)
    for day in sorted(column.typed) if texts else ():
        other = _exchanged(day)
        if other and _distance(day, texts) > FAR >= _distance(other, texts):
            raise _doubt(
                f"some dates of a column are typed as dates and others are texts: {day:%d/%m/%Y} "
                f"lies months from the texts, and {other:%d/%m/%Y} would not; a spreadsheet may "
                "have exchanged day and month"
            )


def _distance(day: date, others: list[date]) -> int:
    """Days to the nearest of the others, which are in order."""
    at = bisect_left(others, day)
    return min(abs((day - each).days) for each in others[max(at - 1, 0) : at + 1])


def _apart(first: date, second: date) -> str:
    days = (second - first).days
    return f"{days} days later" if days >= 0 else f"{-days} days earlier"


def _doubt(why: str) -> FileRefused:
    return FileRefused(
        FileReason.DOUBTFUL_DAYS,
        f"day and month may be exchanged: {why}. Ask the sender for the file with the day first, "
        "as in 25/11/2025, or with the month in letters, and send that",
    )
