"""Ids in the cells of files: of loans, payments, mandates, transfers.

What belongs here: whether a text is such an id, and whether it is still whole. What does not:
which columns hold them (`layouts`), their final spelling, which BASE gives them.
"""

import json
import re
from collections.abc import Sequence
from decimal import Decimal

from repayment_platform.sources.refusals import BadValue, RowReason

_SCIENTIFIC = re.compile(r"[0-9](\.[0-9]+)?E\+?[0-9]+", re.IGNORECASE)
_MONEY = re.compile(r"[0-9]+(,[0-9]{2,3})*\.[0-9]{2}")
_EXCEL_DIGITS = 15
"""Significant digits that Excel keeps of a number; it writes zeros for the others."""
_UMRN = re.compile(r"[A-Za-z]{4}[0-9]{16}")
_UMRN_LENGTH = 20
_FURTHER = re.compile(r"(?:[^A-Z0-9\n]{1,3}|\s+AND\s+)([0-9]+)(?![A-Z0-9])")
LONGEST = 200
"""Characters of an id. No bank's comes near, an index takes no text of thousands, and BASE would
take a longer one for none."""


def is_rounded(text: str) -> bool:
    """Whether all digits beyond Excel's fifteen are zeros: it may have been another number."""
    return len(text) > _EXCEL_DIGITS and text.isdigit() and not text[_EXCEL_DIGITS:].strip("0")


def intact(field: str, text: str) -> str | BadValue | None:
    """An id that begins with a digit; `0` stands for none.

    One in scientific notation is read where it shows all its digits, and refused where some are
    lost. Money is refused: an unquoted comma in the amount has shifted the cells. One that may be
    rounded is taken for what it is, but tells no payments apart: two could have become one.
    """
    if _SCIENTIFIC.fullmatch(text):
        number = Decimal(text)
        if number.as_tuple().exponent != 0:
            return BadValue(
                RowReason.ID_DAMAGED_BY_EXCEL, f"{field} {text!r}: Excel cut off its digits"
            )
        text = f"{number:f}"
    if text[-3:-2] == "." and _MONEY.fullmatch(text):
        return BadValue(
            RowReason.SHIFTED_CELLS, f"{field} {text!r}: an amount, perhaps split by its comma"
        )
    return None if text == "0" or (field == "payment_id" and is_rounded(text)) else text


def within_limit(
    field: str, ids: Sequence[str | BadValue | None]
) -> Sequence[str | BadValue | None]:
    """The ids of a column, those that are too long refused."""
    if max(map(len, map(str, ids)), default=0) <= LONGEST:
        return ids
    return [
        BadValue(RowReason.ID_TOO_LONG, f"{field}: {len(each)} characters, at most {LONGEST} fit")
        if isinstance(each, str) and len(each) > LONGEST
        else each
        for each in ids
    ]


def loans_in(pattern: str, text: str | BadValue | None) -> set[str]:
    """The loan ids in a text of any case; BASE cuts them out by the same rule. A further number
    of as many digits, as in `IKF-LN-5511/5512`, is another one."""
    if not isinstance(text, str):
        return set()
    loans = set()
    for found in re.finditer(rf"(?<![A-Z0-9])(?:{pattern})(?![A-Z0-9])", text.upper()):
        loan = found[0]
        loans.add(loan)
        further = _FURTHER.match(found.string, found.end())
        digits = len(loan) - len(loan.rstrip("0123456789"))
        if further and len(further[1]) == digits:
            loans.add(loan[:-digits] + further[1])
    return loans


def is_like(pattern: str, value: str | BadValue | None) -> bool:
    """Whether a text is an id of a kind as a whole; what is refused stays refused."""
    return isinstance(value, BadValue) or bool(value and re.fullmatch(pattern, value))


def reference(
    prefix: str, value: str | BadValue | None, umrn: object, utr: object
) -> str | BadValue | None:
    """`namespace:id` of one payment; None for a UTR, a bare UMRN, or no id."""
    if value is None or isinstance(value, BadValue):
        return value
    if value in (umrn, utr) or (len(value) == _UMRN_LENGTH and _UMRN.fullmatch(value)):
        return None
    return prefix + (value if value.isalnum() else "".join(value.split()))


def from_json(text: str, keys: tuple[str, ...]) -> list[str | None]:
    """What stands under each of `keys` in a cell of JSON notes; a cell that is no JSON speaks for
    itself."""
    try:
        notes = json.loads(text)
    except (ValueError, RecursionError):
        return [text] + [None] * (len(keys) - 1)
    if not isinstance(notes, dict):
        return [None] * len(keys)
    found = (notes.get(key) for key in keys)
    return [str(each).strip() or None if isinstance(each, str | int) else None for each in found]
