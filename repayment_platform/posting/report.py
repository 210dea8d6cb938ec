"""What stands in the database about runs and the queue, for people.

What belongs here: read-only counts per lender. What does not: showing them (`commands`, `web`).
"""

from dataclasses import dataclass
from decimal import Decimal

import psycopg
from psycopg.rows import class_row


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


_STATES = """
SELECT source_lender AS lender,
       CASE WHEN recon_source IS NULL THEN 'automated' ELSE 'recon' END AS path,
       state, reason, count(*) AS payments, sum(amount) AS rupees
FROM "CORE"."CORE_OPEN_WORK" GROUP BY 1, 2, 3, 4
UNION ALL
SELECT source_lender, CASE WHEN recon_source IS NULL THEN 'automated' ELSE 'recon' END,
       status, 'posted', count(*), sum(amount)
FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" WHERE status = 'success' GROUP BY 1, 2, 3
ORDER BY 1, 2, 3, 5 DESC
"""


def state_counts(conninfo: str) -> list[StateCount]:
    """Every payment that the engine knows, counted by lender, path, state and reason."""
    with (
        psycopg.connect(conninfo) as connection,
        connection.cursor(row_factory=class_row(StateCount)) as cursor,
    ):
        return cursor.execute(_STATES).fetchall()
