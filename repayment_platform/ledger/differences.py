"""How Fineract's transactions of one loan differ from what we recorded as posted there.

What belongs here: comparing values. What does not: asking Fineract, keeping what is found
(`exceptions.ledger_proof`).
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from repayment_platform.fineract.contract import LedgerTransaction, UnknownLoan
from repayment_platform.ledger.instead import became, strays

LEDGER_KINDS = (
    "ledger_missing",
    "ledger_amount",
    "ledger_date",
    "ledger_foreign",
)
"""Kinds of differences between the ledger and what we recorded as posted."""
REPORT_DAYS = 5
"""How far apart the days of two reports of one payment may be, as `report_days` of dbt's macros."""
_OUR_ID = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True)
class Posting:
    """A payment as it was posted."""

    loan: str
    key: str
    external_id: str
    amount: Decimal
    """Rupees."""
    date: date
    is_undone: bool
    """The ledger was seen to have it reversed."""
    read_at: datetime
    posted_at: str = ""
    """Names this posting of the payment, among those of reposts."""


@dataclass(frozen=True)
class Difference:
    """One payment on which the ledger and we disagree."""

    posting: Posting
    kind: str
    what: str


@dataclass(frozen=True)
class Reversal:
    """A posting that the ledger has reversed."""

    posting: Posting
    transaction: int
    what: str
    """What became of it, in words."""


def differences(
    ours: Sequence[Posting],
    listing: tuple[LedgerTransaction, ...] | UnknownLoan,
    sent: Collection[str] = (),
) -> Iterator[Difference]:
    """Where the ledger disagrees with all that we recorded as posted on the loan, at most one
    difference of a kind for each payment. What is reversed there is none: see `reversals`."""
    all_ours = {*sent, *(posting.external_id for posting in ours)}
    ours = [posting for posting in ours if not posting.is_undone]
    if isinstance(listing, UnknownLoan):
        for posting in ours:
            yield Difference(posting, "ledger_missing", "is not in the ledger, nor is its loan")
        return
    by_external_id = {t.external_id: t for t in listing}
    foreign = strays(listing, all_ours)
    for posting in ours:
        amount, day = posting.amount, posting.date
        found = by_external_id.get(posting.external_id)
        if found is None:
            yield Difference(posting, "ledger_missing", "is not in the ledger")
        elif found.reversed:
            continue
        elif found.amount != amount:
            what = f"is {found.amount:.2f} there, {amount} here"
            yield Difference(posting, "ledger_amount", what)
        elif found.date != day:
            yield Difference(posting, "ledger_date", f"is of {found.date} there, of {day} here")
        twins = [t for t in foreign if t.amount == amount and _may_be_of(t, day)]
        if twins:
            ids = ", ".join(_named(t, day) for t in twins)
            what = f"has a twin of {amount} rupees on {day} that we did not post: {ids}"
            yield Difference(posting, "ledger_foreign", what)


def reversals(
    ours: Sequence[Posting],
    listing: tuple[LedgerTransaction, ...],
    sent: Collection[str] = (),
) -> Iterator[Reversal]:
    """The postings of the loan that the ledger has reversed."""
    by_external_id = {t.external_id: t for t in listing}
    all_ours = {*sent, *(posting.external_id for posting in ours)}
    for posting in ours:
        found = by_external_id.get(posting.external_id)
        if found is not None and found.reversed:
            yield Reversal(posting, found.resource_id, became(found, listing, all_ours))


def standing_again(
    ours: Sequence[Posting], listing: tuple[LedgerTransaction, ...]
) -> Iterator[Posting]:
    """The undone postings of the loan that the ledger has live, as they were posted."""
    live = {(t.external_id, t.amount, t.date) for t in listing if not t.reversed}
    for posting in ours:
        if posting.is_undone and (posting.external_id, posting.amount, posting.date) in live:
            yield posting


def _named(stray: LedgerTransaction, day: date) -> str:
    name = str(stray.external_id or f"transaction {stray.resource_id}")
    return name if stray.date == day else f"{name} of {stray.date}"


def _may_be_of(stray: LedgerTransaction, day: date) -> bool:
    """Whether it is of the same day, or may have been posted from here before our database was
    restored, under the key that another report of the payment, some days apart, had made."""
    is_as_ours = stray.external_id is not None and _OUR_ID.fullmatch(stray.external_id)
    return abs(stray.date - day) <= timedelta(days=REPORT_DAYS if is_as_ours else 0)
