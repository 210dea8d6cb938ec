"""How far each RAW table is complete, and one dbt run at a time.

What belongs here: the dbt lock, and advancing CORE_RAW_CUT so that CORE never skips a row that
commits late. What does not: reading the rows (dbt), landing them.

A row's id is drawn before its transaction commits, so a greater id may be visible first. For an
instant each table is locked in SHARE mode: that waits for every writer, and no new one starts,
so the greatest id is then one below which nothing can still appear. The lock takes more than the
right to add rows, so a function of the owner does it (migration 0016).
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import Connection, sql

from repayment_platform.warehouse.advisory import Held, held
from repayment_platform.warehouse.urls import DatabaseUrls

log = logging.getLogger(__name__)

LOCK_TIMEOUT = "2s"
"""Writers wait this long at most for a cut; webhooks must be answered within 5 s."""
DBT_WAIT_SECONDS = 3600.0
"""Longer than a build of all of history; whoever waits longer leaves it to the next run."""
_DBT_LOCK = int.from_bytes(b"dbt run")


@contextmanager
def dbt_lock(urls: DatabaseUrls) -> Iterator[Held]:
    """The lock around a dbt run: two at once would break each other's tables.

    Raises:
        LockNotHad: another has had it for `DBT_WAIT_SECONDS`.
        LockLost: it was lost meanwhile; what rested on it has ended.
    """
    with held(urls.psycopg, _DBT_LOCK, "running dbt", DBT_WAIT_SECONDS) as lock:
        yield lock


def advance_cuts(urls: DatabaseUrls) -> None:
    """Move the cut of every RAW table that has new rows; a busy table keeps its old one."""
    with psycopg.connect(urls.psycopg, autocommit=True) as connection:
        for table in _tables_with_news(connection):
            _advance(connection, table)


def _tables_with_news(connection: Connection[Any]) -> list[str]:
    cuts = connection.execute('SELECT raw_table, cut_id FROM "CORE"."CORE_RAW_CUT"').fetchall()
    questions = [
        # The greatest id comes from the primary key; EXISTS (… id > cut) may scan the table.
        sql.SQL("SELECT {} WHERE (SELECT max(id) FROM {}) > {}").format(
            sql.Literal(table), sql.Identifier("RAW", table), sql.Literal(cut)
        )
        for table, cut in cuts
    ]
    if not questions:
        return []
    return [table for (table,) in connection.execute(sql.SQL(" UNION ALL ").join(questions))]


def _advance(connection: Connection[Any], table: str) -> None:
    try:
        with connection.transaction():
            connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(LOCK_TIMEOUT))
            connection.execute('SELECT "CORE".advance_raw_cut(%s)', (table,))
    except psycopg.errors.LockNotAvailable:
        log.warning("%s is being written to; its new rows wait for the next run", table)
