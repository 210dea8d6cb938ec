"""Totals that a file states of itself, checked against its rows.

What belongs here: sums over the rows, and whether a stated total is one of them. What does not:
reading the rows (`rows`), walking the file (`file_rows`), settlements above the rows
(`settlements`).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from repayment_platform.sources.layouts import Outcome
from repayment_platform.sources.refusals import BadValue, FileReason, FileRefused, RowReason
from repayment_platform.sources.rows import RowsRead

MOST_MARKS = 500
"""Totals that are remembered as the beginning of what a later one adds up."""
_LABEL = re.compile(
    r"""totals?(?![a-z]) | ^\W*(?:sum|aggregate|summe|gesamt|count|records)(?![a-z])
      | कुल | योग | जोड़ | एकूण | बेरीज | மொத்த | మొత్తం | ಒಟ್ಟು | ആകെ | মোট | કુલ | સરવાળો
      | ਕੁੱਲ | ਕੁਲ | ମୋଟ | সর্বমোট | ٹوٹل""",
    re.VERBOSE | re.IGNORECASE,
)
_IN_LABEL = re.compile(r"[\s:=₹.]((?:[0-9]+,)*[0-9]+\.[0-9]{2})\s*(?:/-)?$")


def is_total_label(text: str) -> bool:
    """Whether a text is a usual name of a total, a sub total or a count, in a usual language."""
    return len(text) <= 80 and _LABEL.search(text) is not None


@dataclass(frozen=True)
class Sums:
    """Rupees and rows up to some line."""

    rows: int = 0
    read: Decimal = Decimal(0)
    """Of all rows whose amount could be read."""
    refused: Decimal = Decimal(0)
    """Of those among them that are quarantined for something else."""
    refused_success: Decimal = Decimal(0)
    """Of those that say that they are successes."""
    landed: Counter[Outcome] = field(default_factory=Counter)

    @property
    def success(self) -> Decimal:
        return Decimal(self.landed[Outcome.SUCCESS])

    def since(self, mark: "Sums") -> "Sums":
        landed = Counter(self.landed)
        landed.subtract(mark.landed)
        return Sums(
            self.rows - mark.rows,
            self.read - mark.read,
            self.refused - mark.refused,
            self.refused_success - mark.refused_success,
            landed,
        )

    def may_be_stated(self) -> Iterator[Decimal]:
        """What a total of these rows may say: of all, of those that landed, of the successes with
        or without quarantined ones, of all others, of one outcome, and how many rows there are."""
        yield from (self.read, self.read - self.refused)
        yield from (self.success, self.success + self.refused_success)
        yield from (self.success + self.refused, self.read - self.success)
        yield self.read - self.refused - self.success
        yield from map(Decimal, self.landed.values())
        yield Decimal(self.rows)


@dataclass
class Totals:
    """Sums over the rows read so far, in rupees, and what the file itself says they are."""

    whole: Sums = field(default_factory=Sums)
    unreadable: int = 0
    """Rows whose amount could not be read; with any of them the sums prove nothing."""
    rounded_ids: int = 0
    """Long numbers that end in zeros, as Excel writes an id whose digits it has lost."""
    declared: list[dict[str, object]] = field(default_factory=list)
    _marks: list[Sums] = field(default_factory=lambda: [Sums()])

    def add(self, read: RowsRead) -> None:
        """Count in rows that were read."""
        landed = Counter(self.whole.landed)
        refused = refused_success = Decimal(0)
        amounts = [each for each in read.amounts if not isinstance(each, BadValue)]
        self.unreadable += len(read.amounts) - len(amounts)
        for index, payment in enumerate(read.payments):
            if index not in read.faults:
                landed[payment.outcome] += payment.amount  # type: ignore[assignment]  # sums of money
            elif not isinstance(amount := read.amounts[index], BadValue):
                refused += amount
                refused_success += amount if payment.outcome is Outcome.SUCCESS else 0
        self.whole = Sums(
            self.whole.rows + len(read.amounts),
            self.whole.read + sum(amounts),
            self.whole.refused + refused,
            self.whole.refused_success + refused_success,
            landed,
        )

    def add_unread(self) -> None:
        """Count in a row that is not even the cells of one."""
        self.whole = replace(self.whole, rows=self.whole.rows + 1)
        self.unreadable += 1

    def check(self, stated: Decimal, row_number: int) -> None:
        """Compare a total with the sums of all rows above it, or of those since an earlier total.

        Raises:
            FileRefused: CONTROL_TOTAL_MISMATCH; rows are missing from the file or altered.
        """
        sections = [self.whole.since(mark) for mark in self._marks]
        agrees = any(stated in section.may_be_stated() for section in sections)
        unproven = self.unreadable or any(
            section.success < stated < section.success + section.refused for section in sections
        )
        if not agrees and not unproven:
            raise FileRefused(
                FileReason.CONTROL_TOTAL_MISMATCH,
                f"line {row_number} states a total of {stated}, the rows above add up to "
                f"{self.whole.read}, the successful ones to {self.whole.success}",
            )
        self.declared.append({"line": row_number, "amount": str(stated), "agrees": agrees})
        if self._marks[-1].rows != self.whole.rows and len(self._marks) < MOST_MARKS:
            self._marks.append(self.whole)

    def as_json(self) -> dict[str, object]:
        return {
            "amount_read": str(self.whole.read),
            "amount_success": str(self.whole.success),
            "unreadable_amounts": self.unreadable,
            **({"rounded_ids": self.rounded_ids} if self.rounded_ids else {}),
            "declared": self.declared,
        }


def stated_total(
    cells: Sequence[str], label: str, amounts: Sequence[int], read: Callable[[str], Decimal]
) -> Decimal:
    """What a total row states: in the column of amounts, else the greatest number that stands in
    it, else the amount at the end of its label.

    Raises:
        BadValue: it states none, or one that cannot be read.
    """
    for place in amounts:
        if (text := cells[place].strip()) and text != label:
            return read(text)
    numbers: list[Decimal] = []
    for cell in cells:
        try:
            numbers.append(read(cell.strip()))
        except BadValue:
            continue
    if not numbers and (inside := _IN_LABEL.search(label)):
        numbers.append(read(inside[1]))
    if not numbers:
        raise BadValue(RowReason.MISSING_VALUE, "a total without an amount")
    return max(numbers)
