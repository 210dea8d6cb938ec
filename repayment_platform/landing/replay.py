"""Landed files read once more, after the mapping of their columns was corrected.

What belongs here: reading the cells that RAW and the quarantine keep, file by file. What does
not: what changes by it (`changes`), webhooks (`webhook_replay`), the mapping (`sources`).

Only what reads differently lands, naming the row it replaces, so a second replay lands nothing
and no payment gets a second key. A quarantined row that can be read lands as the row of its
file that it is. A landed row that could not be read any more is left as it stands, and told of.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection, sql

from repayment_platform.landing import changes
from repayment_platform.landing.changes import ARRIVED, Changes
from repayment_platform.landing.quarantine import drop_shared_references
from repayment_platform.landing.webhook_replay import replay_webhooks
from repayment_platform.sources.headers import Header, find_header
from repayment_platform.sources.refusals import FileReason, FileRefused, RowReason
from repayment_platform.sources.registry import Kind, Source, source_named
from repayment_platform.sources.rows import Payment, RowReader

CHUNK_ROWS = 5000

_FILES = """
SELECT f.id FROM "CORE"."CORE_FILE_LOG" f
WHERE f.raw_table = %(table)s AND f.status = 'landed' AND %(file_id)s IN (0, f.id)
    AND NOT EXISTS (SELECT FROM "CORE"."CORE_FILE_LOG" later
                    WHERE later.supersedes = f.id AND later.status = 'landed')
