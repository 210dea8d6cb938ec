"""Whether the repayment of a payment is gone from Fineract, so that it may be posted again.

What belongs here: asking Fineract about every external id that the payment has had, what may stand
in the place of its repayment, and the external id that it has from then on. What does not: putting
it back on the list (`reposting`).
"""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import count
from typing import Any

import psycopg

from repayment_platform.exceptions.kinds import UNDONE
from repayment_platform.fineract.client import FineractClient
from repayment_platform.fineract.contract import Absent, Found, LedgerTransaction, LookupFailed
from repayment_platform.ledger.instead import named, standing_for, strays
from repayment_platform.ledger.scope import SENT
from repayment_platform.sources.keys import repost_id

# Each external id under which the payment has stood in Fineract, and the loan on which it did last.
_FORMER = f"""
SELECT DISTINCT ON (external_id) external_id, loan_external_id
FROM (SELECT id, coalesce(external_id, source_key) AS external_id, loan_external_id
      FROM "CORE"."CORE_POSTING_ATTEMPT"
      WHERE source_key = %s AND (outcome = 'success' OR error_code = '{UNDONE}')) a
ORDER BY external_id, id DESC
"""  # noqa: S608 (the part is a constant)
# The key's own facts, which never change: those that the payment is posted with might become the
# facts of another key as well.
MADE_OF = """
SELECT source_lender, coalesce(made_of_loan, loan_external_id), payment_date, amount, occurrence
FROM "CORE"."CORE_PAYMENT_KEY" WHERE source_key = %s AND occurrence IS NOT NULL
"""


class NotReposted(Exception):
    """The payment was not put back; the message says why.

    `standing`: the repayments in Fineract that may be its money, as far as nobody has said that
    they are other money.
    """

    def __init__(self, why: str, standing: Collection[LedgerTransaction] = ()) -> None:
        super().__init__(why)
        self.standing = tuple(standing)


@dataclass(frozen=True)
class There:
    """What Fineract says of a payment of which nothing stands."""

    external_id: str
    """To post it under from now on."""
    standing: tuple[LedgerTransaction, ...]
    """Repayments that nobody here posted and that may be its money."""
    is_undone: bool


async def see_it_gone(
    client: FineractClient, connection: psycopg.Connection[Any], payment: dict[str, Any]
) -> There:
    """What Fineract says of a payment of which nothing stands there.

    Raises:
        NotReposted: something stands, or Fineract does not say.
    """
    key, current = payment["source_key"], payment["external_id"]
    former: dict[str, str] = dict(connection.execute(_FORMER, (key,)).fetchall())
    former.setdefault(current, payment["loan_there"])
    undone: dict[str, LedgerTransaction] = {}
    for external_id, loan in former.items():
        answer = await client.find_transaction(loan, external_id)
        match answer:
            case Found(transaction) if transaction.reversed:
                undone[external_id] = transaction
            case Found(transaction):
                raise NotReposted(f"Fineract has it, as transaction {transaction.resource_id}")
            case Absent():
                pass
            case LookupFailed(why=why):
                raise NotReposted(f"Fineract could not be asked: {why}")
            case _:
                raise NotReposted(f"Fineract says neither that it is absent nor undone: {answer}")
    loans = dict.fromkeys([payment["loan"], *(gone.loan_external_id for gone in undone.values())])
    listing = [t for loan in loans for t in await _listing(client, loan)]
    if current in undone:
        # One that we posted after the backup that our database was restored from is undone too.
        taken = {*former, *(t.external_id for t in listing if t.reversed)}
        current = _unused(connection, key, taken)
    sent = connection.execute(SENT, {"loans": list(loans)}).fetchall()
    facts = (payment["loan"], payment["amount"])
    days = {payment["date"], payment["date_there"]}
    ours = {current, *(external_id for (external_id,) in sent)}
    # Somebody may have changed it, which undoes and replaces it, or entered it by hand.
    changed = standing_for(undone.values(), listing, ours)
    twins = (
        t
        for t in strays(listing, ours)
        if (t.loan_external_id, t.amount) == facts and t.date in days
    )
    standing = tuple({t.resource_id: t for t in (*changed, *twins)}.values())
    return There(current, standing, bool(undone))


async def _listing(client: FineractClient, loan: str) -> tuple[LedgerTransaction, ...]:
    listing = await client.list_transactions(loan)
    if not isinstance(listing, tuple):
        raise NotReposted(f"Fineract could not be asked about loan {loan}: {listing}")
    return listing


def of_other_money(
    payment: dict[str, Any], there: There, other_money: Collection[int]
) -> list[str]:
    """What stands of other money, by name.

    Raises:
        NotReposted: that was not said of all that stands.
    """
    unsaid = [t for t in there.standing if t.resource_id not in other_money]
    if unsaid:
        names = named(unsaid, payment["date"])
        what = f"it was changed in Fineract to {names}"
        if not there.is_undone:
            what = f"Fineract has {names} on its loan, which we did not post"
        raise NotReposted(f"{what}, and nobody has said that this is other money", unsaid)
    return [named([t], payment["date"]) for t in there.standing]


def _unused(connection: psycopg.Connection[Any], key: str, taken: Collection[str | None]) -> str:
    made_of = connection.execute(MADE_OF, (key,)).fetchone()
    if made_of is None:
        raise NotReposted("no further external id can be made for it: its key was not made here")
    return next(made for k in count(1) if (made := repost_id(*made_of, k=k)) not in taken)
