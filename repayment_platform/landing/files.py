"""How a payment file reaches its RAW table: all of it in one transaction, or nothing.

What belongs here: the order of the steps, and COPY into RAW. What does not: reading the file,
which a process of its own does (`reading`), the entry in the processing log (`file_log`), folders
(`inbox`).
"""

import json
import logging
import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection, sql

from repayment_platform.landing import file_log
from repayment_platform.landing.changes import ARRIVED, Changes
from repayment_platform.landing.copy_text import COLUMNS, LANDED, REFUSED
from repayment_platform.landing.quarantine import examples, move_shared_references, reasons
from repayment_platform.landing.reader import Frame
from repayment_platform.landing.reading import Limits, reading
from repayment_platform.landing.results import Arrival, Counts, FileResult, FileStatus
from repayment_platform.landing.superseding import (
    begin_superseding,
    check_nothing_missing,
    supersede,
)
from repayment_platform.sources.encodings import Fingerprint, fingerprint
from repayment_platform.sources.refusals import FileReason, FileRefused
from repayment_platform.sources.registry import Kind, Source, UnknownSource, source_named

Progress = Callable[[int, int], None]
"""Called after each batch with the bytes read so far and the bytes of the file."""

REFUSED_BYTES = 8 << 20
"""Lines for the quarantine that wait for the COPY of rows to end."""
ANALYZE_FROM = 20_000
"""Rows of a file after which the planner is told: CORE reads them before autovacuum comes by."""
_INCOMING = 'CREATE TEMP TABLE incoming (LIKE "RAW"."_FILE" INCLUDING DEFAULTS) ON COMMIT DROP'
_KEEP = f"INSERT INTO {{raw}} (id, {COLUMNS}) SELECT id, {COLUMNS} FROM incoming ORDER BY id"  # noqa: S608
log = logging.getLogger(__name__)


def ingest_file(
    conninfo: str,
    path: str | os.PathLike[str],
    source_id: str,
    *,
    received_by: str,
    supersedes: int | None = None,
    withdraw_missing: bool = False,
    preview: bool = False,
    progress: Progress | None = None,
    limits: Limits | None = None,
) -> FileResult:
    """Land a file in the RAW table of its source and enter it in the processing log.

    A file that cannot be taken is entered as failed with the reason, the same bytes again as
    a duplicate; neither lands a row. With `supersedes`, the id of the file that this one
    corrects, only what differs from it lands, and what the result's `changes` tell; if rows of it
    are missing while others cannot be read, only with `withdraw_missing`. With `preview` the same
    is done and then undone.

    Raises:
        psycopg.Error: the database is away or refuses; nothing has landed.
    """
    file = Path(path)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        undone: AbstractContextManager[Any] = nullcontext()
        if preview:
            undone = connection.transaction(force_rollback=True)
        with undone:
            quiet: Progress = lambda *_: None  # noqa: E731
            may_withdraw = withdraw_missing or preview
            landing = _Landing(
                connection,
                file,
                received_by,
                supersedes,
                may_withdraw,
                progress or quiet,
                limits or Limits(),
            )
            return replace(landing.run(source_id), preview=preview)


