"""Settlements that a file states above its rows, checked against the rows; and single lines.

What belongs here: the sum of what reached the bank, per UTR, stated and added up, and whether the
amounts of one line explain each other. What does not: what one row means (`rows`), other control
totals (`file_rows`).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal

from repayment_platform.sources.layouts import Outcome, canonical
from repayment_platform.sources.money import parse_rupees
from repayment_platform.sources.refusals import BadValue, FileReason, FileRefused, RowReason

_UTR, _NET = "utrno", "netsettlementamount"


class Settlements:
    """The settlements of one file. Without any stated above the rows there is no check."""

    def __init__(self, above: Sequence[Sequence[str]]) -> None:
        """Raises:
        FileRefused: a stated settlement has no readable amount.
        """
        self._stated = _stated(above)
        self._added: defaultdict[str, Decimal] = defaultdict(Decimal)

    def add(self, settled: Iterable[tuple[str | None, Decimal | BadValue]]) -> None:
        """Count in what rows say was settled under a UTR; what cannot be read is missing then."""
        for utr, net in settled:
            if utr is not None and not isinstance(net, BadValue):
                self._added[utr] += net

    def check(self) -> None:
        """Compare, once all rows are in.

        Raises:
            FileRefused: CONTROL_TOTAL_MISMATCH; rows are missing or altered.
        """
        for utr, stated in self._stated.items():
            if self._added[utr] != stated:
                raise FileRefused(
                    FileReason.CONTROL_TOTAL_MISMATCH,
                    f"settlement {utr} states {stated}, its rows add up to {self._added[utr]}",
                )


def check_line(outcome: Outcome | BadValue, *stated: Decimal | BadValue) -> BadValue | None:
    """Whether the net of a payment or refund is its amount less what it cost; None if it is.

    `stated` are amount, fee, tax, credit and debit in rupees; what cannot be read contradicts
    nothing. Razorpay's dashboard states the fee without its tax, its API with it, and takes none
    from the line where fees were paid in advance; so each of the three explains a net.
    """
    numbers = [each for each in stated if not isinstance(each, BadValue)]
    if len(numbers) < len(stated) or outcome not in (Outcome.SUCCESS, Outcome.REFUND):
        return None
    amount, fee, tax, credit, debit = numbers
    gross = -abs(amount) if outcome is Outcome.REFUND else amount
    if credit - debit in (gross, gross - fee, gross - fee - tax):
        return None
    return BadValue(
        RowReason.ARITHMETIC_MISMATCH,
        f"{outcome} of {amount} with fee {fee} and tax {tax} does not make "
        f"credit {credit}, debit {debit}",
    )


def _stated(above: Sequence[Sequence[str]]) -> dict[str, Decimal]:
    stated: defaultdict[str, Decimal] = defaultdict(Decimal)
    header: list[str] = []
    for cells in above:
        keys = [canonical(cell) for cell in cells]
        if _UTR in keys and _NET in keys:
            header = keys
        elif header and len(cells) == len(header) and cells[header.index(_UTR)].strip():
            net = cells[header.index(_NET)]
            try:
                stated[cells[header.index(_UTR)].strip()] += parse_rupees(net)
            except BadValue as bad:
                raise FileRefused(FileReason.CONTROL_TOTAL_MISMATCH, bad.reason) from bad
    return stated
