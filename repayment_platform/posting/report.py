"""What stands in the database about runs and the queue, for people.

What belongs here: read-only counts per lender. What does not: showing them (`commands`, `web`).
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import class_row, tuple_row


@dataclass(frozen=True)
class LenderReport:
    """One lender: what a run did, and what is open now. Rupees."""

    lender: str
    picked_up: int
    posted: int
    rupees: Decimal
    failed: int
    """Refused by Fineract, in the run or before; of those to be reconciled, in the run."""
    held: int
    deferred: int
    in_doubt: int
    waiting: int
    recon: int
    """Left to reconciliation: posted only when an operator asks."""


_RUN = """
WITH sent AS (
    SELECT source_lender, count(DISTINCT source_key) AS picked_up
    FROM "CORE"."CORE_POSTING_ATTEMPT" WHERE run_id = %(run_id)s GROUP BY 1
), done AS (
    SELECT source_lender, count(*) FILTER (WHERE status = 'success') AS posted,
           coalesce(sum(amount) FILTER (WHERE status = 'success'), 0) AS rupees,
           count(*) FILTER (WHERE status = 'failed' AND recon_source IS NOT NULL) AS failed
    FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" WHERE run_id = %(run_id)s GROUP BY 1
), open AS (
    SELECT source_lender,
           count(*) FILTER (WHERE state = 'failed' AND recon_source IS NULL) AS failed,
           count(*) FILTER (WHERE state = 'held') AS held,
           count(*) FILTER (WHERE state = 'deferred') AS deferred,
           count(*) FILTER (WHERE state IN ('sending', 'unknown', 'awaiting_approval')) AS in_doubt,
           count(*) FILTER (WHERE state = 'waiting' AND recon_source IS NULL) AS waiting,
           count(*) FILTER (WHERE state IN ('waiting', 'failed') AND recon_source IS NOT NULL)
               AS recon
    FROM "CORE"."CORE_OPEN_WORK" GROUP BY 1
)
SELECT source_lender AS lender,
       coalesce(picked_up, 0) AS picked_up, coalesce(posted, 0) AS posted,
       coalesce(rupees, 0) AS rupees,
       coalesce(done.failed, 0) + coalesce(open.failed, 0) AS failed, coalesce(held, 0) AS held,
       coalesce(deferred, 0) AS deferred, coalesce(in_doubt, 0) AS in_doubt,
       coalesce(waiting, 0) AS waiting, coalesce(recon, 0) AS recon
FROM sent FULL JOIN done USING (source_lender) FULL JOIN open USING (source_lender)
ORDER BY 1
"""


def run_report(conninfo: str, run_id: str) -> list[LenderReport]:
    """Per lender: what the run posted, what Fineract refused, and what is open now."""
    with (
        psycopg.connect(conninfo) as connection,
        connection.cursor(row_factory=class_row(LenderReport)) as cursor,
    ):
        return cursor.execute(_RUN, {"run_id": run_id}).fetchall()


@dataclass(frozen=True)
class StateCount:
    """Payments of a lender in one state, with the reason they are in it. Rupees."""

    lender: str
    path: str
    state: str
    reason: str
    payments: int
    rupees: Decimal


# What is undone is open work too where it is still a repayment; it counts once.
_STATES = """
SELECT w.source_lender AS lender,
       CASE WHEN w.recon_source IS NULL THEN 'automated' ELSE 'recon' END AS path,
       w.state, w.reason, count(*) AS payments, sum(w.amount) AS rupees
FROM "CORE"."CORE_OPEN_WORK" w
WHERE NOT EXISTS (SELECT FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
                  WHERE p.source_key = w.source_key AND p.status = 'undone')
GROUP BY 1, 2, 3, 4
UNION ALL
SELECT p.source_lender, CASE WHEN p.recon_source IS NULL THEN 'automated' ELSE 'recon' END,
       p.status,
       CASE WHEN p.status = 'success' THEN 'posted'
            WHEN w.source_key IS NOT NULL THEN 'reversed in the ledger, and to be decided'
            ELSE 'reversed in the ledger, as is right' END,
       count(*), sum(p.amount)
FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
LEFT JOIN "CORE"."CORE_OPEN_WORK" w ON w.source_key = p.source_key AND p.status = 'undone'
WHERE p.status IN ('success', 'undone') GROUP BY 1, 2, 3, 4
"""
# The payments of CORE that the engine does not have.
_OTHERS = """
SELECT t.source_lender AS lender,
       CASE WHEN t.recon_source IS NULL THEN 'automated' ELSE 'recon' END AS path,
       is_now.state,
       CASE is_now.state WHEN 'loan_unknown' THEN 'nobody knows its loan'
                         WHEN 'waiting' THEN 'no run has read it yet'
                         WHEN 'given_back'
                         THEN replace(t.outcome, '_', ' ') || ' before it was posted'
                         ELSE CASE t.outcome WHEN 'success'
                                   THEN coalesce(t.not_repayment_reason, 'not to be posted')
                                   ELSE replace(t.outcome, '_', ' ') END END AS reason,
       count(*) AS payments, coalesce(sum(t.amount), 0) AS rupees
FROM "CORE"."CORE_TRANSACTION_DATA" t
LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
    ON p.source_key = t.source_key AND p.status IN ('success', 'undone')
LEFT JOIN "CORE"."CORE_OPEN_WORK" w ON w.source_key = t.source_key
CROSS JOIN LATERAL (
    SELECT CASE WHEN t.is_success AND t.loan_external_id IS NULL THEN 'loan_unknown'
                WHEN t.is_success THEN 'waiting'
                WHEN t.outcome IN ('refund', 'late_return') AND t.key_rule <> 'provisional'
                THEN 'given_back' ELSE 'no_repayment' END AS state
) is_now
WHERE p.source_key IS NULL AND w.source_key IS NULL GROUP BY 1, 2, 3, 4
"""
_IS_BUILT = """SELECT to_regclass('"CORE"."CORE_TRANSACTION_DATA"') IS NOT NULL"""


def state_counts(connection: psycopg.Connection[Any]) -> list[StateCount]:
    """Every payment of CORE once, counted by lender, path, state and reason: posted, undone, open,
    without a loan, given back before it was posted, or no repayment. Reads the whole history.

    What is posted adds up to what stands in the ledger.
    """
    with connection.cursor(row_factory=tuple_row) as cursor:
        (is_built,) = cursor.execute(_IS_BUILT).fetchone() or (False,)
    with connection.cursor(row_factory=class_row(StateCount)) as cursor:
        queries = (_STATES, _OTHERS) if is_built else (_STATES,)
        found = [line for query in queries for line in cursor.execute(query).fetchall()]
    return sorted(found, key=lambda line: (line.lender, line.path, line.state, -line.payments))