@dataclass
class _Landing:
    """One file on its way; the connection is in autocommit mode."""

    connection: Connection[Any]
    path: Path
    received_by: str
    supersedes: int | None
    withdraw_missing: bool
    progress: Progress
    limits: Limits

    def run(self, source_id: str) -> FileResult:
        started = time.monotonic()
        arrival = _arrive(self.path, source_id, self.received_by)
        file_log.close_interrupted(self.connection)
        file_id = file_log.register(self.connection, arrival)
        result = FileResult(
            file_id=file_id,
            name=arrival.name,
            raw_table=arrival.source.table if arrival.source else None,
            status=FileStatus.LANDED,
            seconds=0,
        )
        try:
            result = self._land(result, arrival, started)
            if result.raw_table and result.rows_landed >= ANALYZE_FROM:
                self.connection.execute('SELECT "CORE".analyze_raw(%s)', (result.raw_table,))
        except psycopg.errors.UniqueViolation as error:
            if error.diag.constraint_name != file_log.BYTES_INDEX:
                raise
            first, rows = file_log.mark_duplicate(self.connection, file_id, _since(started))
            result = replace(
                result, status=FileStatus.DUPLICATE, duplicate_of=first, rows_duplicate=rows
            )
        except (FileRefused, OSError, psycopg.DataError) as error:
            reason = _reason(error)
            file_log.fail(self.connection, file_id, reason, _since(started))
            result = replace(result, status=FileStatus.FAILED, error=reason)
        return replace(result, seconds=_since(started))

    def _land(self, result: FileResult, arrival: Arrival, started: float) -> FileResult:
        """Everything of the file in one transaction, which the log entry is part of."""
        source, seen, file_id = arrival.source, arrival.seen, result.file_id
        if source is None or seen is None:
            raise arrival.problem or AssertionError("an arrival is complete or has a problem")
        with self.connection.transaction():
            file_log.claim(self.connection, file_id, self.supersedes)
            target = self._target(source, file_id)
            told = self._store(source, seen, file_id, target)
            outcomes = Counter(told["outcomes"])
            outcomes.subtract(move_shared_references(self.connection, source, file_id, target))
            changes = None
            if self.supersedes is not None:
                changes = supersede(self.connection, source, file_id, self.supersedes)
            else:
                raw = sql.Identifier("RAW", source.table)
                self.connection.execute(sql.SQL(_KEEP).format(raw=raw))
            quarantined = reasons(self.connection, file_id)
            if quarantined and not self.withdraw_missing:
                check_nothing_missing(changes, sum(quarantined.values()))
            counts = _counts(told, outcomes, sum(quarantined.values()), changes or Changes())
            _check_unchanged(self.path, seen)
            file_log.describe(self.connection, file_id, counts, _since(started))
            shown = examples(self.connection, file_id)
        return replace(
            result,
            counts=counts,
            rows_duplicate=counts.rows_duplicate,
            changes=changes,
            quarantined=quarantined,
            examples=shown,
        )

    def _target(self, source: Source, file_id: int) -> sql.Identifier:
        """The table that the rows are stored in first: what is found wrong with them when all are
        there is taken out of it, and nothing is ever taken out of RAW."""
        if self.supersedes is None:
            self.connection.execute(_INCOMING)
            return sql.Identifier("pg_temp", "incoming")
        begin_superseding(self.connection, source, file_id, self.supersedes)
        return ARRIVED

    def _store(
        self, source: Source, seen: Fingerprint, file_id: int, target: sql.Identifier
    ) -> dict[str, Any]:
        """Store rows while they are being read; returns what the reader tells of the file."""
        statement = sql.SQL(LANDED).format(target)
        with reading(self.path, source, seen, file_id, self.limits) as frames:
            while True:
                with self.connection.cursor() as cursor, cursor.copy(statement) as copy:
                    refused, told = self._copy(copy, frames, seen.size_bytes)
                if refused:
                    with self.connection.cursor() as cursor, cursor.copy(REFUSED) as copy:
                        copy.write(refused)
                if told is not None:
                    return told

    def _copy(
        self, copy: psycopg.Copy, frames: Iterator[tuple[Frame, bytes]], size: int
    ) -> tuple[bytes, dict[str, Any] | None]:
        """Write rows until the end, or until many wait for the quarantine; returns these, and what
        the reader tells at the end."""
        refused = bytearray()
        for kind, content in frames:
            if kind is Frame.LANDED:
                copy.write(content)
            elif kind is Frame.QUARANTINED:
                refused += content
            elif kind is Frame.POSITION:
                self.progress(int(content), size)
                if len(refused) >= REFUSED_BYTES:
                    return bytes(refused), None
            else:
                return bytes(refused), json.loads(content)
        raise AssertionError("the last frame is the end")


def _counts(
    told: dict[str, Any], outcomes: Counter[str], quarantined: int, changes: Changes
) -> Counts:
    return Counts(
        encoding=told["encoding"],
        delimiter=told["delimiter"],
        layout=told["layout"],
        rows_landed=outcomes.total() - changes.unchanged,
        rows_quarantined=quarantined,
        rows_duplicate=changes.unchanged,
        rows_withdrawn=changes.withdrawn,
        control_totals=told["control_totals"],
        outcomes=dict(+outcomes),
    )


def _arrive(path: Path, source_id: str, received_by: str) -> Arrival:
    """What can be told of a file whose source or bytes may turn out to be unusable."""
    arrival = Arrival(printable_name(path), received_by)
    try:
        arrival = replace(arrival, source=_file_source(source_id))
        if not stat.S_ISREG(path.stat().st_mode):
            raise FileRefused(FileReason.UNREADABLE_FILE, "it is not a file")
        return replace(arrival, seen=fingerprint(path))
    except (FileRefused, OSError) as problem:
        return replace(arrival, problem=problem)


def printable_name(path: Path) -> str:
    """The file's name; of bytes that are no UTF-8, which no database takes, their numbers."""
    return os.fsencode(path.name).decode(errors="backslashreplace")


def _file_source(source_id: str) -> Source:
    try:
        source = source_named(source_id)
    except UnknownSource as error:
        raise FileRefused(FileReason.UNKNOWN_SOURCE, str(error)) from error
    if source.kind is not Kind.FILE:
        raise FileRefused(
            FileReason.UNKNOWN_SOURCE, f"{source.table} is filled by webhooks, not by files"
        )
    return source


def _check_unchanged(path: Path, seen: Fingerprint) -> None:
    """The rows were read in a second pass; they must be the rows of the bytes logged."""
    if fingerprint(path) != seen:
        raise FileRefused(FileReason.FILE_CHANGED, "the file was written to while it was read")


def _reason(error: Exception) -> str:
    if isinstance(error, FileRefused):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{FileReason.UNREADABLE_FILE}: {error.strerror}"
    log.warning("a file could not be stored", exc_info=error)
    return (
        f"{FileReason.UNREADABLE_FILE}: a value in the file cannot be stored; "
        "the platform's own log says which"
    )


def _since(started: float) -> float:
    return time.monotonic() - started
