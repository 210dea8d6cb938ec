"""Upgrades: from every revision there has been to the newest, with data in it."""

from collections.abc import Callable
from datetime import date
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from repayment_platform.warehouse.migrate import MIGRATIONS, is_current, migrate
from repayment_platform.warehouse.raw_tables import make_raw_tables
from repayment_platform.warehouse.urls import DatabaseUrls

REVISIONS = sorted(path.name.split("_")[0] for path in MIGRATIONS.glob("versions/[0-9]*.py"))
ROWS = """
INSERT INTO "RAW"."RAW_DMI_NACH_CSV" (file_id, row_number, cells, outcome)
VALUES (1, 2, '{"Amount": "1"}', 'success');
INSERT INTO "CORE"."CORE_FILE_LOG" (raw_table, source_lender, name, sha256, status, received_by)
VALUES ('RAW_DMI_NACH_CSV', 'DMI', 'a.csv', 'x', 'landed', 'test');
INSERT INTO "CORE"."CORE_POSTING_ATTEMPT" (source_key, source_lender, loan_external_id,
    payment_date, amount, idempotency_key, run_id, worker, outcome, settled_at, settled_by)
VALUES ('k', 'DMI', 'L1', '2026-11-01', 1, 'i', 'r', 1, 'success', now(), 'reply');
INSERT INTO "CORE"."CORE_TRANSACTION_DATA_PROCESSED" (source_key, source_lender, status,
    loan_external_id, payment_date, amount, run_id)
VALUES ('k', 'DMI', 'success', 'L1', '2026-11-01', 1, 'r');
INSERT INTO "CORE"."CORE_AUDIT_LOG" (who, action) VALUES ('asha', 'hold.release')
"""
TABLES = (
    '"RAW"."RAW_DMI_NACH_CSV"',
    '"CORE"."CORE_FILE_LOG"',
    '"CORE"."CORE_POSTING_ATTEMPT"',
    '"CORE"."CORE_TRANSACTION_DATA_PROCESSED"',
    '"CORE"."CORE_AUDIT_LOG"',
)
COLUMNS = """
SELECT table_schema, table_name, column_name, data_type, column_default, is_nullable
FROM information_schema.columns
WHERE table_schema IN ('RAW', 'CORE') ORDER BY 1, 2, 3
"""
INDEXES = """
SELECT schemaname, tablename, indexname, indexdef FROM pg_indexes
WHERE schemaname IN ('RAW', 'CORE') ORDER BY 1, 2, 3
"""


def upgrade_to(urls: DatabaseUrls, revision: str) -> None:
    """What an installation of that time did, with the RAW tables of its shapes."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "newline")
    with create_engine(urls.sqlalchemy).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        driver = connection.connection.driver_connection
        assert driver is not None
        make_raw_tables(driver)


def shape(urls: DatabaseUrls) -> list[Any]:
    with psycopg.connect(urls.psycopg) as connection:
        return [connection.execute(query).fetchall() for query in (COLUMNS, INDEXES)]


@pytest.mark.parametrize("revision", REVISIONS)
def test_from_any_revision_with_data_in_it_the_newest_is_reached(
    empty_database: DatabaseUrls,
    database_urls: DatabaseUrls,
    clock: Callable[[date | None], None],
    revision: str,
) -> None:
    """Nothing is lost, and the tables are those of a new installation."""
    clock(None)
    upgrade_to(empty_database, revision)
    with psycopg.connect(empty_database.psycopg) as connection:
        connection.execute(ROWS)

    migrate(empty_database)

    assert is_current(empty_database)
    with psycopg.connect(empty_database.psycopg) as connection:
        for table in TABLES:
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,), table
    assert shape(empty_database) == shape(database_urls)
