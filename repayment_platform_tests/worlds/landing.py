"""Landing what arrives in a step: by COPY into RAW, or through the loader and the receiver's
writer.

What belongs here: rows of RAW with the story's own time. What does not: what they say (`files`,
`events`).
"""

import asyncio
import csv
import io
import json
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from psycopg import AsyncConnection, Connection, sql
from pydantic import SecretStr

from repayment_platform.landing.files import ingest_file
from repayment_platform.landing.webhooks import land as land_deliveries
from repayment_platform.landing.webhooks import read_delivery
from repayment_platform.sample_data.signing import demo_secrets, headers_of, setting_of
from repayment_platform.sources.headers import Header, find_header
from repayment_platform.sources.layouts import Outcome
from repayment_platform.sources.registry import SOURCES, Kind
from repayment_platform.sources.rows import Payment, RowReader
from repayment_platform.sources.signatures import signed_by
from repayment_platform_tests.worlds.events import event_of
from repayment_platform_tests.worlds.files import COLUMNS, cells
from repayment_platform_tests.worlds.truth import Report
from repayment_platform_tests.worlds.world import World

_LOG = """
INSERT INTO "CORE"."CORE_FILE_LOG" (raw_table, source_lender, name, sha256, rows_read, rows_landed,
                                    status, received_by, received_at)
VALUES (%s, %s, %s, %s, %s, %s, 'landed', 'worlds', %s) RETURNING id
"""


