"""Log-ins that last: CORE_SESSION.

What belongs here: opening, finding and ending sessions. What does not: cookies and pages
(`auth`), passwords (`users`).

The browser holds a random token, the database its hash. A session ends after `IDLE` without a
request, after `LONGEST` in any case, and with its user.
"""

import hashlib
import secrets
from datetime import timedelta
from typing import Any

from psycopg import Connection

from repayment_platform.web.operations.users import Role, User

COOKIE = "operations_session"
"""Holds the token in the browser; of every port of the host, so Dagster's door knows it too."""
IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=12)

_OPEN = 'INSERT INTO "CORE"."CORE_SESSION" (token_hash, user_name) VALUES (%s, %s)'
_END = 'DELETE FROM "CORE"."CORE_SESSION" WHERE token_hash = %s'
_END_OLD = """
DELETE FROM "CORE"."CORE_SESSION" WHERE created_at < now() - %s OR last_seen_at < now() - %s
"""
_FIND = """
SELECT u.name, u.role, u.active, u.must_change_password, s.last_seen_at < now() - interval '1 min'
FROM "CORE"."CORE_SESSION" s JOIN "CORE"."CORE_USER" u ON u.name = s.user_name
WHERE s.token_hash = %s AND u.active
  AND s.created_at >= now() - %s AND s.last_seen_at >= now() - %s
"""
_SEEN = 'UPDATE "CORE"."CORE_SESSION" SET last_seen_at = now() WHERE token_hash = %s'


def start(connection: Connection[Any], name: str) -> str:
    """Open a session for a user who has proven to be one; returns its token."""
    token = secrets.token_urlsafe(32)
    connection.execute(_END_OLD, (LONGEST, IDLE))
    connection.execute(_OPEN, (_hash(token), name))
    return token


def find(connection: Connection[Any], token: str) -> User | None:
    """The user of a session that stands; noted as seen, once a minute at most."""
    row = connection.execute(_FIND, (_hash(token), LONGEST, IDLE)).fetchone()
    if row is None:
        return None
    name, role, active, must_change, stale = row
    if stale:
        connection.execute(_SEEN, (_hash(token),))
    return User(name, Role[role.upper()], active, must_change)


def end(connection: Connection[Any], token: str) -> None:
    connection.execute(_END, (_hash(token),))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
