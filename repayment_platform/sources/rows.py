"""From the text cells of rows to the values that RAW stores beside them.

What belongs here: reading the fields of a layout, a column at a time. What does not: where
the rows came from (`formats`), summing them up (`file_rows`), the loan id's final spelling,
which BASE gives it.

A file has many rows and few dates and statuses, so each different text of a column is read
once. What cannot be read stands in its column as the `BadValue` that says why.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from repayment_platform.sources import nach
from repayment_platform.sources.dates import parse_date
from repayment_platform.sources.days import Days
from repayment_platform.sources.evidence import Evidence, Fields, Said
from repayment_platform.sources.ids import (
    from_json,
    intact,
    is_like,
    is_rounded,
    loans_in,
    reference,
    within_limit,
)
from repayment_platform.sources.known import Known
from repayment_platform.sources.layouts import PAISE, Layout, Outcome
from repayment_platform.sources.money import parse_paise, parse_rupees
from repayment_platform.sources.outcomes import resolve_outcome
from repayment_platform.sources.refusals import BadValue, RowReason
from repayment_platform.sources.registry import LENDERS, Source
from repayment_platform.sources.settlements import check_line

Ids = Sequence[str | BadValue | None]
_Words = tuple[str | None, ...]

_DAYS = ("payment_date", "payment_date_else", "presentation_date")
_TAKEN_BACK = (Outcome.REFUND, Outcome.LATE_RETURN)


class Payment(NamedTuple):
    """The values of one row, in the order of RAW's columns."""

    loan_ref: str | None
    payment_ref: str | None
    payment_date: date
    presentation_date: date | None
    """Of a mandate's debit, where the row states it."""
    amount: Decimal
    """Rupees."""
    outcome: Outcome
    reason_code: str | None
    reason_text: str | None
    umrn: str | None
    utr: str | None
    method: str | None


_PAYMENT: Callable[[Any], Payment] = partial(tuple.__new__, Payment)
"""As `Payment._make`, without a call of Python's own for each row."""


class RowsRead(NamedTuple):
    """What was read of some rows; the sequences have one item a row."""

    payments: Sequence[Payment]
    """Of no use where `faults` names the row."""
    faults: Mapping[int, BadValue]
    """The first fault of each row that has one."""
    amounts: Sequence[Decimal | BadValue]
    """With their sign, also of rows that have another fault."""
    settled: Sequence[tuple[str | None, Decimal | BadValue]]
    """UTR and the net that was settled under it; empty where the layout does not say."""


