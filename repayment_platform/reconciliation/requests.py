"""Requests to post recon payments: made, approved or refused, started again.

What belongs here: the states of a request up to its run, and reading one. What does not: what a
run does with it (`running`), who has which role (`web`).

Every change is one UPDATE that names the state it starts from, so a double click, a second tab or
a stale form changes nothing twice. Every change writes an audit row in the same transaction.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from psycopg import Connection, errors
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from repayment_platform.reconciliation.preview import Excluded, NotBuilt, judged
from repayment_platform.reconciliation.selection import Selection
from repayment_platform.warehouse import audit


class SelectionChanged(Exception):
    """The payments are not those of the preview any more: look again."""


class NothingToReconcile(Exception):
    """Nothing of the selection can be posted."""


class NotAllowed(Exception):
    """Another person must do this."""


class NotOpen(Exception):
    """The request is not in a state for this; somebody else was faster, perhaps."""


class UnknownRequest(LookupError):
    """There is no such request."""


@dataclass(frozen=True)
class Request:
    """A request and what has become of its payments. Rupees."""

    id: int
    state: str
    requested_by: str
    requested_at: datetime
    why: str
    selection: dict[str, Any]
    digest: str
    payments: int
    rupees: Decimal
    decided_by: str | None
    decided_why: str | None
    decided_at: datetime | None
    attempt: int
    run_key: str | None
    run_id: str | None
    finished_at: datetime | None
    result: dict[str, Any] | None
    """What the last attempt did, once it has ended."""
    counts: dict[str, int] = field(default_factory=dict)
    """Its payments by the state they are in now, in the words of posting."""
    excluded: list[Excluded] = field(default_factory=list)
    """What its last attempt left out, and why."""


# One statement, so that what is frozen is what was judged. The digest decides.
_CREATE = """
, request AS (
    INSERT INTO "CORE"."CORE_RECON_REQUEST" (requested_by, why, selection, digest, payments,
                                             rupees, state, attempt)
    SELECT %(who)s, %(why)s, %(as_json)s, digest, payments, rupees, %(state)s, %(attempt)s
    FROM total WHERE payments > 0 AND digest = %(digest)s
    RETURNING id
), items AS (
    INSERT INTO "CORE"."CORE_RECON_REQUEST_ITEM" (request_id, source_key, source_lender,
                                                  loan_external_id, payment_date, amount)
    SELECT request.id, source_key, source_lender, loan_external_id, payment_date, amount
    FROM judged, request WHERE reason IS NULL ORDER BY source_key
)
SELECT total.payments, total.rupees, request.id FROM total LEFT JOIN request ON true
"""
_NAME_RUN = """
UPDATE "CORE"."CORE_RECON_REQUEST" SET run_key = 'recon-' || id || '-' || attempt
WHERE id = %s AND state = 'approved'
"""
_APPROVE = """
UPDATE "CORE"."CORE_RECON_REQUEST"
SET state = 'approved', attempt = attempt + 1, decided_by = %(who)s, decided_why = %(why)s,
    decided_at = now()
WHERE id = %(id)s AND state = 'awaiting_approval' AND lower(requested_by) <> lower(%(who)s)
"""
_REFUSE = """
UPDATE "CORE"."CORE_RECON_REQUEST"
SET state = 'refused', decided_by = %(who)s, decided_why = %(why)s, decided_at = now(),
    finished_at = now()
WHERE id = %(id)s AND state = 'awaiting_approval' AND lower(requested_by) <> lower(%(who)s)
"""
# With four eyes on, what nobody approved while they were off awaits approval first.
_START_AGAIN = """
UPDATE "CORE"."CORE_RECON_REQUEST"
SET state = CASE WHEN decided_by IS NULL AND %(four_eyes)s THEN 'awaiting_approval'
                 ELSE 'approved' END,
    attempt = attempt + (decided_by IS NOT NULL OR NOT %(four_eyes)s)::integer,
    run_id = NULL, finished_at = NULL
WHERE id = %(id)s AND state = 'failed'
"""
_ITEMS_OPEN = """
UPDATE "CORE"."CORE_RECON_REQUEST_ITEM" SET open = %s WHERE request_id = %s AND open <> %s
"""
_GET = """
SELECT id, state, requested_by, requested_at, why, selection, digest, payments, rupees,
       decided_by, decided_why, decided_at, attempt, run_key, run_id, finished_at, result
FROM "CORE"."CORE_RECON_REQUEST" WHERE id = %s
"""
_COUNTS = """
SELECT coalesce(p.status, w.state, 'waiting'), count(*)::integer
FROM "CORE"."CORE_RECON_REQUEST_ITEM" i
LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
    ON p.source_key = i.source_key AND p.status <> 'failed'
