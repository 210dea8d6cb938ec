"""What the application's role may do, tried as that role on a database that dbt has built."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from repayment_platform.posting.feed import READ_ANEW
from repayment_platform.warehouse import WarehouseUnavailable, rights
from repayment_platform.warehouse.audit import record
from repayment_platform.warehouse.migrate import is_current, migrate, upgrade
from repayment_platform.warehouse.raw_cut import advance_cuts
from repayment_platform.warehouse.rights import (
    APPLICATION,
    READER,
    grant_rights,
    too_little,
    too_much,
)
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.command import commands_on
from repayment_platform_tests.conftest import Sandbox
from repayment_platform_tests.warehouse.test_upgrade import ROWS, upgrade_to

Connection = psycopg.Connection[Any]
ROW = """
INSERT INTO "RAW"."RAW_DMI_NACH_CSV" (file_id, row_number, cells, outcome)
VALUES (1, 2, '{}', 'success')
"""
ATTEMPT = """
INSERT INTO "CORE"."CORE_POSTING_ATTEMPT" (source_key, source_lender, loan_external_id,
    payment_date, amount, idempotency_key, run_id, worker)
VALUES ('k', 'DMI', 'L1', '2026-11-01', 1, 'i', 'r', 1)
"""
SETTLED = """
UPDATE "CORE"."CORE_POSTING_ATTEMPT"
SET outcome = 'success', settled_by = 'reply', settled_at = now(), resource_id = 7
"""


@pytest.fixture
def application(built_urls: DatabaseUrls) -> DatabaseUrls:
    """As the installation of one role becomes one of three."""
    with psycopg.connect(built_urls.psycopg) as owner:
        grant_rights(owner)
    return built_urls.as_role(APPLICATION)


@pytest.fixture
def connection(application: DatabaseUrls) -> Iterator[Connection]:
    with psycopg.connect(application.psycopg, autocommit=True) as opened:
        yield opened


def test_a_fresh_clone_hands_over_what_dbt_generates(
    built_urls: DatabaseUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restore there comes before any model is generated, and makes all of them the owner's."""
    generated = {path.stem.upper() for path in (rights._DBT / "generated").glob("*.sql")}
    assert generated == set(rights._GENERATED)
    shutil.copytree(rights._DBT, tmp_path / "models", ignore=shutil.ignore_patterns("generated"))
    monkeypatch.setattr(rights, "_DBT", tmp_path / "models")
    with psycopg.connect(built_urls.psycopg) as owner:
        grant_rights(owner)
        kept = owner.execute(
            """SELECT relname FROM pg_class WHERE relname = ANY (%s) AND relkind IN ('r', 'v')
               AND relowner <> to_regrole(%s)""",
            (list(generated), APPLICATION),
        ).fetchall()
    assert kept == []


@pytest.mark.parametrize(
    "statement",
    [
        """UPDATE "RAW"."RAW_DMI_NACH_CSV" SET amount = 1""",
        'DELETE FROM "RAW"."RAW_DMI_NACH_CSV"',
        'TRUNCATE "RAW"."RAW_UGRO_RAZORPAY_API"',
        'DO $$ BEGIN LOCK TABLE "RAW"."RAW_DMI_NACH_CSV" IN SHARE MODE; END $$',
        'DROP TABLE "RAW"."RAW_DMI_NACH_CSV"',
        'CREATE TABLE "RAW".mine (id int)',
        """UPDATE "CORE"."CORE_AUDIT_LOG" SET who = 'x'""",
        'DELETE FROM "CORE"."CORE_AUDIT_LOG"',
        'ALTER TABLE "CORE"."CORE_AUDIT_LOG" DISABLE TRIGGER ALL',
        'UPDATE "CORE"."CORE_POSTING_ATTEMPT" SET amount = 2',
        'DELETE FROM "CORE"."CORE_POSTING_ATTEMPT"',
        'ALTER TABLE "CORE"."CORE_POSTING_ATTEMPT" DISABLE TRIGGER ALL',
        'DELETE FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"',
        'DELETE FROM "CORE"."CORE_PAYMENT_KEY"',
        'DELETE FROM "CORE"."CORE_LEDGER_IDENTITY"',
        'DELETE FROM "CORE"."CORE_HOLD"',
        'UPDATE "CORE"."CORE_RAW_CUT" SET cut_id = 0',
        "UPDATE public.alembic_version SET version_num = '0001'",
        "SET ROLE repayment",
    ],
)
def test_the_application_changes_nothing_that_has_happened(
    connection: Connection, statement: str
) -> None:
    connection.execute(ROW)
    with pytest.raises(InsufficientPrivilege):
        connection.execute(statement.encode())


def test_the_application_adds_and_settles_once(connection: Connection) -> None:
    connection.execute(ROW)
    record(connection, "asha", "hold.release", "k")
    connection.execute(ATTEMPT)
    connection.execute(SETTLED)
    with pytest.raises(InsufficientPrivilege, match="is settled"):
        connection.execute("""UPDATE "CORE"."CORE_POSTING_ATTEMPT" SET outcome = 'failed'""")
    connection.execute('UPDATE "CORE"."CORE_POSTING_ATTEMPT" SET undone_at = now()')
    connection.execute(READ_ANEW)