@dataclass
class Landing:
    """Lands the steps of worlds in one database, and knows which file each row came in."""

    connection: Connection[Any]
    conninfo: str
    files: dict[tuple[int, str, int, int, str], int] = field(default_factory=dict)
    """Ids in the log of the files that went through the loader."""
    _file_of: dict[int, int] = field(default_factory=dict)
    """Of each row that did not go through the loader the id of its file."""

    def step(self, worlds: Sequence[World], step: int) -> None:
        """Land what arrives in the step in all worlds."""
        arrivals = [
            (world.calendar.moment(*key[:3]), world, key, rows)
            for world in worlds
            for key, rows in world.arrivals(step)
        ]
        arrivals.sort(key=lambda arrival: (arrival[0], arrival[1].number, arrival[2]))
        bulk: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for moment, world, key, rows in arrivals:
            table = key[3]
            if SOURCES[table].kind is not Kind.FILE:
                self._event(bulk, world, rows[0], moment)
            elif rows[0].file == "real" or (world.real and not rows[0].file and _simple(table)):
                self._flush(bulk)
                self._file(world, table, rows, moment)
            else:
                self._rows(bulk, world, table, rows, moment)
        self._flush(bulk)

    def _rows(
        self, bulk: dict[str, Any], world: World, table: str, rows: Sequence[Report], at: datetime
    ) -> None:
        """The rows of a file as the loader would store them, by its own reader."""
        source = SOURCES[table]
        texts = [cells(row, world.calendar) for row in rows]
        header = _header(table)
        payments, faults, *_ = RowReader(source, header.layout, header.fields).read(texts)
        facts = (
            table,
            source.lender,
            f"{table}-{at:%Y%m%d}",
            f"{world.number}-{at}-{rows[0].file}",
        )
        logged = self.connection.execute(_LOG, (*facts, len(rows), len(rows), at)).fetchone()
        assert logged
        ids = self._ids(len(rows))
        for index, row in enumerate(rows):
            if index in faults:
                row.refused = True
                continue
            payment = payments[index]
            if row.more.get("unread"):
                payment = payment._replace(loan_ref=None)
            if row.withdrawn:
                payment = payment._replace(outcome=Outcome.WITHDRAWN)
            row.raw_id = ids[index]
            replaced = row.replaces and row.replaces.raw_id
            self._file_of[row.raw_id] = file_id = self._replayed(row) or logged[0]
            told = json.dumps(dict(zip(COLUMNS[table], texts[index], strict=True)))
            bulk[table].append((row.raw_id, file_id, index + 2, told, at, replaced, *payment))

    def _replayed(self, row: Report) -> int | None:
        """The file of the row that is read again, of which a replay makes a further row."""
        if row.replaces is None or not row.replaces.more.get("unread"):
            return None
        return self._file_of.get(row.replaces.raw_id or 0)

    def _event(self, bulk: dict[str, Any], world: World, report: Report, at: datetime) -> None:
        table, kind = report.table, SOURCES[report.table].kind
        event = event_of(report, world.calendar)
        body = event.body.encode()
        headers = headers_of(event, body, 1, demo_secrets(), int(at.timestamp() * 1000))
        if world.real:
            secrets = [SecretStr(secret) for secret in demo_secrets()[setting_of(table)]]
            lowered = {name.lower(): value for name, value in headers.items()}
            secret = signed_by(kind, lowered, body, secrets, now=at, max_age=timedelta(hours=1))
            delivery = read_delivery(kind, lowered, body, signed_by=secret)
            self._flush(bulk)
            report.raw_id = asyncio.run(self._delivered(table, delivery, at))
            return
        [report.raw_id] = self._ids(1)
        bulk[table].append(
            (report.raw_id, event.event_id, event.name, body, event.body, json.dumps({}), 1, at)
        )

    async def _delivered(self, table: str, delivery: Any, at: datetime) -> int:
        async with await AsyncConnection.connect(self.conninfo, autocommit=True) as connection:
            [new] = await land_deliveries(connection, table, [delivery])
        assert new, delivery.event_id
        name = sql.Identifier("RAW", table)
        update = sql.SQL("UPDATE {} SET landed_at = %s WHERE event_id = %s RETURNING id").format(
            name
        )
        row = self.connection.execute(update, (at, delivery.event_id)).fetchone()
        assert row
        return int(row[0])

    def _file(self, world: World, table: str, rows: Sequence[Report], at: datetime) -> None:
        """A CSV file through the loader; its rows get the story's time."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(COLUMNS[table])
        writer.writerows(cells(row, world.calendar) for row in rows)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{table}-{world.number}-{at:%Y%m%d%H%M}.csv"
            path.write_text(text.getvalue(), newline="")
            result = ingest_file(self.conninfo, path, table, received_by="worlds")
        name = sql.Identifier("RAW", table)
        update = sql.SQL("UPDATE {} SET landed_at = %s WHERE file_id = %s RETURNING row_number, id")
        landed = dict(self.connection.execute(update.format(name), (at, result.file_id)).fetchall())
        for index, row in enumerate(rows):
            row.raw_id = landed.get(index + 2)
            row.refused = row.raw_id is None

    def _ids(self, count: int) -> list[int]:
        query = """SELECT nextval('"RAW".raw_id') FROM generate_series(1, %s)"""
        return [row[0] for row in self.connection.execute(query, (count,))]

    def _flush(self, bulk: dict[str, list[tuple[Any, ...]]]) -> None:
        for table, rows in bulk.items():
            is_file = SOURCES[table].kind is Kind.FILE
            names = _file_columns() if is_file else _EVENT_COLUMNS
            copy = sql.SQL("COPY {} ({}) FROM STDIN").format(
                sql.Identifier("RAW", table), sql.SQL(", ").join(map(sql.Identifier, names))
            )
            with self.connection.cursor() as cursor, cursor.copy(copy) as copying:
                for row in rows:
                    copying.write_row(row)
        bulk.clear()


_EVENT_COLUMNS = (
    "id",
    "event_id",
    "event_type",
    "body",
    "payload",
    "headers",
    "signed_by",
    "landed_at",
)


def _file_columns() -> tuple[str, ...]:
    return ("id", "file_id", "row_number", "cells", "landed_at", "replaces_id", *Payment._fields)


def _simple(table: str) -> bool:
    """Whether its file is one table and nothing above it."""
    return not any(layout.section for layout in SOURCES[table].layouts)


def _header(table: str) -> Header:
    from dataclasses import replace

    layouts = [replace(layout, section="") for layout in SOURCES[table].layouts]
    found = find_header([list(COLUMNS[table])], layouts)
    assert isinstance(found, Header), found
    return found
