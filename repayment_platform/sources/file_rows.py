"""A file's rows one by one: what is to be landed, what is refused, and the sums of both.

What belongs here: walking a table once, without keeping it, and checking it as a whole. What
does not: reading one row (`rows`), storing anything.
"""

import operator
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from json.encoder import encode_basestring
from typing import NamedTuple

from repayment_platform.sources.formats import Line, Table
from repayment_platform.sources.headers import Header
from repayment_platform.sources.layouts import Outcome, canonical
from repayment_platform.sources.refusals import BadValue, FileReason, FileRefused, RowReason
from repayment_platform.sources.registry import Source
from repayment_platform.sources.rows import Payment, RowReader
from repayment_platform.sources.settlements import Settlements

_TOTAL_WORDS = frozenset({"total", "totals", "grandtotal", "totalamount"})


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


@dataclass
class Totals:
    """Sums over the rows read so far, in rupees, and what the file itself says they are."""

    read: Decimal = Decimal(0)
    success: Decimal = Decimal(0)
    since_total: Decimal = Decimal(0)
    unreadable: int = 0
    """Rows whose amount could not be read; with any of them the sums prove nothing."""
    declared: list[dict[str, object]] = field(default_factory=list)

    def add(self, amount: Decimal | None, outcome: Outcome | None) -> None:
        if amount is None:
            self.unreadable += 1
            return
        self.read += amount
        self.since_total += amount
        if outcome is Outcome.SUCCESS:
            self.success += amount

    def check(self, declared: Decimal, row_number: int) -> None:
        """Compare a total row with the sum of all rows, of the successful, or since the last.

        Raises:
            FileRefused: CONTROL_TOTAL_MISMATCH; rows are missing from the file or altered.
        """
        agrees = declared in (self.read, self.success, self.since_total)
        if not agrees and not self.unreadable:
            raise FileRefused(
                FileReason.CONTROL_TOTAL_MISMATCH,
                f"line {row_number} states a total of {declared}, the rows above add up to "
                f"{self.read}",
            )
        self.declared.append({"line": row_number, "amount": str(declared), "agrees": agrees})
        self.since_total = Decimal(0)

    def as_json(self) -> dict[str, object]:
        return {
            "amount_read": str(self.read),
            "amount_success": str(self.success),
            "unreadable_amounts": self.unreadable,
            "declared": self.declared,
        }


class FileRows:
    """The rows of one table. Iterate it once, then look at `totals` and `outcomes`.

    Blank lines, repeated headers and total rows are no rows. Iterating raises `FileRefused`
    when the file as a whole is wrong (a control total that does not agree).
    """

    def __init__(self, source: Source, table: Table) -> None:
        self._table = table
        self._header = table.header
        self._keys = tuple(f"{encode_basestring(name)}: " for name in table.header.names)
        self._reader = RowReader(source, table.header.layout, table.header.fields)
        self._settlements = Settlements(table.above)
        self.totals = Totals()
        self.outcomes: Counter[str] = Counter()
        """Rows that could be read, by outcome."""

    def __iter__(self) -> Iterator[Landed | Refused]:
        for line in self._table.lines:
            row = self._read(line)
            if row is not None:
                yield row
        if not self.totals.unreadable:
            self._settlements.check()

    def _read(self, line: Line) -> Landed | Refused | None:
        amount: Decimal | None = None
        try:
            cells = _whole(line, self._header)
            if cells is None:
                return None
            texts = self._reader.texts(cells)
            amount = self._reader.amount(texts)
            if self._is_total(cells):
                self.totals.check(amount, line.number)
                return None
            self._settlements.add(texts)
            payment = self._reader.payment(texts, amount)
        except BadValue as bad:
            if self._is_header(line.cells):
                return None
            self.totals.add(amount, None)
            original = line.text.replace("\0", "\N{SYMBOL FOR NULL}")
            return Refused(line.number, bad.code, bad.reason, original)
        self.totals.add(amount, payment.outcome)
        self.outcomes[payment.outcome] += 1
        return Landed(line.number, self._json(cells), payment)

    def _json(self, cells: list[str]) -> str:
        """Header text to cell text as a JSON object; `json.dumps` takes three times as long."""
        values = map(encode_basestring, cells)
        return "{" + ", ".join(map(operator.add, self._keys, values)) + "}"

    def _is_header(self, cells: list[str] | None) -> bool:
        """The header again, as where several exports were put together."""
        return cells is not None and (
            tuple(map(canonical, cells[: len(self._header.names)])) == self._header.canonical
        )

    def _is_total(self, cells: list[str]) -> bool:
        label = cells[0].strip() or next(filter(str.strip, cells), "")
        return label[:1] in "TtGg" and canonical(label) in _TOTAL_WORDS


def _whole(line: Line, header: Header) -> list[str] | None:
    """The cells of a line that has as many as the header; None for a blank line.

    Raises:
        BadValue: MALFORMED_ROW, TRUNCATED_ROW or EXTRA_FIELDS.
    """
    cells, width = line.cells, len(header.names)
    if cells is None:
        raise BadValue(RowReason.MALFORMED_ROW, "a quotation mark is not closed where it must be")
    if not any(map(str.strip, cells)):
        return None
    if "\0" in line.text:
        raise BadValue(RowReason.MALFORMED_ROW, "the row holds a zero byte")
    if len(cells) < width:
        raise BadValue(RowReason.TRUNCATED_ROW, f"{len(cells)} cells, the header has {width}")
    if len(cells) > width and any(map(str.strip, cells[width:])):
        raise BadValue(RowReason.EXTRA_FIELDS, f"{len(cells)} cells, the header has {width}")
    return cells