ORDER BY f.id
"""
_ORIGINALS = """
SELECT first_id, file_id, row_number, cells::text FROM standing WHERE outcome <> 'withdrawn'
UNION ALL
SELECT null, file_id, row_number, cells::text FROM "CORE"."CORE_QUARANTINE"
WHERE file_id = %s AND cells IS NOT NULL AND replayed_at IS NULL
"""
_COPY = sql.SQL("COPY {} (replaces_id, file_id, row_number, cells, {}) FROM STDIN").format(
    ARRIVED, sql.SQL(", ").join(map(sql.Identifier, Payment._fields))
)
_PAIR = "INSERT INTO pairs SELECT replaces_id, id FROM arrived WHERE replaces_id IS NOT NULL"
_RELEASE = """
WITH released AS (
    UPDATE "CORE"."CORE_QUARANTINE" q SET replayed_at = now(), replayed_as = r.id
    FROM {raw} r
    WHERE q.file_id = {file_id} AND q.replayed_at IS NULL
        AND r.file_id = q.file_id AND r.row_number = q.row_number AND r.replaces_id IS NULL
    RETURNING q.id
)
UPDATE "CORE"."CORE_FILE_LOG" f
SET rows_landed = rows_landed + n, rows_quarantined = rows_quarantined - n
FROM (SELECT count(*) AS n FROM released) counted
WHERE f.id = {file_id}
"""
# Where the mapping lies in dbt (the loan's spelling), the row says the same and means another.
_REFOLD = """
INSERT INTO "CORE"."CORE_REFOLD" (source_key, reason)
SELECT DISTINCT k.source_key, 'replayed'
FROM standing s JOIN "CORE"."CORE_PAYMENT_KEY" k ON k.raw_id = s.first_id
ON CONFLICT (source_key) DO UPDATE SET batch = 0, reason = EXCLUDED.reason
"""


class CannotReplay(ValueError):
    """There is nothing of that name to replay; the message says why."""


@dataclass(frozen=True)
class ReplayResult:
    """What a replay did; in a preview, what it would have done."""

    raw_table: str
    rows_read: int = 0
    """Originals read again: rows in force, and quarantined ones."""
    changes: Changes = field(default_factory=Changes)
    """`added` are rows that leave the quarantine; nothing is ever withdrawn."""
    left: dict[str, int] = field(default_factory=dict)
    """Landed rows that could not be read any more and stay as they are, by reason code."""
    still_quarantined: int = 0
    preview: bool = False


class Original(NamedTuple):
    """A row as it was sent; `first_id` is the row of RAW that it replaces, None if quarantined."""

    first_id: int | None
    file_id: int
    row_number: int
    cells: str


def replay(
    conninfo: str,
    source_id: str,
    *,
    file_id: int | None = None,
    preview: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ReplayResult:
    """Read again what landed from a source, or from one of its files; each file in one
    transaction. With `preview` the same is done and undone. `progress` is told files done and
    files in all.

    Raises:
        UnknownSource: no such source.
        CannotReplay: the file is not one of this source that is in force.
        psycopg.Error: the database is away; files replayed before stay so.
    """
    source = source_named(source_id)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        if source.kind is not Kind.FILE:
            if file_id is not None:
                raise CannotReplay(f"{source.table} is filled by webhooks and has no files")
            with connection.transaction(force_rollback=preview):
                read, landed, left = replay_webhooks(connection, source)
            told = Changes(added=landed)
            return ReplayResult(source.table, read, told, {}, left, preview)
        names = {"table": source.table, "file_id": file_id or 0}
        files = [row[0] for row in connection.execute(_FILES, names)]
        if file_id is not None and not files:
            raise CannotReplay(
                f"{file_id} is not a file of {source.table} that landed and is not superseded"
            )
        result = ReplayResult(source.table, preview=preview)
        for done, each in enumerate(files):
            if progress:
                progress(done, len(files))
            with connection.transaction(force_rollback=preview):
                result = _sum(result, _replay_file(connection, source, each))
        return result


def _replay_file(connection: Connection[Any], source: Source, file_id: int) -> ReplayResult:
    changes.prepare(connection, source)
    # No correction lands from here on. One that has since the files were listed may have taken this
    # file's place; read again now, these rows would come after those that correct them.
    names = {"table": source.table, "file_id": file_id}
    if connection.execute(_FILES, names).fetchone() is None:
        return ReplayResult(source.table)
    changes.load_standing(connection, source, file_id)
    read, left, still = 0, Counter[str](), 0
    file_ids: set[int] = set()
    with connection.cursor(name="originals") as cursor:
        cursor.execute(_ORIGINALS, (file_id,))
        while originals := [Original(*row) for row in cursor.fetchmany(CHUNK_ROWS)]:
            read += len(originals)
            file_ids.update(original.file_id for original in originals)
            refused = _read_again(connection, source, originals)
            left.update(code for original, code in refused if original.first_id is not None)
            still += sum(original.first_id is None for original, _ in refused)
    dropped = drop_shared_references(connection, source, sorted(file_ids), ARRIVED)
    still += dropped.count(None)
    left[RowReason.REFERENCE_NOT_UNIQUE.value] += len(dropped) - dropped.count(None)
    connection.execute(_PAIR)
    connection.execute("ANALYZE arrived; ANALYZE pairs")
    found = changes.append_changes(connection, source)
    release = {"raw": sql.Identifier("RAW", source.table), "file_id": sql.Literal(file_id)}
    connection.execute(sql.SQL(_RELEASE).format(**release))
    connection.execute(_REFOLD)
    return ReplayResult(source.table, read, found, dict(+left), still)


def _read_again(
    connection: Connection[Any], source: Source, originals: Sequence[Original]
) -> list[tuple[Original, str]]:
    """Store in `arrived` what can be read; returns what cannot, with the reason code."""
    refused: list[tuple[Original, str]] = []
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for names, group in _by_header(originals):
            rows = [original for original, _ in group]
            header = _header(source, names)
            if isinstance(header, FileReason):
                refused += [(original, header.value) for original in rows]
                continue
            reader = RowReader(source, header.layout, header.fields)
            payments, faults, *_ = reader.read([cells for _, cells in group])
            refused += [(rows[index], fault.code.value) for index, fault in faults.items()]
            for index, (original, payment) in enumerate(zip(rows, payments, strict=True)):
                if index not in faults:
                    copy.write_row((*original, *payment))
    return refused


def _by_header(
    originals: Sequence[Original],
) -> Iterator[tuple[tuple[str, ...], list[tuple[Original, list[str]]]]]:
    """Originals in runs of the same columns, with their cells."""
    parsed = ((original, json.loads(original.cells)) for original in originals)
    for names, run in groupby(parsed, key=lambda pair: tuple(pair[1])):
        yield names, [(original, list(cells.values())) for original, cells in run]


def _header(source: Source, names: Sequence[str]) -> Header | FileReason:
    """The header that stood over these columns; the line above it, if any, had its say then."""
    layouts = [replace(layout, section="") for layout in source.layouts]
    try:
        found = find_header([names], layouts)
    except FileRefused as refusal:
        return refusal.code
    return found if isinstance(found, Header) else FileReason.MISSING_HEADER_COLUMN


def _sum(one: ReplayResult, other: ReplayResult) -> ReplayResult:
    return replace(
        one,
        rows_read=one.rows_read + other.rows_read,
        changes=one.changes + other.changes,
        left=dict(Counter(one.left) + Counter(other.left)),
        still_quarantined=one.still_quarantined + other.still_quarantined,
    )
