"""NPCI's ACH debit response file: fixed width, 306 characters a line.

What belongs here: where its fields stand. What does not: what codes mean (`nach`), turning
cells into values (`rows`).

A header line `56` states the number of items and their sum, each line `67` is one debit.
Sponsor banks seldom pass this file on; where one does, it lands like any other NACH file. It
has no reference of its own for a presentation, and the loan is looked for in the user's
transaction reference. The slice that may hold an Aadhaar number is blanked wherever it goes.
"""

from collections.abc import Iterable, Iterator

from repayment_platform.sources.refusals import FileReason, FileRefused

WIDTH = 306
_HEADER, _DETAIL = "56", "67"
_ITEMS, _SUM, _SETTLEMENT_DATE = slice(103, 112), slice(112, 125), slice(125, 133)
_AADHAAR = slice(268, 283)
_FIELDS = {
    "Account Holder": slice(31, 71),
    "Narration": slice(87, 107),
    "Amount in Paise": slice(120, 133),
    "Item Sequence": slice(133, 143),
    "Destination Bank": slice(160, 171),
    "Sponsor Bank": slice(206, 217),
    "User Number": slice(217, 235),
    "Transaction Reference": slice(235, 265),
    "Product Type": slice(265, 268),
    "UMRN": slice(283, 303),
    "Flag": slice(303, 304),
    "Reason Code": slice(304, 306),
}
NAMES = (*_FIELDS, "Settlement Date")


def is_ach_debit(first_line: str) -> bool:
    """Whether a file that begins so is an ACH debit response."""
    line = first_line.rstrip("\n")
    return len(line) == WIDTH and line.startswith(_HEADER) and line[_SUM].isdigit()


def split_lines(lines: Iterable[str]) -> Iterator[tuple[int, str, list[str]]]:
    """Number, text and cells (as in `NAMES`) of each debit, and at last of the stated total.

    A line of another width or kind comes out as the one cell it is.

    Raises:
        FileRefused: CONTROL_TOTAL_MISMATCH; the items are not as many as the header states.
    """
    numbered = enumerate((line.rstrip("\n") for line in lines), start=1)
    _, header = next(numbered)
    items = 0
    for number, line in numbered:
        if len(line) == WIDTH and line.startswith(_DETAIL):
            cells = [line[place].strip() for place in _FIELDS.values()]
            items += 1
            yield number, _without_aadhaar(line), [*cells, header[_SETTLEMENT_DATE]]
        else:
            yield number, _without_aadhaar(line), [line]
    stated = header[_ITEMS].strip().lstrip("0") or "0"
    if str(items) != stated:
        raise FileRefused(
            FileReason.CONTROL_TOTAL_MISMATCH,
            f"the header states {stated} items, the file has {items}",
        )
    total = ["", *[""] * (len(NAMES) - 1)]
    total[0], total[NAMES.index("Amount in Paise")] = "Total", header[_SUM]
    yield 1, header, total


def _without_aadhaar(line: str) -> str:
    return line[: _AADHAAR.start] + " " * 15 + line[_AADHAAR.stop :]
