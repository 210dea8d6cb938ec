"""Posting again, on purpose, what Fineract has lost.

What belongs here: the audited act after Fineract was restored from a backup, which puts payments
that it no longer has back on the list of open work. What does not: posting them (the next run
does), and repayments that were undone in Fineract: those keep their external id there, and are
exceptions.
"""

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row

from repayment_platform.fineract.client import FineractClient
from repayment_platform.fineract.contract import Absent, LookupFailed
from repayment_platform.posting.ledger import fineract_client
from repayment_platform.settings import Settings
from repayment_platform.warehouse import audit

_POSTED = """
SELECT source_key, loan_external_id, amount, payment_date, fineract_transaction_id,
       processed_at > clock_timestamp() - make_interval(secs => %(settle)s) AS young
FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"
WHERE source_key = %(key)s AND status = 'success' FOR UPDATE
"""
_MISSING = """
SELECT source_key FROM "CORE"."CORE_EXCEPTION"
WHERE kind = 'ledger_missing' AND closed_at IS NULL ORDER BY id
"""
_UNDO_ATTEMPT = """
UPDATE "CORE"."CORE_POSTING_ATTEMPT" SET undone_at = now()
WHERE source_key = %(key)s AND outcome = 'success' AND undone_at IS NULL
"""
_UNDO_OUTCOME = """
UPDATE "CORE"."CORE_TRANSACTION_DATA_PROCESSED"
SET status = 'failed', error_code = 'gone_from_ledger', error_text = %(why)s,
    processed_at = clock_timestamp()
WHERE source_key = %(key)s
"""
_REOPEN = """
INSERT INTO "CORE"."CORE_OPEN_WORK" (source_key, source_lender, loan_external_id, payment_date,
    amount, payment_ref, recon_source, state, reason)
SELECT t.source_key, t.source_lender, t.loan_external_id, t.payment_date, t.amount,
       t.payment_ref, t.recon_source, 'waiting', 'to be posted again: ' || %(why)s
FROM "CORE"."CORE_TRANSACTION_DATA" t
WHERE t.source_key = %(key)s AND t.is_success AND t.loan_external_id IS NOT NULL
"""


class NotReposted(Exception):
    """The payment was not put back; the message says why."""


def missing_keys(connection: psycopg.Connection[Any]) -> list[str]:
    """Payments whose open exception says that the ledger does not have them."""
    return [key for (key,) in connection.execute(_MISSING)]


async def repost(
    settings: Settings,
    connection: psycopg.Connection[Any],
    source_keys: Sequence[str],
    who: str,
    why: str,
) -> dict[str, str | None]:
    """Put posted payments that Fineract does not have back on the list; why not, for each other.

    Fineract is asked first, and only its own answer that it has no such transaction counts. The
    next run posts under the same external id, so should the first one turn up after all, Fineract
    refuses the second. The attempt that posted it stays, marked as undone.
    """
    refused: dict[str, str | None] = {}
    async with fineract_client(settings) as client:
        for key in source_keys:
            try:
                with connection.transaction():
                    await _repost_one(settings, client, connection, key, who, why)
                refused[key] = None
            except NotReposted as reason:
                refused[key] = str(reason)
    return refused


async def _repost_one(
    settings: Settings,
    client: FineractClient,
    connection: psycopg.Connection[Any],
    key: str,
    who: str,
    why: str,
) -> None:
    cursor = connection.cursor(row_factory=dict_row)
    posted = cursor.execute(_POSTED, {"key": key, "settle": settings.settle_seconds}).fetchone()
    if posted is None:
        raise NotReposted("it is not recorded as posted")
    if posted["young"]:
        raise NotReposted("it was posted a moment ago")
    answer = await client.find_transaction(posted["loan_external_id"], key)
    if isinstance(answer, LookupFailed):
        raise NotReposted(f"Fineract could not be asked: {answer.why}")
    if not isinstance(answer, Absent):
        raise NotReposted(f"Fineract does not say that it is absent, but: {answer}")
    cursor.execute(_UNDO_ATTEMPT, {"key": key})
    cursor.execute(_UNDO_OUTCOME, {"key": key, "why": why})
    if not cursor.execute(_REOPEN, {"key": key, "why": why}).rowcount:
        raise NotReposted("it is no repayment any more, see the exceptions")
    facts = {name: posted[name] for name in ("loan_external_id", "amount", "payment_date")}
    lost = posted["fineract_transaction_id"]
    audit.record(connection, who, "payment.repost", key, why=why, lost_transaction=lost, **facts)
