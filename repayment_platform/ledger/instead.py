"""What stands in Fineract in the place of a repayment of ours that was reversed there.

What belongs here: finding it in a loan's list, and naming it. What does not: what follows from it
(`differences`, `posting.verdicts`,
`exceptions.reposting`).

An adjustment in Fineract reverses ours and enters another, without our external id and without any
relation between the two: the money is there all the same. So a live repayment that nobody here
posted may be it if it is of the same date, or was entered on the day of the reversal. Only a person
can say that it is other money.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import date

from repayment_platform.display import rupees
from repayment_platform.fineract.client import FineractClient
from repayment_platform.fineract.contract import LedgerTransaction, LookupFailed

Transactions = tuple[LedgerTransaction, ...]
UNDONE = "was undone in the ledger"
"""What became of a repayment of ours in whose place nothing stands."""
SentTo = Callable[[list[str]], Awaitable[Collection[str]]]
"""The external ids that we have sent to some loans."""


def strays(listing: Iterable[LedgerTransaction], ours: Collection[str]) -> Transactions:
    """The live repayments of a list of which none of our external ids is."""
    return tuple(t for t in _of_others(listing, ours) if not t.reversed)


def standing_for(
    gone: Iterable[LedgerTransaction],
    listing: Iterable[LedgerTransaction],
    ours: Collection[str],
) -> Transactions:
    """The live repayments that may be the money of reversed ones of ours: in their place, or in the
    place of another that was, and was reversed in its turn."""
    others = list(_of_others(listing, ours))
    chain = list(gone)
    for each in chain:  # grows
        chain += [t for t in others if t.reversed and t not in chain and _may_replace(t, each)]
    live = (t for t in others if not t.reversed)
    return tuple(t for t in live if any(_may_replace(t, each) for each in chain))


def _of_others(
    listing: Iterable[LedgerTransaction], ours: Collection[str]
) -> Iterable[LedgerTransaction]:
    return (t for t in listing if t.is_repayment and t.external_id not in ours)


def _may_replace(stray: LedgerTransaction, gone: LedgerTransaction) -> bool:
    """Whether a repayment that nobody here posted may be the money of a reversed one."""
    entered_then = stray.submitted_on is not None and stray.submitted_on == gone.reversed_on
    return stray.loan_external_id == gone.loan_external_id and (
        stray.date == gone.date or entered_then
    )


def named(standing: Iterable[LedgerTransaction], day: date) -> str:
    """Repayments for people, such as `4,249.50 (transaction 560)`; with their date unless it is
    `day`."""
    return ", ".join(
        f"{rupees(t.amount)}{'' if t.date == day else f' of {t.date}'}"
        f" (transaction {t.resource_id})"
        for t in standing
    )


def became(
    gone: LedgerTransaction, listing: Iterable[LedgerTransaction], ours: Collection[str]
) -> str:
    """What became of a reversed repayment of ours, in words."""
    instead = standing_for([gone], listing, ours)
    return f"was changed in the ledger to {named(instead, gone.date)}" if instead else UNDONE


async def told(
    client: FineractClient,
    gone: LedgerTransaction,
    sent_to: SentTo,
) -> str:
    """`became`, after a look at its loan's list."""
    loan = gone.loan_external_id
    listing = await client.list_transactions(loan)
    if not isinstance(listing, tuple):
        why = listing.why if isinstance(listing, LookupFailed) else listing.text
        return f"{UNDONE}; what stands instead could not be read: {why}"
    return became(gone, listing, await sent_to([loan]))
