"""Results: what came of an attempt, written behind a fence.

What belongs here: the transaction that settles attempts and moves their payments to the next
state. What does not: deciding what a reply means (`verdicts`, `settlement`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from repayment_platform.exceptions.kinds import UNDONE
from repayment_platform.posting.model import State
from repayment_platform.posting.work import Connection


class Settled(StrEnum):
    """What an attempt came to; `None` in its place means that it is still unknown."""

    SUCCESS = "success"
    FAILED = "failed"
    NOT_APPLIED = "not_applied"
    HELD = "held"


@dataclass(frozen=True)
class Result:
    """What is to be written for one attempt."""

    attempt_id: int
    outcome: Settled | None
    state: State
    """The payment's state from now on."""
    reason: str
    by: str = "reply"
    """What settled it: `reply` or `lookup`."""
    http_status: int | None = None
    code: str | None = None
    resource_id: int | None = None
    back_off_seconds: float | None = None


# The fence: only the run that the attempt belongs to may settle it, and only once. What asks for a
# person is not judged here but by the next comparison, and most payments are as they were.
_SETTLE = f"""
WITH result AS (
    SELECT * FROM unnest(
        %(attempt_ids)s::bigint[], %(outcomes)s::text[], %(states)s::text[], %(reasons)s::text[],
        %(bys)s::text[], %(http_statuses)s::int[], %(codes)s::text[], %(resource_ids)s::bigint[],
        %(back_offs)s::float8[])
        AS r (attempt_id, outcome, state, reason, settled_by, http_status, error_code, resource_id,
              back_off)
), settled AS (
    UPDATE "CORE"."CORE_POSTING_ATTEMPT" a
    SET outcome = r.outcome, http_status = r.http_status, error_code = r.error_code,
        error_text = CASE WHEN r.outcome = 'success' THEN NULL ELSE r.reason END,
        resource_id = r.resource_id,
        settled_by = CASE WHEN r.outcome IS NOT NULL THEN r.settled_by END,
        settled_at = CASE WHEN r.outcome IS NOT NULL THEN clock_timestamp() END,
        undone_at = CASE WHEN r.error_code = '{UNDONE}' THEN clock_timestamp() END
    FROM result r
    -- IS TRUE: found by id alone, never through all that the run has attempted.
    WHERE a.id = r.attempt_id AND (a.run_id = %(run_id)s AND a.settled_at IS NULL) IS TRUE
    RETURNING a.*, r.state, r.reason, r.back_off
), recorded AS (
    INSERT INTO "CORE"."CORE_TRANSACTION_DATA_PROCESSED" AS p (source_key, source_lender, status,
        loan_external_id, payment_date, paid_on, amount, payment_ref, recon_source,
        external_id, fineract_transaction_id, error_code, error_text, run_id)
    SELECT s.source_key, s.source_lender,
           CASE s.error_code WHEN '{UNDONE}' THEN 'undone' ELSE s.outcome END,
           s.loan_external_id, s.payment_date,
           CASE WHEN w.post_on = s.payment_date THEN w.payment_date END, s.amount, s.payment_ref,
           w.recon_source, s.external_id, s.resource_id, s.error_code, s.error_text, s.run_id
    FROM settled s LEFT JOIN "CORE"."CORE_OPEN_WORK" w USING (source_key)
    WHERE s.outcome IN ('success', 'failed') OR s.error_code = '{UNDONE}'
    ORDER BY s.source_key
    ON CONFLICT (source_key) DO UPDATE SET
        status = EXCLUDED.status, loan_external_id = EXCLUDED.loan_external_id,
        payment_date = EXCLUDED.payment_date, paid_on = EXCLUDED.paid_on, amount = EXCLUDED.amount,
        payment_ref = EXCLUDED.payment_ref, external_id = EXCLUDED.external_id,
        fineract_transaction_id = EXCLUDED.fineract_transaction_id,
        error_code = EXCLUDED.error_code, error_text = EXCLUDED.error_text,
        attempts = p.attempts + 1, run_id = EXCLUDED.run_id, processed_at = clock_timestamp(),
        ledger_checked_at = NULL
    WHERE p.status <> 'success'
), finished AS (
    DELETE FROM "CORE"."CORE_OPEN_WORK" w USING settled s
    WHERE w.source_key = s.source_key AND s.outcome = 'success'
), moved AS (
    UPDATE "CORE"."CORE_OPEN_WORK" w
    SET state = s.state, reason = s.reason, tries = w.tries + 1, updated_at = now(),
        not_before = clock_timestamp() + make_interval(secs => s.back_off)
    FROM settled s WHERE w.source_key = s.source_key AND s.outcome IS DISTINCT FROM 'success'
), to_judge AS (
    INSERT INTO "CORE"."CORE_TO_JUDGE" (source_key)
    SELECT s.source_key FROM settled s
    LEFT JOIN "CORE"."CORE_TRANSACTION_DATA" t USING (source_key)
    WHERE s.outcome IN ('held', 'failed') OR s.state = 'awaiting_approval'
       OR s.outcome = 'success'
          AND (t.source_key IS NULL OR NOT t.is_success OR t.conflict IS NOT NULL
               OR NOT "CORE".is_as_posted(
                   s.loan_external_id, s.amount, s.payment_date,
                   t.loan_external_id, t.amount, t.payment_date, t.earliest_day, t.payment_ref)
               OR EXISTS (SELECT FROM "CORE"."CORE_EXCEPTION" e
                          WHERE e.source_key = s.source_key AND e.closed_at IS NULL)
               OR EXISTS (SELECT FROM "CORE"."CORE_EXCEPTION" e
                          WHERE e.facts ->> 'other_key' = s.source_key
                            AND e.decision = 'same_payment'))
    ON CONFLICT DO NOTHING
)
SELECT id FROM settled
"""  # noqa: S608 (the part is a constant)


class Results:
    """Writes groups of results for one run."""

    def __init__(self, connection: Connection, run_id: str) -> None:
        self._connection = connection
        self._run_id = run_id

    async def write(self, results: Sequence[Result]) -> list[bool]:
        """Whether each result was written; False means that another run has taken the attempt
        over and this result came too late."""
        cursor = await self._connection.execute(
            _SETTLE,
            {
                "attempt_ids": [r.attempt_id for r in results],
                "outcomes": [r.outcome for r in results],
                "states": [r.state for r in results],
                "reasons": [r.reason for r in results],
                "bys": [r.by for r in results],
                "http_statuses": [r.http_status for r in results],
                "codes": [r.code for r in results],
                "resource_ids": [r.resource_id for r in results],
                "back_offs": [r.back_off_seconds for r in results],
                "run_id": self._run_id,
            },
        )
        written = {attempt_id for (attempt_id,) in await cursor.fetchall()}
        return [result.attempt_id in written for result in results]
