"""Which course of events a database is on: answers that came back with a restore do not count."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from repayment_platform.warehouse.embedded import EmbeddedServer, embedded_postgres
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.rights import APPLICATION, grant_rights
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.command import Commands
from repayment_platform_tests.databases import copied_database
from repayment_platform_tests.waiting import wait_until

LEDGER = """
INSERT INTO "CORE"."CORE_LEDGER_IDENTITY" (base_url, tenant) VALUES ('u', %(tenant)s)
ON CONFLICT (only_row) DO UPDATE SET tenant = EXCLUDED.tenant
"""


def incarnation(urls: DatabaseUrls) -> str:
    with psycopg.connect(urls.psycopg) as connection:
        row = connection.execute('SELECT "CORE".incarnation()').fetchone()
    assert row
    return str(row[0])


def test_it_stays_while_the_database_is_used(database_urls: DatabaseUrls) -> None:
    before = incarnation(database_urls)
    with psycopg.connect(database_urls.psycopg, autocommit=True) as connection:
        connection.execute('VACUUM FULL "CORE"."CORE_LEDGER_ANSWER"')
        connection.execute("SELECT pg_switch_wal()")
        grant_rights(connection)
    assert incarnation(database_urls) == before
    assert incarnation(database_urls.as_role(APPLICATION)) == before


def test_a_copy_of_the_database_has_another(server: DatabaseUrls, migrated_template: str) -> None:
    with (
        copied_database(server, migrated_template) as one,
        copied_database(server, migrated_template) as other,
    ):
        assert incarnation(one) != incarnation(other)


def test_another_ledger_is_another(
    database_urls: DatabaseUrls, connection: psycopg.Connection[Any]
) -> None:
    seen = {incarnation(database_urls)}
    for tenant in ("one", "other"):
        connection.execute(LEDGER, {"tenant": tenant})
        seen.add(incarnation(database_urls))
    assert len(seen) == 3


def test_a_person_says_that_a_snapshot_came_back(
    run: Commands, connection: psycopg.Connection[Any]
) -> None:
    connection.execute(
        """INSERT INTO "CORE"."CORE_LEDGER_ANSWER"
           VALUES ('k', 'k', 'absent', 'so', now(), "CORE".incarnation())"""
    )
    connection.execute(LEDGER, {"tenant": "one"})
    connection.execute(
        """INSERT INTO "CORE"."CORE_POSTING_ATTEMPT" (source_key, source_lender, loan_external_id,
               payment_date, amount, idempotency_key, run_id, worker)
           VALUES ('k', 'DMI', 'L', '2025-11-20', 1, 'i', 'r', 0)"""
    )
    same = 'SELECT first_course = "CORE".course() FROM "CORE"."CORE_LEDGER_IDENTITY"'
    assert connection.execute(same).fetchone() == (True,)
    done = run("restored", "--why", "snapshot of 06:00", "--by", "asha")
    assert "asks Fineract again about 1 payments" in done.words
    counts = """SELECT count(*) FROM "CORE"."CORE_LEDGER_ANSWER"
                WHERE incarnation = "CORE".incarnation()"""
    assert connection.execute(counts).fetchone() == (0,)
    assert connection.execute(same).fetchone() == (False,)
    told = 'SELECT who, action, detail FROM "CORE"."CORE_AUDIT_LOG"'
    assert connection.execute(told).fetchone() == (
        "asha",
        "warehouse.restored",
        {"why": "snapshot of 06:00"},
    )


@pytest.fixture
def home() -> Iterator[Path]:
    parent = Path(tempfile.mkdtemp(prefix="standby "))
    yield parent / "home"
    assert EmbeddedServer(parent / "home").stop_if_unused()
    shutil.rmtree(parent)


@pytest.mark.whole
def test_a_standby_that_takes_over_begins_another(home: Path) -> None:
    with embedded_postgres(home) as urls:
        migrate(urls)
        before = incarnation(urls)
    with embedded_postgres(home) as urls:
        assert incarnation(urls) == before
    signal, pid = home / "pgdata" / "standby.signal", home / "pgdata" / "PG_VERSION"
    signal.touch()
    shutil.chown(signal, pid.stat().st_uid, pid.stat().st_gid)
    with embedded_postgres(home) as urls:
        with psycopg.connect(urls.psycopg, autocommit=True) as connection:
            connection.execute("SELECT pg_promote()")
        wait_until(lambda: not signal.exists())
        assert incarnation(urls) != before
