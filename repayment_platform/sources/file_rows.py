"""A file's rows in batches: what is to be landed, what is refused, and the sums of both.

What belongs here: walking a table once, without keeping it, and checking it as a whole. What
does not: reading the rows' values (`rows`), storing anything.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from json.encoder import encode_basestring
from operator import attrgetter
from typing import Any, NamedTuple

from repayment_platform.sources.formats import Block, Line, Table
from repayment_platform.sources.headers import Header, find_header
from repayment_platform.sources.ids import loans_in
from repayment_platform.sources.refusals import BadValue, FileReason, FileRefused, RowReason
from repayment_platform.sources.registry import LENDERS, Source
from repayment_platform.sources.rows import Payment, RowReader
from repayment_platform.sources.settlements import Settlements
from repayment_platform.sources.totals import Totals, is_total_label, stated_total

BATCH_ROWS = 100
"""Few enough to stay in the processor's cache, enough to repeat dates and statuses."""
_LIKE_A_HEADER = 2
"""Required columns whose names in one row make it the header of another table."""

_FEWEST_COLUMNS, _NAMED = 3, 0.6
"""A line with fewer words than these, or than this part of the columns, is no unknown header. Those
who have signed stand in one line, too."""
_SHOWN = 200
"""Characters of an unknown header."""


class Landed(NamedTuple):
    """A row that could be read."""

    row_number: int
    cells: str
    """JSON: header text to cell text, as sent."""
    payment: Payment


class Refused(NamedTuple):
    """A row that could not be read, with its text."""

    row_number: int
    code: RowReason
    reason: str
    original: str
    cells: str | None = None
    """As in `Landed`; None where the text could not be split into the cells of a row."""


class Batch(NamedTuple):
    landed: list[Landed]
    refused: list[Refused]


class _Some(NamedTuple):
    """Rows of full width that are yet to be read, and lines that are none."""

    numbers: Any
    texts: Any
    rows: Any
    refused: list[Refused]


_LANDED: Callable[[Any], Landed] = partial(tuple.__new__, Landed)
"""As `Landed._make`, without a call of Python's own for each row."""
_OUTCOME = attrgetter("payment.outcome")


