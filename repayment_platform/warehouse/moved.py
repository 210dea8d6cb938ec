"""Payments whose lender is posted otherwise now: automatically, or only when it is reconciled.

What belongs here: having dbt fold anew what waits for a path that takes it no more. What does not:
which lender is posted how (`sources.registry`), the list of open work (`posting.feed`), which takes
the path over from CORE.

The registry says how a lender is posted, and dbt writes that beside each payment when it folds it.
One that was folded before the registry changed would wait for ever: an automated run leaves it to a
reconciliation, and a reconciliation to the runs. What is posted keeps what it was.
"""

import logging

import psycopg

from repayment_platform.sources.registry import LENDERS, automated_lenders
from repayment_platform.warehouse.urls import DatabaseUrls

log = logging.getLogger(__name__)

# Batch 0 is what the next run of dbt takes up.
_FOLD_AGAIN = """
INSERT INTO "CORE"."CORE_REFOLD" (source_key, reason)
SELECT source_key,
       source_lender || CASE WHEN recon_source IS NULL THEN ' is posted by reconciliation now'
                             ELSE ' is posted automatically now' END
FROM "CORE"."CORE_OPEN_WORK"
WHERE (recon_source IS NULL) <> (source_lender = ANY (%(automated)s))
  AND source_lender = ANY (%(lenders)s) AND state IN ('waiting', 'deferred', 'held', 'failed')
ON CONFLICT (source_key) DO UPDATE SET batch = 0, reason = EXCLUDED.reason
"""


def refold_moved(urls: DatabaseUrls) -> None:
    """Have dbt fold anew the open payments of lenders that the registry posts otherwise by now.
    Call it under the dbt lock, before dbt is started. Reads the list of open work once."""
    ways = {"lenders": list(LENDERS), "automated": list(automated_lenders())}
    with psycopg.connect(urls.psycopg, autocommit=True) as connection:
        moved = connection.execute(_FOLD_AGAIN, ways).rowcount
    if moved:
        log.info("%s open payments are of lenders that are posted otherwise now", moved)
