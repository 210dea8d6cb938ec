"""A database on which dbt has been built once, copied for each test; rows to land in it."""

import fcntl
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from repayment_platform.warehouse.dbt import run_dbt
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.transformation.warehouse import Warehouse

TEMPLATE = "template_with_models"


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
            assert run_dbt(urls, ["run", "--quiet"]) == 0
            (home / "models.made").touch()
    return TEMPLATE


@pytest.fixture
def models(server: DatabaseUrls, models_template: str) -> Iterator[Warehouse]:
    """A warehouse of this test's own with BASE views, the key function and an empty CORE."""
    names = {
        "name": sql.Identifier(name := f"test_{uuid.uuid4().hex}"),
        "template": sql.Identifier(models_template),
    }
    create = sql.SQL("CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    with psycopg.connect(server.psycopg, autocommit=True) as admin:
        admin.execute(create.format(**names))
        urls = server.with_database(name)
        with psycopg.connect(urls.psycopg, autocommit=True) as connection:
            yield Warehouse(urls, connection)
        admin.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))
