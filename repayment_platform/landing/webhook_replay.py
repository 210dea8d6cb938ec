"""Landed webhooks read once more, after our reading of them was corrected.

What belongs here: bodies that were no JSON to us, and asking CORE to look at a source again.
What does not: files (`replay`), and the meaning of a payload, which dbt reads anew at each run.

A payload is the body as JSON and nothing more, so it can only differ where there was none. What
a corrected model makes of the others reaches CORE by computing their payments again: keys that
are given stay, provisional ones are decided anew.
"""

from typing import Any

from psycopg import Connection, sql

from repayment_platform.landing.webhooks import UNSTORABLE, read_delivery
from repayment_platform.sources.registry import Source
from repayment_platform.warehouse.advisory import alone_with

_UNREAD = """
SELECT id, event_id, body, headers, signed_by FROM {raw} r
WHERE payload IS NULL AND replaces_id IS NULL
    AND NOT EXISTS (SELECT FROM {raw} later WHERE later.replaces_id = r.id)
ORDER BY id
"""
_LAND = """
INSERT INTO {raw} (event_id, event_type, body, payload, headers, signed_by, replaces_id)
SELECT event_id, %(event_type)s, body, %(payload)s::jsonb, headers, signed_by, id
FROM {raw} WHERE id = %(id)s
RETURNING id
"""
_RELEASE = """
UPDATE "CORE"."CORE_QUARANTINE" SET replayed_at = now(), replayed_as = %s
WHERE raw_table = %s AND event_id = %s AND replayed_at IS NULL
"""
_KEY_WHAT_WAS_PASSED_OVER = 'UPDATE "CORE"."CORE_RAW_CUT" SET keyed_to = 0 WHERE raw_table = %s'
_REFOLD = """
INSERT INTO "CORE"."CORE_REFOLD" (source_key, reason)
SELECT DISTINCT source_key, 'replayed' FROM "CORE"."CORE_PAYMENT_KEY" WHERE raw_table = %s
ON CONFLICT (source_key) DO UPDATE SET batch = 0, reason = EXCLUDED.reason
"""


def replay_webhooks(connection: Connection[Any], source: Source) -> tuple[int, int, int]:
    """Read again, in one transaction, the bodies that have no payload.

    Returns how many were read, how many landed, how many are still no JSON.
    """
    raw = sql.Identifier("RAW", source.table)
    alone_with(connection, source.table)
    unread = connection.execute(sql.SQL(_UNREAD).format(raw=raw)).fetchall()
    landed = sum(_replay_one(connection, source, raw, row) for row in unread)
    connection.execute(_KEY_WHAT_WAS_PASSED_OVER, (source.table,))
    connection.execute(_REFOLD, (source.table,))
    return len(unread), landed, len(unread) - landed


def _replay_one(
    connection: Connection[Any], source: Source, raw: sql.Identifier, row: tuple[Any, ...]
) -> bool:
    raw_id, event_id, body, headers, signed_by = row
    delivery = read_delivery(source.kind, headers, body, signed_by=signed_by)
    if delivery.fault:
        return False
    values = {"id": raw_id, "event_type": delivery.event_type, "payload": body.decode()}
    try:
        with connection.transaction():
            new = connection.execute(sql.SQL(_LAND).format(raw=raw), values).fetchone()
    except UNSTORABLE:
        return False
    connection.execute(_RELEASE, (new and new[0], source.table, event_id))
    return True
