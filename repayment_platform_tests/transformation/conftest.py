"""A database on which dbt has been built once, emptied for each test; rows to land in it."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

from repayment_platform.settings import SANDBOX, Settings
from repayment_platform.sources.registry import SOURCES
from repayment_platform.warehouse.dbt import prepare
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.conftest import Sandbox, copied_database
from repayment_platform_tests.transformation.platform import OF_POSTING, Platform
from repayment_platform_tests.transformation.warehouse import (
    TEMPLATE,
    Warehouse,
    run_in_process,
)

EMPTIED = ("CORE_PAYMENT_KEY", "CORE_HOLD", "CORE_REFOLD", "CORE_LOAN_MAPPING",
           "CORE_TRANSACTION_DATA", "CORE_RECON_RECORD", "CORE_SETTLEMENT_LINES")  # fmt: skip


@pytest.fixture(scope="session")
def models_template(server: DatabaseUrls) -> str:
    """Name of a migrated database with every model in it and no rows."""
    home = Path(os.environ["REPAYMENT_TEST_HOME"])
    with (home / "models.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "models.made").exists():
            urls = server.with_database(TEMPLATE)
            with psycopg.connect(server.psycopg, autocommit=True) as admin:
                admin.execute(f'CREATE DATABASE "{TEMPLATE}"')
            migrate(urls)
            prepare()
            assert run_in_process(urls, "run").success
            (home / "models.made").touch()
    return TEMPLATE


@pytest.fixture(scope="session")
def models_database(server: DatabaseUrls, models_template: str) -> Iterator[DatabaseUrls]:
    """A database of this worker's own with BASE views, the key function and CORE."""
    with copied_database(server, models_template) as urls:
        yield urls


def empty(connection: psycopg.Connection[Any]) -> None:
    """Leave every table as it is before anything lands."""
    tables = [sql.Identifier("RAW", table) for table in SOURCES]
    tables += [sql.Identifier("CORE", table) for table in EMPTIED]
    connection.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(tables)))
    connection.execute('UPDATE "CORE"."CORE_RAW_CUT" SET cut_id = 0, keyed_to = 0')
    posting = sql.SQL(", ").join(sql.Identifier("CORE", table) for table in OF_POSTING)
    connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(posting))
    connection.execute('INSERT INTO "CORE"."CORE_WORK_FEED" DEFAULT VALUES')


@pytest.fixture
def models(models_database: DatabaseUrls) -> Iterator[Warehouse]:
    """A warehouse with every model in it and no rows; emptying is faster than copying."""
    with psycopg.connect(models_database.psycopg, autocommit=True) as connection:
        empty(connection)
        yield Warehouse(models_database, connection)


@pytest.fixture
def platform(models: Warehouse, sandbox: Sandbox, tmp_path: Path) -> Platform:
    settings = Settings(
        _env_file=None,
        database_url=models.urls.psycopg,
        repayment_home=tmp_path / "home",
        fineract_base_url=SANDBOX,
        sandbox_port=sandbox.port,
    )
    loans = [{"externalId": f"DMI-APP-{n}"} for n in range(1, 10)]
    httpx.post(f"{sandbox.root_url}/sandbox/loans", json=loans).raise_for_status()
    return Platform(models, settings, sandbox, tmp_path)
