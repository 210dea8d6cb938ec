"""Connections to a server whose role and database have settings of their own, all of them bad."""

import os
import subprocess
import time
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
import sqlalchemy
from psycopg import sql

from repayment_platform.warehouse import dbt
from repayment_platform.warehouse.advisory import held
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.rights import APPLICATION
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.command import commands_on

HOSTILE = {
    "datestyle": "German",
    "intervalstyle": "sql_standard",
    "timezone": "America/New_York",
    "search_path": "nowhere",
    "idle_session_timeout": "300ms",
    "idle_in_transaction_session_timeout": "300ms",
    "lock_timeout": "1ms",
    "client_encoding": "SQL_ASCII",
}


@pytest.fixture
def hostile(empty_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch) -> DatabaseUrls:
    """A migrated database whose settings are hostile, of the application's role too."""
    # A run in this process hands its settings on to dbt in the environment, where libpq reads them.
    monkeypatch.delenv("PGOPTIONS", raising=False)
    migrate(empty_database)
    application = sql.Identifier(APPLICATION)
    database = sql.Identifier(empty_database.dbname)
    with psycopg.connect(empty_database.psycopg, autocommit=True) as owner:
        for name, value in HOSTILE.items():
            setting = sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(value))
            for of in (
                sql.SQL("ALTER DATABASE {} ").format(database),
                sql.SQL("ALTER ROLE {} IN DATABASE {} ").format(application, database),
            ):
                owner.execute(of + setting)
    return empty_database.as_role(APPLICATION)


def test_the_settings_of_role_and_database_count_for_none_of_our_drivers(
    hostile: DatabaseUrls,
) -> None:
    with psycopg.connect(plain(hostile), client_encoding="utf8") as unpinned:
        assert show(unpinned, "datestyle") == "German, DMY"  # they are there
    with psycopg.connect(hostile.psycopg) as connection:
        assert show(connection, "datestyle").startswith("ISO")
        assert show(connection, "timezone") == "UTC"
        assert show(connection, "search_path") == "public"
        assert show(connection, "idle_session_timeout") == "0"
        assert show(connection, "lock_timeout") == "10min"
        assert connection.execute("SELECT 'आशा ₹'::text").fetchone() == ("आशा ₹",)
        (now,) = connection.execute("SELECT now()").fetchone() or (None,)
        assert isinstance(now, datetime)
        assert now.tzinfo is not None
        assert abs((now - datetime.now(UTC)).total_seconds()) < 60
    for url, schema in ((hostile.sqlalchemy, "public"), (hostile.dagster, "dagster")):
        engine = sqlalchemy.create_engine(url)
        with engine.connect() as other:
            assert other.exec_driver_sql("SHOW search_path").scalar() == schema
            assert other.exec_driver_sql("SHOW timezone").scalar() == "UTC"
        engine.dispose()


def test_dbt_and_whatever_else_reads_libpqs_environment_is_given_the_same(
    hostile: DatabaseUrls,
) -> None:
    import psycopg2  # type: ignore[import-untyped]

    former = dict(os.environ)
    os.environ.update(hostile.dbt_env)
    try:
        place = {"host": hostile.host, "port": hostile.port, "user": hostile.user}
        with psycopg2.connect(**place, dbname=hostile.dbname) as connection:
            cursor = connection.cursor()
            cursor.execute("SHOW datestyle")
            assert cursor.fetchone()[0].startswith("ISO")
    finally:
        os.environ.clear()
        os.environ.update(former)


def test_what_somebody_sets_in_the_address_stays_and_ours_counts(hostile: DatabaseUrls) -> None:
    given = f"{plain(hostile)} options='-cwork_mem=7MB -cdatestyle=German' connect_timeout=3"
    urls = DatabaseUrls.parse(given)
    with psycopg.connect(urls.psycopg) as connection:
        assert show(connection, "work_mem") == "7MB"
        assert show(connection, "datestyle").startswith("ISO")
    assert "connect_timeout=3" in urls.psycopg


@pytest.mark.parametrize("command", ["status", "holds", "exceptions"])
def test_commands_read_a_hostile_database_as_any_other(hostile: DatabaseUrls, command: str) -> None:
    done = commands_on(hostile)(command)
    assert (done.code, done.complaint) == (0, "")


def test_a_session_that_holds_a_lock_is_not_ended_for_idleness(hostile: DatabaseUrls) -> None:
    with held(hostile.psycopg, "idle", "standing idle", 5) as lock:
        time.sleep(1)  # three times what the server allows
        with psycopg.connect(hostile.psycopg) as other:
            assert not tried(other, "idle")
        lock.check()


def test_dbt_builds_everything_on_a_hostile_database(hostile: DatabaseUrls) -> None:
    dbt.prepare()
    command = [dbt.EXECUTABLE, "run", "--select", "path:models/base", *dbt_places(hostile)]
    with dbt.dbt_session(hostile) as session:
        done = subprocess.run(
            command, env=dict(session.env), capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stdout


def dbt_places(urls: DatabaseUrls) -> list[str]:
    project = str(dbt.PROJECT)
    target = str(dbt.MANIFEST.parent / f"of-{urls.dbname}")
    return ["--project-dir", project, "--profiles-dir", project, "--target-path", target]


def plain(urls: DatabaseUrls) -> str:
    """The address without what our connections set."""
    return f"host={urls.host} port={urls.port} user={urls.user} dbname={urls.dbname}"


def show(connection: psycopg.Connection[Any], name: str) -> str:
    row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
    return str(row[0]) if row else ""


def tried(connection: psycopg.Connection[Any], name: str) -> bool:
    row = connection.execute(
        "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (name,)
    ).fetchone()
    return bool(row and row[0])
