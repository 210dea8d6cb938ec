"""CORE_FILE_LOG: what became of every file that arrived, whoever brought it.

What belongs here: writing a file's entry and its changes of status. What does not: reading
the file (`sources`), landing its rows (`files`).

An entry is committed as `landing` before any row is read, so that the file shows while it
lands. The landing transaction begins by calling it `landed`: the unique index on source and
bytes lets one such transaction through and makes the same bytes wait for it, so a file that
two processes bring at once lands once. A process that dies leaves its entry `landing` and
unlocked, which is how `close_interrupted` knows it.
"""

from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from repayment_platform.landing.results import Arrival, Counts

BYTES_INDEX = "core_file_log_bytes"
"""The index whose violation says that these bytes have landed before."""

_REGISTER = """
INSERT INTO "CORE"."CORE_FILE_LOG"
    (raw_table, source_lender, name, sha256, size_bytes, status, received_by)
VALUES (%s, %s, %s, %s, %s, 'landing', %s)
RETURNING id
"""
_CLAIM = """UPDATE "CORE"."CORE_FILE_LOG" SET status = 'landed', error = NULL WHERE id = %s"""
# The same bytes may land again in the place of what took their place.
_RESTORE = """
WITH RECURSIVE lineage AS (
    SELECT supersedes FROM "CORE"."CORE_FILE_LOG" WHERE id = %(supersedes)s
    UNION ALL
    SELECT earlier.supersedes
    FROM lineage JOIN "CORE"."CORE_FILE_LOG" earlier ON earlier.id = lineage.supersedes
)
UPDATE "CORE"."CORE_FILE_LOG" earlier SET restored_by = own.id
FROM "CORE"."CORE_FILE_LOG" own
WHERE own.id = %(file_id)s AND earlier.id IN (SELECT supersedes FROM lineage)
    AND earlier.sha256 = own.sha256 AND earlier.restored_by IS NULL
"""
_DESCRIBE = """
UPDATE "CORE"."CORE_FILE_LOG"
SET encoding = %s, delimiter = %s, layout = %s, rows_read = %s, rows_landed = %s,
    rows_quarantined = %s, rows_duplicate = %s, rows_withdrawn = %s, control_totals = %s,
    seconds = %s
WHERE id = %s
"""
_FAIL = """
UPDATE "CORE"."CORE_FILE_LOG" SET status = 'failed', error = %s, seconds = %s WHERE id = %s
"""
_DUPLICATE = """
UPDATE "CORE"."CORE_FILE_LOG" d
SET status = 'duplicate', error = NULL, duplicate_of = f.id, rows_read = f.rows_read,
    rows_duplicate = f.rows_read, seconds = %s
FROM "CORE"."CORE_FILE_LOG" f
WHERE d.id = %s AND f.raw_table = d.raw_table AND f.sha256 = d.sha256 AND f.status = 'landed'
    AND f.restored_by IS NULL
RETURNING f.id, f.rows_read
"""
_CLOSE_INTERRUPTED = """
UPDATE "CORE"."CORE_FILE_LOG"
SET status = 'failed', error = 'INTERRUPTED: the process that landed it ended; send it again'
WHERE id IN (
    SELECT id FROM "CORE"."CORE_FILE_LOG" WHERE status = 'landing' FOR UPDATE SKIP LOCKED
)
"""


def register(connection: Connection[Any], arrival: Arrival) -> int:
    """Enter the file as `landing`; returns the id of its entry."""
    source, seen = arrival.source, arrival.seen
    row = connection.execute(
        _REGISTER,
        (
            source.table if source else None,
            source.lender if source else None,
            arrival.name,
            seen.sha256 if seen else None,
            seen.size_bytes if seen else None,
            arrival.received_by,
        ),
    ).fetchone()
    return int(row[0])  # type: ignore[index]  # RETURNING gives a row


def claim(connection: Connection[Any], file_id: int, supersedes: int | None = None) -> None:
    """Begin the landing transaction; waits for the same bytes in another one. With `supersedes`
    an earlier version of that file may be landed once more.

    Raises:
        psycopg.errors.UniqueViolation: on `BYTES_INDEX`, when these bytes have landed.
    """
    if supersedes is not None:
        connection.execute(_RESTORE, {"file_id": file_id, "supersedes": supersedes})
    connection.execute(_CLAIM, (file_id,))


def describe(connection: Connection[Any], file_id: int, counts: Counts, seconds: float) -> None:
    """Last statement of the landing transaction: what was in the file."""
    connection.execute(
        _DESCRIBE,
        (
            counts.encoding,
            counts.delimiter,
            counts.layout,
            counts.rows_read,
            counts.rows_landed,
            counts.rows_quarantined,
            counts.rows_duplicate,
            counts.rows_withdrawn,
            Jsonb(counts.control_totals),
            round(seconds, 3),
            file_id,
        ),
    )


def fail(connection: Connection[Any], file_id: int, error: str, seconds: float) -> None:
    connection.execute(_FAIL, (error.replace("\0", ""), round(seconds, 3), file_id))


def mark_duplicate(connection: Connection[Any], file_id: int, seconds: float) -> tuple[int, int]:
    """Returns the id of the file whose bytes these are, and the rows in it."""
    row = connection.execute(_DUPLICATE, (round(seconds, 3), file_id)).fetchone()
    assert row is not None  # noqa: S101 - the unique index has just said that it is there
    return row[0], row[1]


def close_interrupted(connection: Connection[Any]) -> int:
    """Mark failed what dead processes left as `landing`; returns how many.

    A living one that has not come to `claim` yet may be hit; its own later word overrides it.
    """
    return connection.execute(_CLOSE_INTERRUPTED).rowcount