class RowReader:
    """Reads the rows of one file: knows its source, its layout and where each field stands."""

    def __init__(self, source: Source, layout: Layout, fields: Fields) -> None:
        self._namespace = source.ref_namespace
        self._loans_named = partial(loans_in, LENDERS[source.lender].loan_id_pattern)
        self._layout = layout
        self._places = fields
        self._loan_else = [
            each for each in fields if each == "loan_ref_else" or each.startswith("tag_")
        ]
        self._rounded_ids = 0
        unit = layout.unit or source.unit
        self._parse_amount = parse_paise if unit == PAISE else parse_rupees
        self._evidence = Evidence(
            layout,
            fields,
            source.null_texts,
            LENDERS[source.lender].loan_id_pattern,
            self._parse_amount,
        )
        self.days = Days(layout)
        """What the days read so far say of the order of day and month."""
        self._amounts = Known(self.amount)
        self._dates = Known(self._date)
        self._presented: Known[str | None, date | None] = Known(self._presentation)
        self._said: Known[_Words, Outcome] = Known(lambda words: resolve_outcome(layout, *words))

    def read(self, rows: Sequence[Sequence[str]]) -> RowsRead:
        """Read rows that all have as many cells as the header."""
        column = self._evidence.of(rows)
        amounts = self._amounts.all(column("amount"))
        outcomes, codes = self._outcomes(column)
        umrns, utrs = self._ids(column, "umrn"), self._ids(column, "utr")
        dates = zip(*(column(field) for field in _DAYS), strict=True)
        values: tuple[Sequence[object], ...] = (
            within_limit("loan_ref", self._loans(column)),
            within_limit("payment_ref", self._references(column, outcomes, umrns, utrs)),
            self._dates.all(dates),
            self._presented.all(column("presentation_date")),
            self._directed(amounts, outcomes),
            outcomes,
            codes,
            column("reason_text"),
            within_limit("umrn", umrns),
            within_limit("utr", utrs),
            column("method"),
        )
        nets = self._amounts.all(column("settled")) if "settled" in self._places else []
        refunded = self._or_zero(column, "refunded") if "refunded" in self._places else []
        return RowsRead(
            list(map(_PAYMENT, zip(*values, strict=True))),
            _faults(
                (
                    amounts,
                    *values,
                    nets,
                    refunded,
                    self._contradictions(column, amounts, outcomes),
                    list(map(_foreign, column("currency"))),
                ),
                column.faults,
            ),
            amounts,
            list(zip(column("utr"), nets, strict=False)),
        )

    def amount(self, text: str | None) -> Decimal:
        """The amount in rupees, with its sign.

        Raises:
            BadValue: BAD_DECIMAL or MISSING_VALUE.
        """
        if text is None:
            raise BadValue(RowReason.MISSING_VALUE, "no amount")
        return self._parse_amount(text)

    def is_day(self, text: str) -> bool:
        """Whether a text is a date as a date column of the layout writes it."""
        formats = [column.date_formats for column in self._layout.columns.values()]
        try:
            parse_date(text, tuple(chain.from_iterable(formats)))
        except BadValue:
            return False
        return True

    def take_rounded_ids(self) -> int:
        """How many ids were read, since this was last asked, that Excel may have rounded."""
        count, self._rounded_ids = self._rounded_ids, 0
        return count

    def _outcomes(self, column: Said) -> tuple[Sequence[Outcome | BadValue], Sequence[str | None]]:
        """Outcomes, and the reason codes that had a say in them."""
        codes, reasons = column("reason_code"), column("reason_text")
        if self._layout.reason_codes:
            pairs = list(zip(codes, reasons, strict=True))
            known = {
                pair: nach.code_in(pair[0]) or nach.code_in(pair[1]) or pair[0]
                for pair in set(pairs)
            }
            codes = [known[pair] for pair in pairs]
        said = zip(
            *(column("row_type"), column("status"), codes, reasons, column("flag")),
            column.denials(),
            strict=True,
        )
        return self._said.all(said), codes

    def _date(self, texts: tuple[str | None, ...]) -> date:
        self.days.saw(dict(zip(_DAYS, texts, strict=True)))
        for field, text in zip(_DAYS, texts, strict=True):
            if text is not None:
                return parse_date(text, self._layout.columns[field].date_formats)
        raise BadValue(RowReason.MISSING_VALUE, "no payment date")

    def _presentation(self, text: str | None) -> date | None:
        formats = self._layout.columns["presentation_date"].date_formats if text else ()
        return parse_date(text, formats) if text else None

    def _ids(self, column: Said, field: str) -> Ids:
        """Ids as texts; one that Excel rounded is refused, for its digits are lost."""
        ids: Ids = [
            text if text is None or not text[:1].isdigit() else self._intact(field, text)
            for text in column(field)
        ]
        if field in self._places and (pattern := self._layout.columns[field].pattern):
            return [each if is_like(pattern, each) else None for each in ids]
        return ids

    def _intact(self, field: str, text: str) -> str | BadValue | None:
        if is_rounded(text):
            self._rounded_ids += 1
        return intact(field, text)

    def _or_zero(self, column: Said, field: str) -> Sequence[Decimal | BadValue]:
        return self._amounts.all(text or "0" for text in column(field))

    def _contradictions(
        self,
        column: Said,
        amounts: Sequence[Decimal | BadValue],
        outcomes: Sequence[Outcome | BadValue],
    ) -> Sequence[BadValue | None]:
        """What lines of a settlement say against themselves."""
        if not {"credit", "debit"} <= self._places.keys():
            return []
        costs, sides = ("fee", "tax"), ("credit", "debit")
        stated = [self._or_zero(column, name) for name in costs + sides]
        return [check_line(*line) for line in zip(outcomes, amounts, *stated, strict=True)]

    def _loans(self, column: Said) -> Ids:
        """The text that names the loan; where several name different ones all of these, of which
        BASE makes no loan and a person reads them."""
        column_of_loan = self._layout.columns["loan_ref"]
        if keys := column_of_loan.json_keys:
            nothing: list[str | None] = [None] * len(keys)
            notes = [from_json(text, keys) if text else nothing for text in column("loan_ref")]
            places: list[Ids] = [[each[n] for each in notes] for n in range(len(keys))]
        else:
            places = [self._ids(column, "loan_ref")]
        places += [self._loans_in(column, field) for field in self._loan_else]
        return places[0] if len(places) == 1 else [*map(self._loan_of, zip(*places, strict=True))]

    def _loan_of(self, texts: tuple[str | BadValue | None, ...]) -> str | BadValue | None:
        named = {text: loans for text in texts if (loans := self._loans_named(text))}
        if len(set().union(*named.values())) > 1:
            return " / ".join(map(str, named))
        return next((text for text in (*named, *texts) if text), None)

    def _loans_in(self, column: Said, field: str) -> Ids:
        if not field.startswith("tag_"):
            return self._ids(column, field)
        tags = zip(column(field), column(field.replace("tag", "tagged")), strict=True)
        return [value if tag in self._layout.loan_tags else None for tag, value in tags]

    def _references(
        self, column: Said, outcomes: Sequence[Outcome | BadValue], umrns: Ids, utrs: Ids
    ) -> Ids:
        """`namespace:id` of the one payment; a UTR or a bare UMRN covers many and is none."""
        ids = self._ids(column, "payment_id")
        if self._namespace is None:
            return [None] * len(ids)
        if "refund_of" in self._places:
            refunded = zip(outcomes, self._ids(column, "refund_of"), ids, strict=True)
            ids = [of or own if outcome is Outcome.REFUND else own for outcome, of, own in refunded]
        prefix = f"{self._namespace}:"
        refs: Ids = [
            reference(prefix, value, umrn, utr)
            for value, umrn, utr in zip(ids, umrns, utrs, strict=True)
        ]
        if self._layout.row_types:
            said = zip(outcomes, refs, strict=True)
            refs = [None if outcome is Outcome.FAILED else ref for outcome, ref in said]
        return refs

    def _directed(
        self, amounts: Sequence[Decimal | BadValue], outcomes: Sequence[Outcome | BadValue]
    ) -> list[Decimal | BadValue]:
        """Money that is no payment is stored without sign; elsewhere a person must say."""
        signless = (*_TAKEN_BACK, Outcome.FAILED) if self._layout.row_types else _TAKEN_BACK
        directed = list(amounts)
        if BadValue not in set(map(type, amounts)) and "-" not in "".join(map(str, amounts)):
            return directed
        for row, amount in enumerate(amounts):
            if isinstance(amount, BadValue) or not amount.is_signed():
                continue
            directed[row] = (
                -amount
                if outcomes[row] in signless
                else BadValue(
                    RowReason.AMBIGUOUS_DIRECTION,
                    f"amount {amount} is negative in a row of {outcomes[row]}",
                )
            )
        return directed


def _faults(
    columns: Sequence[Sequence[object]], found: Mapping[int, BadValue]
) -> dict[int, BadValue]:
    """The first fault of each row; what is `found` in its cells comes before what they mean."""
    faults = dict(found)
    for column in columns:
        if BadValue in set(map(type, column)):
            for row, value in enumerate(column):
                if isinstance(value, BadValue):
                    faults.setdefault(row, value)
    return faults


def _foreign(currency: str | None) -> BadValue | None:
    """Every amount is taken for rupees, so one of another currency must not be read at all."""
    if currency is None or currency.upper() == "INR":
        return None
    return BadValue(RowReason.UNKNOWN_VALUE, f"currency {currency!r} is not known, only INR is")