class FileRows:
    """The rows of one file, in batches. Iterate it once, then look at `totals` and `outcomes`.

    Blank lines, repeated headers and total rows are no rows. A header with other columns, or the
    same in another order, begins another table, which is read by it. Iterating raises
    `FileRefused` when the file as a whole is wrong: a control total that does not agree, days in
    doubt, a further table that cannot be read.
    """

    def __init__(self, source: Source, table: Table) -> None:
        self._source = source
        self._lines = table.lines
        self._settlements = Settlements(table.above)
        self.totals = Totals()
        self.outcomes: Counter[str] = Counter()
        """Rows that could be read, by outcome."""
        self.columns: dict[str, None] = {}
        """What is to be known of fields that several columns state, in words."""
        self._begin(table.header)

    def _begin(self, header: Header) -> None:
        """Read what follows by this header."""
        self._header = header
        self._reader = RowReader(self._source, header.layout, header.fields)
        self._amounts = header.fields["amount"]
        self._days = tuple(
            place
            for field, column in header.layout.columns.items()
            if column.date_formats
            for place in header.fields.get(field, ())
        )
        self._loans = header.fields.get("loan_ref", ())
        names = [encode_basestring(name).replace("%", "%%") for name in header.names]
        self._quoted = "{" + ", ".join(f"{name}: %s" for name in names) + "}"
        self._plain = "{" + ", ".join(f'{name}: "%s"' for name in names) + "}"
        self.columns |= dict.fromkeys(header.several())

    def __iter__(self) -> Iterator[Batch]:
        some = _Some([], [], [], [])
        for part in self._lines:
            if isinstance(part, Block) and self._is_plain(part.rows):
                numbers = range(part.first, part.first + len(part.rows))
                yield self._batch(_Some(numbers, part.texts, part.rows, []))
                continue
            for line in part.lines() if isinstance(part, Block) else (part,):
                special = self._add(line, some)
                if special or len(some.rows) == BATCH_ROWS:
                    yield self._batch(some)
                    some = _Some([], [], [], [])
                if special:
                    special()
        yield self._batch(some)
        self._reader.days.check()
        if not self.totals.unreadable:
            self._settlements.check()

    def _add(self, line: Line, some: "_Some") -> Callable[[], None] | None:
        """Put a line among some rows; what to do instead with one that is no row."""
        try:
            cells = line.cells
            if cells is None or not self._is_plain([cells]) or "\0" in line.text:
                if special := self._special(line):
                    return special
                cells = _whole(line, self._header)
        except BadValue as bad:
            some.refused.append(_refused(line.number, line.text, bad))
            self.totals.add_unread()
            return None
        if cells is not None:
            some.numbers.append(line.number)
            some.texts.append(line.text)
            some.rows.append(cells)
        return None

    def _batch(self, some: "_Some") -> Batch:
        """Read rows of full width and sum them up."""
        numbers, texts, rows, refused = some
        if not rows:
            return Batch([], refused)
        read = self._reader.read(rows)
        json = self._json(rows)
        landed = list(map(_LANDED, zip(numbers, json, read.payments, strict=True)))
        if read.faults:
            landed = [row for index, row in enumerate(landed) if index not in read.faults]
        for index, fault in read.faults.items():
            refused.append(_refused(numbers[index], texts[index], fault, json[index]))
        self.totals.add(read)
        self.totals.rounded_ids += self._reader.take_rounded_ids()
        self.outcomes.update(map(_OUTCOME, landed))
        self._settlements.add(read.settled)
        return Batch(landed, refused)

    def _json(self, rows: Sequence[Sequence[str]]) -> list[str]:
        """Header text to cell text as JSON objects, in a fraction of the time of `json.dumps`."""
        text = "".join(chain.from_iterable(rows))
        if '"' in text or "\\" in text or not text.isprintable():
            return [self._quoted % tuple(map(encode_basestring, cells)) for cells in rows]
        return list(map(self._plain.__mod__, map(tuple, rows)))

    def _is_plain(self, rows: Sequence[Sequence[str]]) -> bool:
        """Whether lines are rows beyond doubt, as nearly all are: whole, with an amount and a
        day, so no total and no header."""
        amount, day = self._amounts[0], self._days[0]
        return set(map(len, rows)) == {len(self._header.names)} and all(
            cells[amount][:1].isdigit() and cells[day][:1].isdigit() for cells in rows
        )

    def _special(self, line: Line) -> Callable[[], None] | None:
        """What to do with a line that is a total or the header of another table; None for a row.

        Raises:
            BadValue: a total states no amount.
            FileRefused: SECOND_TABLE.
        """
        cells = line.cells
        if cells is None or not any(map(str.strip, cells)) or "\0" in line.text:
            return None
        label = next(filter(str.strip, cells)).strip()
        if is_total_label(label) and self._states_no_payment(cells):
            width = max(len(self._header.names), len(cells))
            full = [*cells, *[""] * (width - len(cells))]
            stated = stated_total(full, label, self._amounts, self._reader.amount)
            return partial(self.totals.check, stated, line.number)
        header = self._header_in(line)
        if header is None:
            return None
        if header.fields == self._header.fields and header.names == self._header.names:
            return lambda: None  # as where several exports were put together
        return partial(self._change, header)

    def _states_no_payment(self, cells: Sequence[str]) -> bool:
        """Whether a row has neither a day nor a loan."""

        def at(places: Sequence[int]) -> list[str]:
            return [text for n in places if n < len(cells) and (text := cells[n].strip())]

        pattern = LENDERS[self._source.lender].loan_id_pattern
        return not any(map(self._reader.is_day, at(self._days))) and not any(
            loans_in(pattern, text) for text in at(self._loans)
        )

    def _header_in(self, line: Line) -> Header | None:
        """The header that a line is, if it is one.

        Raises:
            FileRefused: SECOND_TABLE; it is like one, and lacks columns.
        """
        cells = line.cells or []
        if any(cells[n][:1].isdigit() for n in (self._amounts[0], self._days[0]) if n < len(cells)):
            return None
        own = self._header.layout
        layouts = [
            replace(each, section="") if each is own else each for each in self._source.layouts
        ]
        found = find_header([cells], layouts)
        if isinstance(found, Header):
            return found
        if found.found >= _LIKE_A_HEADER:
            raise FileRefused(
                FileReason.SECOND_TABLE,
                f"line {line.number} begins another table, which cannot be read ({found.missing}); "
                "send each table as a file of its own",
            )
        if self._names_columns(cells):
            shown = ", ".join(repr(each) for cell in cells if (each := cell.strip()))
            raise FileRefused(
                FileReason.SECOND_TABLE,
                f"line {line.number} looks like the header of another table, whose columns are not "
                f"known ({shown[:_SHOWN]}); send each table as a file of its own",
            )
        return None

    def _names_columns(self, cells: Sequence[str]) -> bool:
        """Whether a line is words throughout, as a header is: as many as the table has columns,
        but for a few, all different, with hardly a digit, and no loan, amount or day."""
        words = [text for cell in cells if (text := cell.strip())]
        if len(words) < max(_FEWEST_COLUMNS, len(self._header.names) * _NAMED):
            return False
        return (
            len({text.casefold() for text in words}) == len(words)
            and sum(any(map(str.isdigit, text)) for text in words) * 4 <= len(words)
            and all(any(map(str.isalpha, text)) for text in words)
            and self._states_no_payment(cells)
        )

    def _change(self, header: Header) -> None:
        self._reader.days.check()
        self._begin(header)


def _refused(number: int, text: str, bad: BadValue, cells: str | None = None) -> Refused:
    original = text.replace("\0", "\N{SYMBOL FOR NULL}")
    return Refused(number, bad.code, bad.reason, original, cells)


def _whole(line: Line, header: Header) -> list[str] | None:
    """The cells of a line, as many as the header has; None for a blank line.

    Empty cells beyond the header's last name may be as many as in its own row: one more, and a
    comma in an amount may have shifted the cells before it.

    Raises:
        BadValue: MALFORMED_ROW, TRUNCATED_ROW or EXTRA_FIELDS.
    """
    cells, width = line.cells, len(header.names)
    if cells is None:
        raise BadValue(RowReason.MALFORMED_ROW, line.damage)
    if not any(map(str.strip, cells)):
        return None
    if "\0" in line.text:
        raise BadValue(RowReason.MALFORMED_ROW, "the row holds a zero byte")
    if len(cells) < width:
        raise BadValue(RowReason.TRUNCATED_ROW, f"{len(cells)} cells, the header has {width}")
    if len(cells) > header.width or any(map(str.strip, cells[width:])):
        raise BadValue(RowReason.EXTRA_FIELDS, f"{len(cells)} cells, the header has {width}")
    return cells[:width]