def test_the_ledger_is_settled_by_the_first_request_that_may_have_arrived(
    connection: Connection,
) -> None:
    another = """UPDATE "CORE"."CORE_LEDGER_IDENTITY" SET base_url = 'x'"""
    connection.execute(
        """INSERT INTO "CORE"."CORE_LEDGER_IDENTITY" (base_url, tenant) VALUES ('u', 't')"""
    )
    connection.execute(another)
    connection.execute(ATTEMPT)
    with pytest.raises(InsufficientPrivilege, match="another ledger"):
        connection.execute(another)


def test_the_owner_changes_no_settled_attempt_either(
    application: DatabaseUrls, connection: Connection
) -> None:
    connection.execute(ATTEMPT)
    connection.execute(SETTLED)
    assert application.owner
    with (
        psycopg.connect(application.owner.psycopg) as owner,
        pytest.raises(InsufficientPrivilege, match="is settled"),
    ):
        owner.execute('UPDATE "CORE"."CORE_POSTING_ATTEMPT" SET amount = 2')


def test_the_cut_and_statistics_are_the_owners_to_make(
    application: DatabaseUrls, connection: Connection
) -> None:
    connection.execute(ROW)
    advance_cuts(application)
    cut = """SELECT cut_id = (SELECT max(id) FROM "RAW"."RAW_DMI_NACH_CSV")
             FROM "CORE"."CORE_RAW_CUT" WHERE raw_table = 'RAW_DMI_NACH_CSV'"""
    assert connection.execute(cut).fetchone() == (True,)
    connection.execute("""SELECT "CORE".analyze_raw('RAW_DMI_NACH_CSV')""")
    for function in ("analyze_raw", "advance_raw_cut"):
        with pytest.raises(psycopg.errors.UndefinedTable, match="there is no RAW table"):
            connection.execute(f"""SELECT "CORE".{function}('CORE_USER')""".encode())


def test_the_reader_reads_and_sees_no_secret(application: DatabaseUrls) -> None:
    with psycopg.connect(replace(application, user=READER).psycopg, autocommit=True) as reader:
        for table in ("CORE_TRANSACTION_DATA", "CORE_AUDIT_LOG", "CORE_RECON_STATUS"):
            reader.execute(f'SELECT * FROM "CORE"."{table}"'.encode())
        reader.execute('SELECT * FROM "BASE"."BASE_DMI_NACH_CSV"')
        for refused in (
            'SELECT * FROM "CORE"."CORE_USER"',
            'SELECT * FROM "CORE"."CORE_SESSION"',
            ROW,
            'DELETE FROM "CORE"."CORE_OPEN_WORK"',
            """SELECT "CORE".advance_raw_cut('RAW_DMI_NACH_CSV')""",
        ):
            with pytest.raises(InsufficientPrivilege):
                reader.execute(refused.encode())


def test_what_a_role_has_too_much_or_too_little_is_named(
    application: DatabaseUrls, connection: Connection
) -> None:
    assert (too_much(connection), too_little(connection)) == ([], [])
    assert application.owner
    with psycopg.connect(application.owner.psycopg) as owner:
        assert 'change "RAW"."RAW_DMI_NACH_CSV"' in too_much(owner)
    with psycopg.connect(replace(application, user=READER).psycopg) as reader:
        assert 'add to "RAW"."RAW_DMI_NACH_CSV"' in too_little(reader)


def test_the_application_does_not_migrate_and_says_who_does(empty_database: DatabaseUrls) -> None:
    upgrade_to(empty_database, "0014")
    alone = replace(empty_database, user=APPLICATION)
    with pytest.raises(WarehouseUnavailable, match="MIGRATION_DATABASE_URL set to its owner"):
        migrate(alone)
    assert not is_current(alone)


def test_an_installation_of_one_role_becomes_one_of_three_when_its_owner_migrates(
    empty_database: DatabaseUrls,
) -> None:
    upgrade_to(empty_database, "0014")
    with psycopg.connect(empty_database.psycopg, autocommit=True) as owner:
        owner.execute(ROWS.encode())
        owner.execute('CREATE VIEW "BASE"."BASE_DMI_NACH_CSV" AS SELECT 1 AS n')
        owner.execute('CREATE TABLE "CORE"."CORE_TRANSACTION_DATA" (n int)')
        owner.execute(
            'CREATE FUNCTION "CORE".assign_payment_keys() RETURNS bigint LANGUAGE sql RETURN 1'
        )
    upgrade(empty_database)
    application = empty_database.as_role(APPLICATION)
    assert is_current(application)
    with psycopg.connect(application.psycopg, autocommit=True) as connection:
        assert (too_much(connection), too_little(connection)) == ([], [])
        connection.execute('CREATE OR REPLACE VIEW "BASE"."BASE_DMI_NACH_CSV" AS SELECT 2 AS n')
        connection.execute('ALTER TABLE "CORE"."CORE_TRANSACTION_DATA" ADD COLUMN m int')
        connection.execute(
            'CREATE OR REPLACE FUNCTION "CORE".assign_payment_keys() RETURNS bigint'
            " LANGUAGE sql RETURN 2"
        )
        connection.execute(ROW.replace("(1, 2", "(2, 2").encode())
        with pytest.raises(InsufficientPrivilege):
            connection.execute('DELETE FROM "RAW"."RAW_DMI_NACH_CSV"')


@pytest.mark.timeout(400)
def test_the_pipeline_runs_as_the_application(application: DatabaseUrls, sandbox: Sandbox) -> None:
    with psycopg.connect(application.psycopg, autocommit=True) as connection:
        connection.execute(ROW)
    ran = commands_on(application, sandbox)("pipeline")
    assert ran.code == 0, ran.stderr