LEFT JOIN "CORE"."CORE_OPEN_WORK" w ON w.source_key = i.source_key
WHERE i.request_id = %s GROUP BY 1 ORDER BY 1
"""
_EXCLUDED = """
SELECT excluded, count(*)::integer, sum(amount) FROM "CORE"."CORE_RECON_REQUEST_ITEM"
WHERE request_id = %s AND excluded IS NOT NULL GROUP BY 1 ORDER BY 1
"""
_KEYS = """
SELECT source_key FROM "CORE"."CORE_RECON_REQUEST_ITEM" WHERE request_id = %s ORDER BY source_key
"""


def create(
    connection: Connection[Any],
    selection: Selection,
    digest: str,
    who: str,
    why: str,
    four_eyes: bool,
) -> int:
    """Freeze what the preview with this digest showed; returns the request's number.

    It is approved at once, unless `four_eyes` asks for another person.

    Raises:
        BadSelection, NotBuilt: as for the preview.
        SelectionChanged: it would be another set of payments, or other facts of them, now.
        NothingToReconcile: none of the payments can be posted.
    """
    selection.validate()
    statement, parameters = judged(selection, _CREATE)
    parameters |= {
        "who": who,
        "why": why,
        "digest": digest,
        "as_json": Jsonb(selection.as_json(), dumps=partial(json.dumps, default=str)),
        "state": "awaiting_approval" if four_eyes else "approved",
        "attempt": 0 if four_eyes else 1,
    }
    try:
        with connection.transaction():
            row = connection.execute(statement, parameters).fetchone()
            payments, rupees, request = row or (0, Decimal(0), None)
            if request is not None:
                connection.execute(_NAME_RUN, (request,))
                facts = {"why": why, "payments": payments, "rupees": rupees, "digest": digest}
                audit.record(connection, who, "recon.request", f"request {request}", **facts)
    except errors.UniqueViolation:
        raise SelectionChanged(
            "another request took some of these payments just now: look at the preview again"
        ) from None
    except errors.UndefinedTable:
        raise NotBuilt("CORE is not built yet: run dbt first") from None
    if not payments:
        raise NothingToReconcile("none of the selected payments can be posted")
    if request is None:
        raise SelectionChanged(
            f"the selection changed since its preview: {payments} payments of {rupees} rupees now"
        )
    return int(request)


def approve(connection: Connection[Any], request: int, who: str, why: str) -> None:
    """Let it be posted.

    Raises:
        UnknownRequest, NotOpen: there is none awaiting approval.
        NotAllowed: it is `who`'s own.
    """
    with connection.transaction():
        _move(connection, _APPROVE, request, who, "recon.approve", why=why)
        connection.execute(_NAME_RUN, (request,))


def refuse(connection: Connection[Any], request: int, who: str, why: str) -> None:
    """Let it not be posted; its payments are free for other requests. Raises as `approve`."""
    with connection.transaction():
        _move(connection, _REFUSE, request, who, "recon.refuse", why=why)
        set_items_open(connection, request, False)


def start_again(
    connection: Connection[Any], request: int, who: str, four_eyes: bool = False
) -> None:
    """Let a failed request run once more, with the payments and facts that were approved; with
    `four_eyes` one that nobody has approved awaits approval first.

    Raises:
        UnknownRequest, NotOpen: it has not failed, or another request has its payments by now.
    """
    try:
        with connection.transaction():
            facts = {"four_eyes": four_eyes}
            _move(connection, _START_AGAIN, request, who, "recon.start_again", **facts)
            connection.execute(_NAME_RUN, (request,))
            set_items_open(connection, request, True)
    except errors.UniqueViolation:
        raise NotOpen(f"payments of request {request} are in another open request") from None


def get(connection: Connection[Any], request: int) -> Request:
    """The request as it stands.

    Raises:
        UnknownRequest: there is none of that number.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_GET, (request,)).fetchone()
    if row is None:
        raise UnknownRequest(f"there is no request {request}")
    counts: dict[str, int] = dict(connection.execute(_COUNTS, (request,)).fetchall())
    excluded = [Excluded(*line) for line in connection.execute(_EXCLUDED, (request,))]
    return Request(**row, counts=counts, excluded=excluded)


def keys(connection: Connection[Any], request: int) -> tuple[str, ...]:
    """The payments that were asked for."""
    return tuple(key for (key,) in connection.execute(_KEYS, (request,)))


def set_items_open(connection: Connection[Any], request: int, is_open: bool) -> None:
    """Keep the payments of a request to it, or leave them to others."""
    connection.execute(_ITEMS_OPEN, (is_open, request, is_open))


def _move(
    connection: Connection[Any], update: str, request: int, who: str, action: str, **detail: Any
) -> None:
    """Change the state and say so in the audit log; raise what explains why it did not change."""
    if connection.execute(update, {"id": request, "who": who, **detail}).rowcount:
        audit.record(connection, who, action, f"request {request}", **detail)
        return
    now = get(connection, request)
    if now.state == "awaiting_approval" and update != _START_AGAIN:
        raise NotAllowed(f"request {request} is your own: another person must decide on it")
    by = f" by {now.decided_by}" if now.decided_by else ""
    raise NotOpen(f"request {request} is {now.state.replace('_', ' ')}{by}")
