"""A repayment that a checker rejected in Fineract, which tells nobody of it: a person has to.

What belongs here: the audited act that ends an attempt which awaits approval in vain, so that its
payment waits again and its loan is free. What does not: posting it (the next run does, under every
guard of a new payment), rejecting anything in Fineract.

Whatever else happens at that moment, nothing is posted twice. The attempt is settled once: the
result of a run that looks it up meanwhile finds it settled and is not written. And the payment
keeps its external id: if the checker approves after all, Fineract refuses the second, and the run
looks up the first and records it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from repayment_platform.display import at
from repayment_platform.fineract.client import FineractClient
from repayment_platform.fineract.contract import Absent, Found, LookupFailed, UnknownLoan
from repayment_platform.ledger.identity import REMEMBERED, fineract_client, refuse_another
from repayment_platform.settings import Settings
from repayment_platform.warehouse import audit

_AWAITING = """
SELECT a.id, a.source_key, coalesce(a.external_id, a.source_key) AS external_id,
       a.loan_external_id AS loan, a.amount, a.payment_date AS date, w.recon_source,
       a.intended_at + make_interval(secs => %(conclusive)s) AS ask_from,
       a.intended_at + make_interval(secs => %(conclusive)s) > clock_timestamp() AS is_young
FROM "CORE"."CORE_POSTING_ATTEMPT" a LEFT JOIN "CORE"."CORE_OPEN_WORK" w USING (source_key)
WHERE a.source_key = %(key)s AND a.settled_at IS NULL
  AND a.error_code = 'awaiting_approval'
"""
_SETTLE = """
UPDATE "CORE"."CORE_POSTING_ATTEMPT"
SET outcome = 'not_applied', settled_by = 'lookup', settled_at = clock_timestamp(),
    http_status = 404, error_code = 'rejected', error_text = %(reason)s
WHERE id = %(id)s AND settled_at IS NULL
"""
_WAIT = """
UPDATE "CORE"."CORE_OPEN_WORK"
SET state = 'waiting', reason = %(reason)s, not_before = NULL, updated_at = now()
WHERE source_key = %(source_key)s
"""


class NotRejected(Exception):
    """The payment awaits approval as before, or never did; the message says why."""


@dataclass(frozen=True)
class ToBeSentAgain:
    """A payment whose repayment was rejected and that waits to be posted again."""

    awaits_reconciliation: bool

    def __str__(self) -> str:
        when = "once it is reconciled again" if self.awaits_reconciliation else "by the next run"
        return (
            f"not in Fineract; to be posted {when}. While maker-checker is on for REPAYMENT_LOAN, "
            "it will await approval again"
        )


async def rejected(
    settings: Settings,
    connection: psycopg.Connection[Any],
    source_keys: Sequence[str],
    who: str,
    why: str,
) -> dict[str, ToBeSentAgain | NotRejected]:
    """Let payments wait again whose repayments were rejected in Fineract; what came of each.

    Fineract is asked first: one that it has was approved, and the next run records it.

    Raises:
        WrongLedger: the settings name another Fineract than the one that was posted to.
    """
    refuse_another(settings, connection.execute(REMEMBERED).fetchone())
    came: dict[str, ToBeSentAgain | NotRejected] = {}
    async with fineract_client(settings) as client:
        for key in dict.fromkeys(source_keys):
            try:
                attempt = _awaiting(settings, connection, key)
                await _see_it_absent(client, attempt)
                came[key] = _let_wait(connection, attempt, who, why)
            except NotRejected as reason:
                came[key] = reason
    return came


def _awaiting(settings: Settings, connection: psycopg.Connection[Any], key: str) -> dict[str, Any]:
    cursor = connection.cursor(row_factory=dict_row)
    conclusive = settings.timeout_seconds + settings.settle_seconds
    attempt = cursor.execute(_AWAITING, {"key": key, "conclusive": conclusive}).fetchone()
    if attempt is None:
        raise NotRejected("it does not await approval in Fineract")
    if attempt["is_young"]:
        raise NotRejected(f"it may still be under way: ask again from {at(attempt['ask_from'])}")
    return attempt


async def _see_it_absent(client: FineractClient, attempt: dict[str, Any]) -> None:
    match await client.find_transaction(attempt["loan"], attempt["external_id"]):
        case Absent() | UnknownLoan():
            return
        case Found(transaction):
            raise NotRejected(f"Fineract has it, as transaction {transaction.resource_id}")
        case LookupFailed(why=why):
            raise NotRejected(f"Fineract could not be asked: {why}")
        case answer:
            raise NotRejected(f"Fineract does not say that it is absent: {answer}")


def _let_wait(
    connection: psycopg.Connection[Any], attempt: dict[str, Any], who: str, why: str
) -> ToBeSentAgain:
    facts = attempt | {"reason": f"rejected in Fineract: {why}"}
    with connection.transaction():
        if not connection.execute(_SETTLE, facts).rowcount:
            raise NotRejected("a run has settled it just now")
        connection.execute(_WAIT, facts)
        told = {name: attempt[name] for name in ("loan", "amount", "date", "external_id")}
        audit.record(connection, who, "payment.rejected", attempt["source_key"], why=why, **told)
    return ToBeSentAgain(attempt["recon_source"] is not None)
