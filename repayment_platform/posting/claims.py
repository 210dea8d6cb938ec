"""Intents: what is written and committed before a request may leave.

What belongs here: the transaction that re-reads a payment and records the intent to post it.
What does not: choosing what to post (`work`), results (`results`).
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from repayment_platform.exceptions.comparison import kept_back
from repayment_platform.posting.model import Payment, Selection
from repayment_platform.posting.work import Connection

# The payment is read again under lock: it must still be open with the very facts chosen, a
# repayment in CORE, on this run's path, not held or ruled out, not paused, not undone, posted under
# no key of its issued reference, and as the run's reconciliation request says. Then the unique
# indexes on what is under way or posted decide between overlapping runs, whatever has changed since
# this statement began; loans are taken in order, so that two runs wait for each other and not in a
# circle.
_CLAIM = f"""
WITH asked AS (
    SELECT * FROM unnest(%(keys)s::text[], %(loans)s::text[], %(dates)s::date[],
                         %(amounts)s::numeric[], %(workers)s::int[], %(idempotency_keys)s::text[])
           AS a (source_key, loan_external_id, payment_date, amount, worker, idempotency_key)
), open AS (
    SELECT w.source_key, w.source_lender, w.loan_external_id, a.payment_date, w.amount,
           w.payment_ref, a.worker, a.idempotency_key,
           (SELECT p.external_id FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
            WHERE p.source_key = w.source_key) AS external_id
    FROM "CORE"."CORE_OPEN_WORK" w
    JOIN asked a USING (source_key, loan_external_id, amount)
    JOIN "CORE"."CORE_TRANSACTION_DATA" t USING (source_key, loan_external_id, amount)
    WHERE a.payment_date = coalesce(w.post_on, w.payment_date) AND t.payment_date = w.payment_date
      AND w.state IN ('waiting', 'failed') AND t.is_success
      AND (t.recon_source IS NOT NULL) = %(is_recon)s AND t.source_lender = ANY (%(lenders)s)
      AND NOT EXISTS (SELECT FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
                      WHERE p.status <> 'failed' AND p.source_key = w.source_key)
      AND NOT EXISTS (SELECT FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
                      WHERE p.status = 'success' AND p.payment_ref = w.payment_ref
                        AND "CORE".is_issued(p.payment_ref))
      AND NOT EXISTS ({kept_back("w")})
      AND (%(recon_request)s::bigint IS NULL OR EXISTS (
          SELECT FROM "CORE"."CORE_RECON_REQUEST" q
          JOIN "CORE"."CORE_RECON_REQUEST_ITEM" i ON i.request_id = q.id
          WHERE q.id = %(recon_request)s AND q.state = 'running' AND q.run_id = %(run_id)s
            AND (i.source_key, i.loan_external_id, i.payment_date, i.amount)
                = (w.source_key, w.loan_external_id, w.payment_date, w.amount)))
    ORDER BY w.loan_external_id, w.source_key
    FOR UPDATE OF w SKIP LOCKED
), intended AS (
    INSERT INTO "CORE"."CORE_POSTING_ATTEMPT" (source_key, source_lender, loan_external_id,
        payment_date, amount, payment_ref, idempotency_key, external_id, run_id, worker)
    SELECT source_key, source_lender, loan_external_id, payment_date, amount, payment_ref,
           idempotency_key, external_id, %(run_id)s, worker
    FROM open ORDER BY loan_external_id, source_key
    ON CONFLICT DO NOTHING
    RETURNING id, source_key, coalesce(external_id, source_key) AS external_id, idempotency_key
), sending AS (
    UPDATE "CORE"."CORE_OPEN_WORK" w
    SET state = 'sending', reason = 'a request to Fineract is under way', updated_at = now()
    FROM intended i WHERE w.source_key = i.source_key
)
SELECT source_key, id, external_id, idempotency_key FROM intended
"""  # noqa: S608 (the part is a constant)


@dataclass(frozen=True)
class Attempt:
    """An intent that stands in the database."""

    id: int
    payment: Payment
    external_id: str
    """That of the request: the payment's key, or after a repost another."""
    idempotency_key: str
    not_before: float = 0.0
    """By this process's monotonic clock, a moment no later than the intent's time stamp."""


class Claims:
    """Writes groups of intents on the connection that holds the run's lock."""

    def __init__(self, connection: Connection, run_id: str, selection: Selection) -> None:
        self._connection = connection
        self._run_id = run_id
        self._selection = selection

    async def write(self, asked: Sequence[tuple[Payment, int]]) -> list[Attempt | None]:
        """An attempt for each payment and its worker; None where the payment is not to be sent
        any more, or another run has it or its loan in hand."""
        payments = {payment.source_key: payment for payment, _ in asked}
        parameters = {
            "keys": [payment.source_key for payment, _ in asked],
            "loans": [payment.loan for payment, _ in asked],
            "dates": [payment.date for payment, _ in asked],
            "amounts": [payment.amount for payment, _ in asked],
            "workers": [worker for _, worker in asked],
            # Random, never counted: a counted key would come back after a restore and make
            # Fineract replay the answer to another request.
            "idempotency_keys": [secrets.token_hex(16) for _ in asked],
            "is_recon": self._selection.is_recon,
            "lenders": list(self._selection.lenders),
            "recon_request": self._selection.recon_request,
            "run_id": self._run_id,
        }
        now = time.monotonic()
        cursor = await self._connection.execute(_CLAIM, parameters)
        attempts = {
            source_key: Attempt(attempt_id, payments[source_key], external_id, idempotency_key, now)
            for source_key, attempt_id, external_id, idempotency_key in await cursor.fetchall()
        }
        return [attempts.get(payment.source_key) for payment, _ in asked]
