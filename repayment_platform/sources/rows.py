"""From the text cells of one row to the values that RAW stores beside them.

What belongs here: reading the fields of a layout out of one row. What does not: where the
row came from (`formats`), summing rows up (`batches`), the loan id's final spelling, which
BASE gives it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache, partial
from typing import NamedTuple

from repayment_platform.sources import nach
from repayment_platform.sources.dates import parse_date
from repayment_platform.sources.layouts import Layout, Outcome
from repayment_platform.sources.money import parse_paise, parse_rupees
from repayment_platform.sources.outcomes import resolve_outcome
from repayment_platform.sources.refusals import BadValue, RowReason
from repayment_platform.sources.registry import PAISE, Source

_SCIENTIFIC = re.compile(r"[0-9](\.[0-9]+)?E\+?[0-9]+", re.IGNORECASE)
_UMRN = re.compile(r"[A-Za-z]{4}[0-9]{16}")
_TAKEN_BACK = (Outcome.REFUND, Outcome.LATE_RETURN)


class Payment(NamedTuple):
    """The values of one row, in the order of RAW's columns."""

    loan_ref: str | None
    payment_ref: str | None
    payment_date: date
    amount: Decimal
    """Rupees."""
    outcome: Outcome
    reason_code: str | None
    reason_text: str | None
    umrn: str | None
    utr: str | None
    method: str | None


class RowReader:
    """Reads the rows of one file: knows its source, its layout and where each field stands."""

    def __init__(self, source: Source, layout: Layout, fields: Mapping[str, int]) -> None:
        self._source = source
        self._columns = layout.columns
        self._coded = bool(layout.reason_codes)
        self._at = fields
        self._nulls = frozenset(source.null_texts)
        self._parse_amount = parse_paise if source.unit == PAISE else parse_rupees
        self._outcome = lru_cache(maxsize=4096)(partial(resolve_outcome, layout))

    def text(self, cells: Sequence[str], field: str) -> str | None:
        """The cell of a field without what surrounds it; None where it says "nothing".

        One leading apostrophe is Excel's mark for text and no part of the value.
        """
        index = self._at.get(field)
        if index is None:
            return None
        value = cells[index].strip()
        if value[:1] == "'":
            value = value[1:].strip()
        return None if value.lower() in self._nulls else value

    def amount(self, cells: Sequence[str]) -> Decimal:
        """The row's amount in rupees, with its sign.

        Raises:
            BadValue: BAD_DECIMAL or MISSING_VALUE.
        """
        text = self.text(cells, "amount")
        if text is None:
            raise BadValue(RowReason.MISSING_VALUE, "no amount")
        return self._parse_amount(text)

    def payment(self, cells: Sequence[str], amount: Decimal) -> Payment:
        """All values of the row, `amount` having been read before.

        Raises:
            BadValue: the first thing that cannot be read, with its reason code.
        """
        text = partial(self.text, cells)
        code, reason = text("reason_code"), text("reason_text")
        if self._coded:
            code = nach.code_in(code) or nach.code_in(reason) or code
        outcome = self._outcome(text("row_type"), text("status"), code, reason)
        umrn, utr = self._id(cells, "umrn"), self._id(cells, "utr")
        return Payment(
            self._loan(cells),
            self._reference(cells, outcome, umrn, utr),
            self._date(cells),
            _directed(amount, outcome),
            outcome,
            code,
            reason,
            umrn,
            utr,
            text("method"),
        )

    def _date(self, cells: Sequence[str]) -> date:
        for field in ("payment_date", "presentation_date"):
            text = self.text(cells, field)
            if text is not None:
                return parse_date(text, self._columns[field].date_formats)
        raise BadValue(RowReason.MISSING_VALUE, "no payment date")

    def _id(self, cells: Sequence[str], field: str) -> str | None:
        """An id as text; one that Excel rounded is refused, for its digits are lost."""
        value = self.text(cells, field)
        if value is None or value == "0":
            return None
        if value[0].isdigit() and _SCIENTIFIC.fullmatch(value):
            raise BadValue(
                RowReason.ID_DAMAGED_BY_EXCEL, f"{field} {value!r}: Excel cut off its digits"
            )
        pattern = self._columns[field].pattern
        return value if not pattern or re.fullmatch(pattern, value) else None

    def _loan(self, cells: Sequence[str]) -> str | None:
        for field in ("loan_ref", "loan_ref_else"):
            if field in self._at and (keys := self._columns[field].json_keys):
                value = _from_json(self.text(cells, field), keys)
            else:
                value = self._id(cells, field)
            if value is not None:
                return value
        return None

    def _reference(
        self, cells: Sequence[str], outcome: Outcome, umrn: str | None, utr: str | None
    ) -> str | None:
        """`namespace:id` of the one payment; a UTR or a bare UMRN covers many and is none."""
        value = self._id(cells, "refund_of") if outcome is Outcome.REFUND else None
        value = value or self._id(cells, "payment_id")
        if value is None or self._source.ref_namespace is None:
            return None
        if value in (umrn, utr) or _UMRN.fullmatch(value):
            return None
        return f"{self._source.ref_namespace}:{''.join(value.split())}"


def _directed(amount: Decimal, outcome: Outcome) -> Decimal:
    """Money taken back is stored without sign; elsewhere a sign is a question for a person."""
    if amount < 0 and outcome not in _TAKEN_BACK:
        raise BadValue(
            RowReason.AMBIGUOUS_DIRECTION, f"amount {amount} is negative in a row of {outcome}"
        )
    return abs(amount)


def _from_json(text: str | None, keys: tuple[str, ...]) -> str | None:
    """The first of `keys` in a cell of JSON notes; a cell that is no JSON speaks for itself."""
    if text is None:
        return None
    try:
        notes = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(notes, dict):
        return None
    found = (notes[key] for key in keys if isinstance(notes.get(key), str | int))
    return next((str(value).strip() for value in found), None) or None
