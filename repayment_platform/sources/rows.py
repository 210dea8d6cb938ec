"""From the text cells of one row to the values that RAW stores beside them.

What belongs here: reading the fields of a layout out of one row. What does not: where the
row came from (`formats`), summing rows up (`file_rows`), the loan id's final spelling, which
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
from repayment_platform.sources.layouts import PAISE, Layout, Outcome
from repayment_platform.sources.money import parse_paise, parse_rupees
from repayment_platform.sources.outcomes import resolve_outcome
from repayment_platform.sources.refusals import BadValue, RowReason
from repayment_platform.sources.registry import Source

_SCIENTIFIC = re.compile(r"[0-9](\.[0-9]+)?E\+?[0-9]+", re.IGNORECASE)
_UMRN = re.compile(r"[A-Za-z]{4}[0-9]{16}")
Texts = dict[str, str]
"""Field of the layout to the text of its cell."""
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
        self._namespace = source.ref_namespace
        self._columns = layout.columns
        self._coded = bool(layout.reason_codes)
        self._places = tuple(fields.items())
        self._nulls = frozenset(source.null_texts)
        self._longest_null = max(map(len, source.null_texts), default=0)
        unit = layout.unit or source.unit
        self._parse_amount = parse_paise if unit == PAISE else parse_rupees
        self._dates = tuple(
            (field, partial(parse_date, formats=layout.columns[field].date_formats))
            for field in ("payment_date", "presentation_date")
            if field in fields
        )
        self._outcome = lru_cache(maxsize=4096)(partial(resolve_outcome, layout))

    def texts(self, cells: Sequence[str]) -> Texts:
        """The fields' texts without what surrounds them; those that say "nothing" are absent.

        One leading apostrophe is Excel's mark for text and no part of the value.
        """
        texts: Texts = {}
        for field, place in self._places:
            value = cells[place].strip()
            if value[:1] == "'":
                value = value[1:].strip()
            if len(value) > self._longest_null or value.lower() not in self._nulls:
                texts[field] = value
        return texts

    def amount(self, texts: Texts) -> Decimal:
        """The row's amount in rupees, with its sign.

        Raises:
            BadValue: BAD_DECIMAL or MISSING_VALUE.
        """
        if "amount" not in texts:
            raise BadValue(RowReason.MISSING_VALUE, "no amount")
        return self._parse_amount(texts["amount"])

    def payment(self, texts: Texts, amount: Decimal) -> Payment:
        """All values of the row, `amount` having been read before.

        Raises:
            BadValue: the first thing that cannot be read, with its reason code.
        """
        code, reason = texts.get("reason_code"), texts.get("reason_text")
        if self._coded:
            code = nach.code_in(code) or nach.code_in(reason) or code
        outcome = self._outcome(texts.get("row_type"), texts.get("status"), code, reason)
        return Payment(
            self._loan(texts),
            self._reference(texts, outcome),
            self._date(texts),
            _directed(amount, outcome),
            outcome,
            code,
            reason,
            self._id(texts, "umrn"),
            self._id(texts, "utr"),
            texts.get("method"),
        )

    def _date(self, texts: Texts) -> date:
        for field, parse in self._dates:
            if field in texts:
                return parse(texts[field])
        raise BadValue(RowReason.MISSING_VALUE, "no payment date")

    def _id(self, texts: Texts, field: str) -> str | None:
        """An id as text; one that Excel rounded is refused, for its digits are lost."""
        value = texts.get(field)
        if value is None or value == "0":
            return None
        if value[:1].isdigit() and _SCIENTIFIC.fullmatch(value):
            raise BadValue(
                RowReason.ID_DAMAGED_BY_EXCEL, f"{field} {value!r}: Excel cut off its digits"
            )
        pattern = self._columns[field].pattern
        return value if not pattern or re.fullmatch(pattern, value) else None

    def _loan(self, texts: Texts) -> str | None:
        for field in ("loan_ref", "loan_ref_else"):
            if field in texts and (keys := self._columns[field].json_keys):
                value = _from_json(texts[field], keys)
            else:
                value = self._id(texts, field)
            if value is not None:
                return value
        return None

    def _reference(self, texts: Texts, outcome: Outcome) -> str | None:
        """`namespace:id` of the one payment; a UTR or a bare UMRN covers many and is none."""
        value = self._id(texts, "refund_of") if outcome is Outcome.REFUND else None
        value = value or self._id(texts, "payment_id")
        if value is None or self._namespace is None:
            return None
        if value in (texts.get("umrn"), texts.get("utr")) or _UMRN.fullmatch(value):
            return None
        return f"{self._namespace}:{''.join(value.split())}"


def _directed(amount: Decimal, outcome: Outcome) -> Decimal:
    """Money taken back is stored without sign; elsewhere a sign is a question for a person."""
    if amount < 0 and outcome not in _TAKEN_BACK:
        raise BadValue(
            RowReason.AMBIGUOUS_DIRECTION, f"amount {amount} is negative in a row of {outcome}"
        )
    return abs(amount)


def _from_json(text: str, keys: tuple[str, ...]) -> str | None:
    """The first of `keys` in a cell of JSON notes; a cell that is no JSON speaks for itself."""
    try:
        notes = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(notes, dict):
        return None
    found = (notes[key] for key in keys if isinstance(notes.get(key), str | int))
    return next((str(value).strip() for value in found), None) or None
