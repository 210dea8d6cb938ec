"""Setting what we recorded as posted against what stands in Fineract's ledger.

What belongs here: which payments are compared, what counts as a difference, keeping each
difference as an exception that a person sees, and closing exceptions that the ledger settles.
What does not: mending a difference, what else is an exception (`exceptions`).
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from repayment_platform.fineract.client import FineractClient
from repayment_platform.fineract.contract import LedgerTransaction
from repayment_platform.posting.exceptions import AFTER_POSTING, close_by_look_up, looked_at
from repayment_platform.posting.proof import Proof
from repayment_platform.posting.workers import StopSwitch, Workers
from repayment_platform.settings import Settings

RECENT = 2000
"""How many of the latest postings every comparison looks at again, for what was undone since."""
EXCEPTIONS_LOOKED_UP = 200
"""Of the open exceptions, how many a comparison asks about, the longest unasked first."""
LEDGER_KINDS = (
    "ledger_missing",
    "ledger_reversed",
    "ledger_amount",
    "ledger_date",
    "ledger_foreign",
)
"""Exceptions that this module raises, and closes when the ledger agrees again."""


@dataclass(frozen=True)
class LedgerScope:
    """Which postings to compare: what a run posted with the latest others, or, where a lender or
    days are named, all of theirs."""

    run_id: str
    lender: str | None = None
    first_day: date | None = None
    last_day: date | None = None

    @property
    def is_named(self) -> bool:
        return (self.lender, self.first_day, self.last_day) != (None, None, None)


@dataclass(frozen=True)
class Difference:
    """One payment on which the ledger and we disagree."""

    source_key: str
    kind: str
    detail: str


_OF_RUN = """
SELECT source_key FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"
WHERE status = 'success' AND run_id = %(run_id)s
UNION
(SELECT source_key FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"
 WHERE status = 'success' ORDER BY processed_at DESC LIMIT %(recent)s)
UNION
(SELECT source_key FROM "CORE"."CORE_EXCEPTION"
 WHERE closed_at IS NULL AND kind = ANY (%(kinds)s)
 ORDER BY looked_at NULLS FIRST, id LIMIT %(looked_up)s)
"""
_NAMED = """
SELECT source_key FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"
WHERE status = 'success'
  AND (%(lender)s::text IS NULL OR source_lender = %(lender)s)
  AND (%(first_day)s::date IS NULL OR payment_date >= %(first_day)s)
  AND (%(last_day)s::date IS NULL OR payment_date <= %(last_day)s)
"""
_BY_LOAN = """
SELECT p.loan_external_id AS loan,
       jsonb_agg(jsonb_build_object(
           'key', p.source_key, 'external_id', coalesce(p.external_id, p.source_key),
           'amount', p.amount::text, 'date', p.payment_date, 'to_undo', EXISTS (
               SELECT FROM "CORE"."CORE_EXCEPTION" e
               WHERE e.source_key = p.source_key AND e.kind = ANY (%(after_posting)s)
                 AND e.detail ->> 'external_id' IS NOT DISTINCT FROM p.external_id))) AS ours,
       (SELECT array_agg(coalesce(a.external_id, a.source_key))
        FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" a
        WHERE a.loan_external_id = p.loan_external_id AND a.status = 'success') AS all_ours
FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p JOIN ({scope}) s USING (source_key)
WHERE p.status = 'success' GROUP BY p.loan_external_id
"""
_KEEP = """
INSERT INTO "CORE"."CORE_EXCEPTION" (source_key, kind, detail) VALUES (%s, %s, %s)
ON CONFLICT (source_key, kind) WHERE closed_at IS NULL DO UPDATE SET detail = EXCLUDED.detail
"""


async def ledger_agrees(settings: Settings, conninfo: str, scope: LedgerScope) -> Proof:
    """Each posting in scope stands live in the ledger once, with our loan, amount and date, and
    has no twin there: a live repayment of its loan, day and amount that is not ours.

    Every difference is kept as a row of CORE_EXCEPTION of kind `ledger_…`; that a repayment was
    undone as an exception asked is none, and closes the exception.
    """
    proof, settled = Proof(), _Settled()
    async with await AsyncConnection.connect(conninfo, autocommit=True) as connection:
        loans = await _loans(connection, scope)

        async def each() -> AsyncIterator[dict[str, Any]]:
            for loan in loans:
                yield loan

        async def compare(_worker: int, client: FineractClient, loan: dict[str, Any]) -> None:
            proof.checked += len(loan["ours"])
            listing = await client.list_transactions(loan["loan"])
            if not isinstance(listing, tuple):
                proof.findings.append(f"loan {loan['loan']} could not be read: {listing}")
                return
            found = list(differences(loan["ours"], set(loan["all_ours"]), listing))
            settled.add(loan["ours"], found, listing)
            for difference in found:
                proof.findings.append(f"{difference.source_key}: {difference.detail}")
                detail = Jsonb({"loan": loan["loan"], "what": difference.detail})
                await connection.execute(_KEEP, (difference.source_key, difference.kind, detail))

        await Workers(settings, StopSwitch()).share_out(each(), compare)
        await settled.close(connection)
        await looked_at(connection, [payment["key"] for loan in loans for payment in loan["ours"]])
    return proof


@dataclass
class _Settled:
    """What the ledger said of the payments that were compared."""

    asked: set[str] = field(default_factory=set)
    """Keys, as in the sets below."""
    undone: set[str] = field(default_factory=set)
    differing: set[str] = field(default_factory=set)

    def add(
        self,
        ours: list[dict[str, Any]],
        found: list[Difference],
        listing: tuple[LedgerTransaction, ...],
    ) -> None:
        undone = {t.external_id for t in listing if t.reversed}
        self.asked |= {payment["key"] for payment in ours}
        self.undone |= {payment["key"] for payment in ours if payment["external_id"] in undone}
        self.differing |= {difference.source_key for difference in found}

    async def close(self, connection: AsyncConnection[Any]) -> None:
        await close_by_look_up(connection, self.undone, AFTER_POSTING, "it was undone in Fineract")
        agreeing = self.asked - self.differing
        await close_by_look_up(connection, agreeing, LEDGER_KINDS, "the ledger is as it should be")


async def _loans(connection: AsyncConnection[Any], scope: LedgerScope) -> list[dict[str, Any]]:
    query = _BY_LOAN.format(scope=_NAMED if scope.is_named else _OF_RUN)
    parameters = {
        "run_id": scope.run_id,
        "recent": RECENT,
        "looked_up": EXCEPTIONS_LOOKED_UP,
        "kinds": [*AFTER_POSTING, *LEDGER_KINDS],
        "after_posting": list(AFTER_POSTING),
        "lender": scope.lender,
        "first_day": scope.first_day,
        "last_day": scope.last_day,
    }
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, parameters)
        return await cursor.fetchall()


def strays(listing: tuple[LedgerTransaction, ...], ours: set[str]) -> list[LedgerTransaction]:
    """The live repayments of a loan of which none of our external ids is."""
    live = [t for t in listing if t.is_repayment and not t.reversed]
    return [t for t in live if t.external_id not in ours]


def differences(
    ours: list[dict[str, Any]], all_ours: set[str], listing: tuple[LedgerTransaction, ...]
) -> Iterator[Difference]:
    """How the ledger's transactions of one loan differ from what we posted there.

    Args:
        ours: the postings to compare, each with `key`, `external_id`, `amount` (rupees), `date` and
            whether an exception asks or asked `to_undo` it.
        all_ours: the external ids of all that is recorded as posted on the loan.
    """
    by_external_id = {t.external_id: t for t in listing}
    foreign = strays(listing, all_ours)
    for payment in ours:
        key, amount, day = payment["key"], Decimal(payment["amount"]), payment["date"]
        found = by_external_id.get(payment["external_id"])
        if found is None:
            yield Difference(key, "ledger_missing", "is not in the ledger")
        elif found.reversed and payment["to_undo"]:
            continue
        elif found.reversed:
            yield Difference(key, "ledger_reversed", "was undone in the ledger")
        elif found.amount != amount:
            yield Difference(key, "ledger_amount", f"is {found.amount:.2f} there, {amount} here")
        elif found.date.isoformat() != day:
            yield Difference(key, "ledger_date", f"is of {found.date} there, of {day} here")
        twins = [t for t in foreign if (t.amount, t.date.isoformat()) == (amount, day)]
        if twins:
            ids = ", ".join(str(t.external_id or f"transaction {t.resource_id}") for t in twins)
            said = f"has a twin of {amount} rupees on {day} that we did not post: {ids}"
            yield Difference(key, "ledger_foreign", said)
