"""What an operator chose: filters, or payments picked one by one.

What belongs here: the filters, what makes one wrong, and their SQL. What does not: which of the
chosen payments can be posted (`preview`).
"""

import re
from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from repayment_platform.sources.registry import LENDERS, SOURCES, PostingMode

_KEY = re.compile(r"[0-9a-f]{32}")


class MatchStatus(StrEnum):
    """How the reports of one payment agree, as CORE_RECON_RECORD says it."""

    MATCHED = "matched"
    GATEWAY_ONLY = "gateway_only"
    SETTLEMENT_ONLY = "settlement_only"
    AMOUNT_DIFFERS = "amount_differs"
    LOAN_UNKNOWN = "loan_unknown"
    REVERSED = "reversed"


RECON_LENDERS = tuple(
    code for code, lender in LENDERS.items() if lender.posting is PostingMode.RECON
)
RECON_SOURCES = {
    lender: tuple(sorted({s.reports for s in SOURCES.values() if s.lender == lender}))
    for lender in RECON_LENDERS
}
"""The channels of each lender, as its payments bear them."""

CONDITIONS = {
    "lender": "r.source_lender = %(lender)s",
    "recon_source": "r.recon_source = %(recon_source)s",
    "first_day": "r.payment_date >= %(first_day)s",
    "last_day": "r.payment_date <= %(last_day)s",
    "match_status": "r.match_status = %(match_status)s",
    "loan": "r.loan_external_id = %(loan)s",
}
"""The SQL of each filter, on CORE_RECON_RECORD as `r`."""


class BadSelection(ValueError):
    """The selection makes no sense; the message says why, for the operator."""


@dataclass(frozen=True)
class Selection:
    """Payments that fit all the filters given; with `keys` only of these. Days of Asia/Kolkata."""

    lender: str | None = None
    recon_source: str | None = None
    first_day: date | None = None
    last_day: date | None = None
    match_status: str | None = None
    loan: str | None = None
    keys: tuple[str, ...] = ()

    def validate(self) -> None:
        """Raises:
        BadSelection: it names what does not exist, or nothing at all.
        """
        if not self.keys and not self.lender:
            raise BadSelection("nothing is selected: name a lender or source keys")
        self._validate_lender()
        if self.first_day and self.last_day and self.first_day > self.last_day:
            raise BadSelection(
                f"the date range is reversed: {self.first_day} is after {self.last_day}"
            )
        if self.match_status and self.match_status not in list(MatchStatus):
            known = ", ".join(MatchStatus)
            raise BadSelection(f"unknown match status {self.match_status!r}; known: {known}")
        for key in self.keys:
            if not _KEY.fullmatch(key):
                raise BadSelection(f"{key!r} is no source key: 32 hexadecimal digits")

    def _validate_lender(self) -> None:
        if self.lender and self.lender not in RECON_LENDERS:
            what = "posted automatically" if self.lender in LENDERS else "unknown"
            known = ", ".join(RECON_LENDERS)
            raise BadSelection(
                f"lender {self.lender!r} is {what}; lenders of reconciliation: {known}"
            )
        sources = RECON_SOURCES.get(self.lender or "") or sorted(
            {source for of_lender in RECON_SOURCES.values() for source in of_lender}
        )
        if self.recon_source and self.recon_source not in sources:
            raise BadSelection(
                f"unknown recon source {self.recon_source!r}; known: {', '.join(sources)}"
            )

    def where(self) -> str:
        """The filters as SQL on `r`, with the names of `parameters`."""
        used = [condition for name, condition in CONDITIONS.items() if getattr(self, name)]
        return " AND ".join(used) or "true"

    def parameters(self) -> dict[str, Any]:
        return asdict(self) | {"keys": list(self.keys)}

    def as_json(self) -> dict[str, Any]:
        """The filters that are set, and how many payments were picked by hand."""
        filters = {name: value for name in CONDITIONS if (value := getattr(self, name))}
        return filters | ({"picked": len(self.keys)} if self.keys else {})
