"""A file's rows in batches: what is to be landed, what is refused, and the sums of both.

What belongs here: walking a table once, without keeping it, and checking it as a whole. What
does not: reading the rows' values (`rows`), storing anything.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
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

BATCH_ROWS = 100
"""Few enough to stay in the processor's cache, enough to repeat dates and statuses."""
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
    cells: str | None = None
    """As in `Landed`; None where the text could not be split into the cells of a row."""


class Batch(NamedTuple):
    landed: list[Landed]
    refused: list[Refused]


@dataclass
class Totals:
    """Sums over the rows read so far, in rupees, and what the file itself says they are."""

    read: Decimal = Decimal(0)
    success: Decimal = Decimal(0)
    since_total: Decimal = Decimal(0)
    unreadable: int = 0
    """Rows whose amount could not be read; with any of them the sums prove nothing."""
    rounded_ids: int = 0
    """Long numbers that end in zeros, as Excel writes an id whose digits it has lost."""
    declared: list[dict[str, object]] = field(default_factory=list)

    def add(self, amounts: Sequence[Decimal], payments: Iterable[Payment]) -> None:
        """Count in amounts that were read, and the payments among their rows."""
        self.read += sum(amounts)
        self.since_total += sum(amounts)
        self.success += sum(each.amount for each in payments if each.outcome is Outcome.SUCCESS)

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
            **({"rounded_ids": self.rounded_ids} if self.rounded_ids else {}),
            "declared": self.declared,
        }


class FileRows:
    """The rows of one table, in batches. Iterate it once, then look at `totals` and `outcomes`.

    Blank lines, repeated headers and total rows are no rows. Iterating raises `FileRefused`
    when the file as a whole is wrong (a control total that does not agree).
    """

    def __init__(self, source: Source, table: Table) -> None:
        self._table = table
        self._header = table.header
        self._reader = RowReader(source, table.header.layout, table.header.fields)
        self._settlements = Settlements(table.above)
        names = [encode_basestring(name).replace("%", "%%") for name in table.header.names]
        self._quoted = "{" + ", ".join(f"{name}: %s" for name in names) + "}"
        self._plain = "{" + ", ".join(f'{name}: "%s"' for name in names) + "}"
        self.totals = Totals()
        self.outcomes: Counter[str] = Counter()
        """Rows that could be read, by outcome."""

    def __iter__(self) -> Iterator[Batch]:
        lines: list[Line] = []
        rows: list[list[str]] = []
        refused: list[Refused] = []
        width = len(self._header.names)
        for line in self._table.lines:
            cells = line.cells
            if cells is None or not _is_plain(line.text, cells, width):
                try:
                    cells = _whole(line, self._header)
                    if cells is None:
                        continue
                    if _is_total(cells):
                        total = self._reader.amount(self._reader.text(cells, "amount"))
                        yield self._batch(lines, rows, refused)
                        lines, rows, refused = [], [], []
                        self.totals.check(total, line.number)
                        continue
                except BadValue as bad:
                    refused.append(_refused(line, bad))
                    self.totals.unreadable += 1
                    continue
            lines.append(line)
            rows.append(cells)
            if len(rows) == BATCH_ROWS:
                yield self._batch(lines, rows, refused)
                lines, rows, refused = [], [], []
        yield self._batch(lines, rows, refused)
        if not self.totals.unreadable:
            self._settlements.check()

    def _batch(
        self, lines: Sequence[Line], rows: Sequence[Sequence[str]], refused: list[Refused]
    ) -> Batch:
        """Read rows of full width and sum them up; `refused` are those that are not."""
        if not rows:
            return Batch([], refused)
        payments, faults, amounts, settled = self._reader.read(rows)
        landed = [
            Landed(line.number, self._json(line.text, cells), payment)
            for index, (line, cells, payment) in enumerate(zip(lines, rows, payments, strict=True))
            if index not in faults
        ]
        for index, fault in faults.items():
            if not self._is_header(rows[index]):
                json = self._json(lines[index].text, rows[index])
                refused.append(_refused(lines[index], fault, json))
                self.totals.unreadable += isinstance(amounts[index], BadValue)
        self.totals.add(
            [amount for amount in amounts if not isinstance(amount, BadValue)],
            [row.payment for row in landed],
        )
        self.totals.rounded_ids = self._reader.rounded_ids
        self.outcomes.update(row.payment.outcome for row in landed)
        self._settlements.add(settled)
        return Batch(landed, refused)

    def _json(self, text: str, cells: Sequence[str]) -> str:
        """Header text to cell text as a JSON object, in a fraction of the time of `json.dumps`."""
        if '"' in text or "\\" in text or not text.isprintable():
            return self._quoted % tuple(map(encode_basestring, cells))
        return self._plain % tuple(cells)

    def _is_header(self, cells: Sequence[str]) -> bool:
        """The header again, as where several exports were put together."""
        return tuple(map(canonical, cells)) == self._header.canonical


def _is_plain(text: str, cells: Sequence[str], width: int) -> bool:
    """Whether a line is a row beyond doubt, as nearly all are: whole, and no total."""
    first = cells[0][:1]
    return len(cells) == width and first.isalnum() and first not in "TtGg" and "\0" not in text


def _is_total(cells: Sequence[str]) -> bool:
    label = cells[0].strip() or next(filter(str.strip, cells), "")
    return label[:1] in "TtGg" and canonical(label) in _TOTAL_WORDS


def _refused(line: Line, bad: BadValue, cells: str | None = None) -> Refused:
    original = line.text.replace("\0", "\N{SYMBOL FOR NULL}")
    return Refused(line.number, bad.code, bad.reason, original, cells)


def _whole(line: Line, header: Header) -> list[str] | None:
    """The cells of a line, as many as the header has; None for a blank line.

    A total may end with its amount. Empty cells beyond the header's last name may be as many as
    in its own row: one more, and a comma in an amount may have shifted the cells before it.

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
    if len(cells) < width and not _is_total(cells):
        raise BadValue(RowReason.TRUNCATED_ROW, f"{len(cells)} cells, the header has {width}")
    if len(cells) > header.width or any(map(str.strip, cells[width:])):
        raise BadValue(RowReason.EXTRA_FIELDS, f"{len(cells)} cells, the header has {width}")
    return cells[:width] + [""] * (width - len(cells))
