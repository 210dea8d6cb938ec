"""Migrations: complete, repeatable, safe side by side, and free when there is nothing to do."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from repayment_platform.sources.registry import SOURCES, Kind
from repayment_platform.warehouse.migrate import is_current, migrate
from repayment_platform.warehouse.urls import DatabaseUrls

Connection = psycopg.Connection[Any]


def test_every_registered_source_has_its_raw_table_and_cut(connection: Connection) -> None:
    tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'RAW'")
    cuts = connection.execute('SELECT raw_table, cut_id FROM "CORE"."CORE_RAW_CUT"').fetchall()
    assert set(SOURCES) <= {name for (name,) in tables}
    assert dict(cuts) == dict.fromkeys(SOURCES, 0)


def test_migrating_again_changes_nothing_and_needs_one_query(
    database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    def upgrade(urls: DatabaseUrls) -> None:
        pytest.fail("upgraded a database that is up to date")

    monkeypatch.setattr("repayment_platform.warehouse.migrate.upgrade", upgrade)
    migrate(database_urls)


def test_processes_that_migrate_one_empty_database_at_once_all_succeed(
    empty_database: DatabaseUrls,
) -> None:
    assert not is_current(empty_database)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate, [empty_database] * 4))
    assert is_current(empty_database)


def test_a_source_registered_later_gets_its_table(
    database_urls: DatabaseUrls, connection: Connection
) -> None:
    connection.execute('DROP TABLE "RAW"."RAW_GB_NACH_CSV"')
    connection.execute("""DELETE FROM "CORE"."CORE_RAW_CUT" WHERE raw_table = 'RAW_GB_NACH_CSV'""")
    migrate(database_urls)
    connection.execute('SELECT id, cells FROM "RAW"."RAW_GB_NACH_CSV"')


def test_the_lines_of_a_payout_are_found_by_an_index(connection: Connection) -> None:
    found = connection.execute("SELECT tablename FROM pg_indexes WHERE indexdef LIKE '%(utr)%'")
    listing = {table for table, source in SOURCES.items() if source.settlement_layout}
    assert listing == {name for (name,) in found if name in SOURCES}
    assert {"RAW_GB_PAYMENT_CASHFREE", "RAW_UGRO_PAYMENT_CASHFREE"} < listing


def test_ids_of_all_raw_tables_come_from_one_sequence(connection: Connection) -> None:
    defaults = connection.execute(
        "SELECT table_name, column_default FROM information_schema.columns "
        "WHERE table_schema = 'RAW' AND column_name = 'id'"
    ).fetchall()
    assert {default for _, default in defaults} == {"nextval('\"RAW\".raw_id'::regclass)"}


@pytest.mark.parametrize(
    "table", [name for name, source in SOURCES.items() if source.kind is not Kind.FILE]
)
def test_a_delivery_lands_once_but_may_be_replayed(connection: Connection, table: str) -> None:
    insert = (
        f'INSERT INTO "RAW"."{table}" (event_id, body, headers, signed_by, replaces_id) '
        "VALUES ('evt_1', '', '{}', 1, %s)"
    )
    connection.execute(insert, (None,))
    connection.execute(insert, (1,))
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(insert, (None,))


def test_a_failed_migration_leaves_nothing_behind(
    empty_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: Connection) -> None:
        raise RuntimeError("power failure")

    monkeypatch.setattr("repayment_platform.warehouse.migrate.make_raw_tables", fail)
    with pytest.raises(RuntimeError, match="power failure"):
        migrate(empty_database)
    with psycopg.connect(empty_database.psycopg) as connection:
        found = connection.execute("SELECT to_regnamespace('\"CORE\"')").fetchone()
    assert found == (None,)
