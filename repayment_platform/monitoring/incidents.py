"""Incidents: each trouble from when it was first found to when it was found no more.

What belongs here: opening, resolving, and telling each address once of each, and again when it has
grown. What does not:
finding trouble (`findings`), the way to an address (`channels`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from repayment_platform.monitoring.findings import Finding
from repayment_platform.warehouse.advisory import take

Send = Callable[[str, str], bool]
"""Sends a title and a text; whether it arrived."""

WAIT_SECONDS = 20.0
_LOCK = int.from_bytes(b"incident")
_OPEN = """
INSERT INTO "CORE"."CORE_INCIDENT" AS known (kind, subject, detail, newest) VALUES (%s, %s, %s, %s)
ON CONFLICT (kind, subject) WHERE resolved_at IS NULL DO UPDATE
SET detail = EXCLUDED.detail, newest = EXCLUDED.newest,
    told_to = CASE WHEN EXCLUDED.newest > known.newest THEN '{}' ELSE known.told_to END
"""
_RESOLVE = """
UPDATE "CORE"."CORE_INCIDENT" SET resolved_at = now()
WHERE resolved_at IS NULL
  AND NOT EXISTS (
      SELECT FROM unnest(%s::text[], %s::text[]) AS found (kind, subject)
      WHERE (found.kind, found.subject) = ("CORE_INCIDENT".kind, "CORE_INCIDENT".subject)
  )
"""
_UNTOLD = """
SELECT id, kind, subject, detail, resolved_at IS NOT NULL AS resolved
FROM "CORE"."CORE_INCIDENT"
WHERE (resolved_at IS NULL AND NOT %(channel)s = ANY(told_to))
   OR (resolved_at > now() - interval '1 day'
       AND %(channel)s = ANY(told_to) AND NOT %(channel)s = ANY(told_resolved_to))
ORDER BY id
"""
_TOLD = """
UPDATE "CORE"."CORE_INCIDENT"
SET told_to = CASE WHEN id = ANY(%(new)s) THEN told_to || %(channel)s::text ELSE told_to END,
    told_resolved_to = CASE
        WHEN id = ANY(%(over)s) THEN told_resolved_to || %(channel)s::text ELSE told_resolved_to
    END
WHERE id = ANY(%(new)s) OR id = ANY(%(over)s)
"""


@dataclass(frozen=True)
class Told:
    """What one round told, by number of messages; `failed` names the addresses not reached."""

    sent: int
    failed: tuple[str, ...]


def keep(
    connection: psycopg.Connection[Any], findings: Sequence[Finding], channels: Mapping[str, Send]
) -> Told:
    """Open what is found for the first time, resolve what is found no more, tell every address.

    An address that cannot be reached is told in a later round. Only one process does this at a
    time, so two daemons do not tell twice. `connection` is in autocommit mode.
    """
    with connection.transaction():
        take(connection, _LOCK, "telling of incidents", WAIT_SECONDS, in_transaction=True)
        for found in findings:
            connection.execute(_OPEN, (found.kind, found.subject, found.detail, found.newest))
        names = [f.kind for f in findings], [f.subject for f in findings]
        connection.execute(_RESOLVE, names)
        sent, failed = 0, []
        for channel, send in channels.items():
            arrived = _tell(connection, channel, send)
            sent += arrived is True
            if arrived is False:
                failed.append(channel)
    return Told(sent, tuple(failed))


def _tell(connection: psycopg.Connection[Any], channel: str, send: Send) -> bool | None:
    """Tell one address all it does not know yet, in one message; None when it knows all."""
    rows = connection.execute(_UNTOLD, {"channel": channel}).fetchall()
    if not rows:
        return None
    new = [id_ for id_, *_, resolved in rows if not resolved]
    over = [id_ for id_, *_, resolved in rows if resolved]
    counts = [f"{len(ids)} {word}" for ids, word in ((new, "new"), (over, "over")) if ids]
    lines = [
        f"{'Over' if resolved else 'New'}: {kind.replace('_', ' ')}, {subject}: {detail}"
        for _, kind, subject, detail, resolved in rows
    ]
    if not send(f"Repayments: {', '.join(counts)}", "\n".join(lines)):
        return False
    connection.execute(_TOLD, {"channel": channel, "new": new, "over": over})
    return True
