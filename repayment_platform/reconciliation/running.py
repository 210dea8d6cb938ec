"""A request while it runs: taken by one run, judged again, ended with its result.

What belongs here: what the run of a request may still post, and what came of it. What does not:
posting (`posting`), which run is alive (`defs`).
"""

import json
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from repayment_platform.reconciliation.preview import JUDGED_BY, OBJECTION, Excluded
from repayment_platform.reconciliation.requests import NotOpen, get, set_items_open
from repayment_platform.warehouse import audit

REASONS_SHOWN = 3
"""Of the reasons for which payments were left, the most frequent."""

_BEGIN = """
UPDATE "CORE"."CORE_RECON_REQUEST" SET state = 'running', run_id = %(run_id)s
WHERE id = %(id)s AND state = 'approved' AND (decided_by IS NOT NULL OR NOT %(four_eyes)s)
"""
# The request was approved for these very facts. Why an item is not to be posted; null where it is.
_UNFIT = f"""coalesce({OBJECTION}, CASE
    WHEN (c.loan_external_id, c.payment_date, c.amount)
         IS DISTINCT FROM (t.loan_external_id, t.payment_date, t.amount)
    THEN 'loan, date or amount changed since the request' END)"""
_JUDGE = f"""
UPDATE "CORE"."CORE_RECON_REQUEST_ITEM" i SET excluded = now.reason
FROM (
    SELECT c.source_key, {_UNFIT} AS reason
    FROM "CORE"."CORE_RECON_REQUEST_ITEM" c {JUDGED_BY}
    WHERE c.request_id = %(own_request)s
) now
WHERE i.request_id = %(own_request)s AND i.source_key = now.source_key
"""  # noqa: S608 - the parts are constants of the package
# What became unfit after the run had begun was refused by its claim; the item says why.
_JUDGE_THE_REST = f"""{_JUDGE} AND i.excluded IS NULL AND now.reason <> 'posted already'"""
# What Fineract refused has been handled; what was never sent says nothing yet of what kept it back.
_NOT_POSTED = f"""
SELECT CASE WHEN w.state = 'waiting' AND w.tries = 0
            THEN 'kept back by another payment of its loan or reference' ELSE w.reason END,
       count(*)
FROM "CORE"."CORE_RECON_REQUEST_ITEM" c {JUDGED_BY}
WHERE c.request_id = %(own_request)s AND c.excluded IS NULL AND {_UNFIT} IS NULL
  AND w.state <> 'failed'
GROUP BY 1 ORDER BY 2 DESC, 1
"""  # noqa: S608
_TO_POST = """
SELECT source_key FROM "CORE"."CORE_RECON_REQUEST_ITEM"
WHERE request_id = %s AND excluded IS NULL ORDER BY source_key
"""
_END = """
UPDATE "CORE"."CORE_RECON_REQUEST"
SET state = %(state)s, result = %(result)s, finished_at = now()
WHERE id = %(id)s AND state = 'running' AND run_id = %(run_id)s
"""
_ABANDON = """
UPDATE "CORE"."CORE_RECON_REQUEST"
SET state = 'failed', result = %(result)s, finished_at = now()
WHERE id = %(id)s AND attempt = %(attempt)s AND run_id IS NOT DISTINCT FROM %(run_id)s
  AND state IN ('approved', 'running')
"""
_STARTED = """
SELECT id, attempt, run_key, run_id, state, requested_by FROM "CORE"."CORE_RECON_REQUEST"
WHERE state IN ('approved', 'running') ORDER BY id
"""


@dataclass(frozen=True)
class Plan:
    """What a run of the request posts, and what it leaves out."""

    keys: tuple[str, ...]
    excluded: list[Excluded] = field(default_factory=list)


@dataclass(frozen=True)
class Started:
    """A request that waits for its run or is in it."""

    id: int
    attempt: int
    run_key: str
    run_id: str | None
    state: str
    who: str
    """Who asked for it."""


def begin(connection: Connection[Any], request: int, run_id: str, four_eyes: bool = False) -> Plan:
    """Take an approved request for this run, and judge its payments again.

    Raises:
        UnknownRequest, NotOpen: it is not approved, with `four_eyes` not by another person, or
            another run has taken it.
    """
    with connection.transaction():
        facts = {"id": request, "run_id": run_id, "four_eyes": four_eyes}
        if not connection.execute(_BEGIN, facts).rowcount:
            now = get(connection, request)
            if now.state == "approved":
                raise NotOpen(f"nobody but {now.requested_by} approved request {request}")
            run = f" by run {now.run_id}" if now.run_id else ""
            raise NotOpen(f"request {request} is {now.state.replace('_', ' ')}{run}, not approved")
        connection.execute(_JUDGE, {"own_request": request})
    keys = tuple(key for (key,) in connection.execute(_TO_POST, (request,)))
    return Plan(keys, get(connection, request).excluded)


def not_posted(connection: Connection[Any], request: int, plan: Plan) -> str | None:
    """What the run of this plan has left for another run, and why; None where it left nothing."""
    rows = connection.execute(_NOT_POSTED, {"own_request": request}).fetchall()
    if not rows:
        return None
    left = sum(payments for _, payments in rows)
    why = "; ".join(reason for reason, _ in rows[:REASONS_SHOWN])
    return f"{left} of {len(plan.keys)} not posted yet: {why}; start it again"


def end(
    connection: Connection[Any], request: int, run_id: str, result: dict[str, Any], *, failed: bool
) -> bool:
    """Record what came of the run; False where the request is not this run's any more."""
    return _close(
        connection,
        _END,
        request,
        {"state": "failed" if failed else "done", "run_id": run_id},
        result,
    )


def abandon(connection: Connection[Any], started: Started, why: str) -> bool:
    """Mark a request failed whose run is gone, so that it can be started again."""
    facts = {"attempt": started.attempt, "run_id": started.run_id}
    return _close(connection, _ABANDON, started.id, facts, {"stopped": why})


def started(connection: Connection[Any]) -> list[Started]:
    """The requests that wait for their run or are in it, the oldest first."""
    return [Started(*row) for row in connection.execute(_STARTED)]


def _close(
    connection: Connection[Any],
    update: str,
    request: int,
    facts: dict[str, Any],
    result: dict[str, Any],
) -> bool:
    told = Jsonb(result, dumps=partial(json.dumps, default=str))
    with connection.transaction():
        if not connection.execute(update, {"id": request, "result": told, **facts}).rowcount:
            return False
        connection.execute(_JUDGE_THE_REST, {"own_request": request})
        set_items_open(connection, request, False)
        audit.record(
            connection, "reconcile_repayments", "recon.end", f"request {request}", **result
        )
    return True
