"""What tests stand on: a real PostgreSQL, a migrated database of their own, a real sandbox.

One embedded server serves all workers of a test run; each test gets a copy of a migrated
template, so tests neither wait for migrations nor see each other's rows.
"""

import fcntl
import os
import shutil
import socket
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from repayment_platform.sandbox.process import running_sandbox
from repayment_platform.settings import API_PATH, SANDBOX, Settings
from repayment_platform.warehouse.embedded import embedded_postgres
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.urls import DatabaseUrls

RUN_HOME = "REPAYMENT_TEST_HOME"
TEMPLATE = "template"
# Losing power in the middle of a test run loses nothing.
CARELESS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ[RUN_HOME] = tempfile.mkdtemp(prefix="repayment-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(RUN_HOME), ignore_errors=True)


@pytest.fixture(scope="session")
def server() -> Iterator[DatabaseUrls]:
    """The test run's embedded server, with the template database."""
    home = Path(os.environ[RUN_HOME])
    with embedded_postgres(home) as urls, (home / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "template.made").exists():
            with psycopg.connect(urls.psycopg, autocommit=True) as admin:
                for name, value in CARELESS.items():
                    admin.execute(f"ALTER SYSTEM SET {name} = {value}")
                admin.execute("SELECT pg_reload_conf()")
                admin.execute(f'CREATE DATABASE "{TEMPLATE}"')
            migrate(urls.with_database(TEMPLATE))
            (home / "template.made").touch()
        fcntl.flock(lock, fcntl.LOCK_UN)
        yield urls


@pytest.fixture
def empty_database(server: DatabaseUrls) -> Iterator[DatabaseUrls]:
    """A database of this test's own with nothing in it."""
    with copied_database(server, "template1") as urls:
        yield urls


@pytest.fixture
def database_urls(server: DatabaseUrls) -> Iterator[DatabaseUrls]:
    """A migrated database of this test's own."""
    with copied_database(server, TEMPLATE) as urls:
        yield urls


@contextmanager
def copied_database(server: DatabaseUrls, template: str) -> Iterator[DatabaseUrls]:
    """A copy of a database of the test run's server, for as long as the block runs."""
    name = f"test_{uuid.uuid4().hex}"
    names = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
    create = sql.SQL("CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    with psycopg.connect(server.psycopg, autocommit=True) as admin:
        admin.execute(create.format(**names))
        yield server.with_database(name)
        admin.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))


@pytest.fixture
def connection(database_urls: DatabaseUrls) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_urls.psycopg, autocommit=True) as opened:
        yield opened


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox process."""

    port: int

    @property
    def root_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return self.root_url + API_PATH


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox with an empty ledger; code under test joins it as any command would."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with running_sandbox(tmp_path / "home", port):
        yield Sandbox(port)


@pytest.fixture
def settings(database_urls: DatabaseUrls, sandbox: Sandbox, tmp_path: Path) -> Settings:
    """Settings of a platform that uses this test's database and sandbox."""
    return Settings(
        _env_file=None,
        database_url=database_urls.psycopg,
        repayment_home=tmp_path / "home",
        fineract_base_url=SANDBOX,
        sandbox_port=sandbox.port,
    )
