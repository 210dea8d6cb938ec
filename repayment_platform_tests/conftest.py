"""What tests stand on: a real PostgreSQL, a database of their own, a real sandbox.

One embedded server serves all workers of a test run. Each worker has databases that are copies of
a template, and one sandbox; they are emptied between tests. So tests neither wait for migrations or
dbt nor see each other's rows. What a fixture costs stands in `docs/testing.md`.

What is slow to import is imported by the fixture that needs it: a test of pure code needs none.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx
    import psycopg

    from repayment_platform.settings import Settings
    from repayment_platform.warehouse.urls import DatabaseUrls
    from repayment_platform_tests.certificates import Certificates
    from repayment_platform_tests.command import Commands
    from repayment_platform_tests.databases import Emptied

pytest_plugins = ("repayment_platform_tests.timings",)
RUN_HOME = "REPAYMENT_TEST_HOME"
"""The folder that all workers of a run share, as `databases` and `dbt_once` know it."""
TEMPLATE = "template"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--whole",
        action="store_true",
        help="also the tests of whole installations: browser, daemons, kills, long campaigns",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked `whole`, unless it was asked for or named."""
    if config.getoption("whole") or names_tests(config):
        return
    left_out = [item for item in items if item.get_closest_marker("whole")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Number bytes in names of tests: an archive carries its time, and workers must agree."""
    return argname if isinstance(val, bytes) else None


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not (config.getoption("whole") or names_tests(config)):
        terminalreporter.write_line("Tests of whole installations were left out; see --whole.")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """One named test needs no workers, which take longer to start than most tests to run."""
    return 0 if names_tests(config) else None


def names_tests(config: pytest.Config) -> bool:
    """Whether single tests were asked for, and not files or folders."""
    return all("::" in argument for argument in config.args)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ[RUN_HOME] = tempfile.mkdtemp(prefix="repayment-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(RUN_HOME), ignore_errors=True)


# ── databases ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="session")
def server() -> Iterator["DatabaseUrls"]:
    """The test run's embedded server."""
    from repayment_platform.warehouse.embedded import embedded_postgres
    from repayment_platform_tests.databases import be_careless, made_once, run_home

    with embedded_postgres(run_home()) as urls:
        made_once("careless", lambda: be_careless(urls))
        yield urls


@pytest.fixture(scope="session")
def migrated_template(server: "DatabaseUrls") -> str:
    """Name of a migrated database."""
    from repayment_platform.warehouse.migrate import migrate
    from repayment_platform_tests.databases import create_database, keep_pristine, made_once

    def make() -> None:
        create_database(server, TEMPLATE, "template1")
        migrate(server.with_database(TEMPLATE))
        keep_pristine(server.with_database(TEMPLATE))

    made_once(TEMPLATE, make)
    return TEMPLATE


@pytest.fixture(scope="session")
def models_template(server: "DatabaseUrls") -> str:
    """Name of a migrated database in which dbt has built every model, without rows."""
    from repayment_platform.warehouse.migrate import migrate
    from repayment_platform_tests import dbt_once
    from repayment_platform_tests.databases import create_database, keep_pristine, made_once

    def make() -> None:
        urls = server.with_database(dbt_once.TEMPLATE)
        create_database(server, dbt_once.TEMPLATE, "template1")
        migrate(urls)
        dbt_once.build_and_record(urls)
        keep_pristine(urls)

    made_once(dbt_once.TEMPLATE, make)
    return dbt_once.TEMPLATE


@pytest.fixture(scope="session")
def migrated_database(server: "DatabaseUrls", migrated_template: str) -> Iterator["Emptied"]:
    """This worker's migrated database."""
    from repayment_platform_tests.databases import Emptied

    with Emptied(server, migrated_template) as database:
        yield database


@pytest.fixture(scope="session")
def built_database(server: "DatabaseUrls", models_template: str) -> Iterator["Emptied"]:
    """This worker's database with every model of dbt in it."""
    from repayment_platform_tests.databases import Emptied

    with Emptied(server, models_template) as database:
        yield database


@pytest.fixture
def empty_database(server: "DatabaseUrls") -> Iterator["DatabaseUrls"]:
    """A database of this test's own with nothing in it."""
    from repayment_platform_tests.databases import copied_database

    with copied_database(server, "template1") as urls:
        yield urls


@pytest.fixture
def migrated_urls(migrated_database: "Emptied") -> Iterator["DatabaseUrls"]:
    """A migrated database without rows; dbt has built nothing yet."""
    yield migrated_database.urls
    migrated_database.restore()


@pytest.fixture
def built_urls(built_database: "Emptied") -> Iterator["DatabaseUrls"]:
    """A database in which dbt has built every model, without rows."""
    yield built_database.urls
    built_database.restore()


@pytest.fixture
def database_urls(migrated_urls: "DatabaseUrls") -> "DatabaseUrls":
    """The database of this test; where dbt's tables are read, a folder says `built_urls` here."""
    return migrated_urls


@pytest.fixture
def connection(database_urls: "DatabaseUrls") -> "Iterator[psycopg.Connection[Any]]":
    import psycopg

    with psycopg.connect(database_urls.psycopg, autocommit=True) as opened:
        yield opened


@pytest.fixture
def clock(database_urls: "DatabaseUrls") -> Callable[[date | None], None]:
    """Chooses the day on which what this test lands from now on has landed; None: when it does."""
    import psycopg

    from repayment_platform_tests.databases import set_clock

    def stand_on(today: date | None) -> None:
        with psycopg.connect(database_urls.psycopg) as connection:
            set_clock(connection, today)

    return stand_on


# ── Fineract ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox process, and the home that it belongs to."""

    port: int
    home: Path

    @property
    def root_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        from repayment_platform.settings import API_PATH

        return self.root_url + API_PATH

    def get(self, what: str) -> Any:
        """What its side door shows: `ledger`, `requests`, `health`."""
        return side_door().get(f"{self.root_url}/sandbox/{what}").raise_for_status().json()

    def post(self, what: str, body: Any = None) -> None:
        """Do something at its side door: `loans`, `undo/…`, `faults`, `empty`."""
        side_door().post(f"{self.root_url}/sandbox/{what}", json=body).raise_for_status()


@cache
def side_door() -> "httpx.Client":
    """One client for all tests: making one takes longer than most of its requests."""
    import httpx

    return httpx.Client(trust_env=False, timeout=20)


@pytest.fixture(scope="session")
def workers_sandbox() -> Iterator[Sandbox]:
    """The sandbox of this worker of the test run."""
    from repayment_platform.sandbox.process import running_sandbox
    from repayment_platform_tests.databases import run_home
    from repayment_platform_tests.ports import free_port

    home = run_home() / f"sandbox-{os.getpid()}"
    port = free_port()
    with running_sandbox(home, port):
        yield Sandbox(port, home)


@pytest.fixture
def sandbox(workers_sandbox: Sandbox) -> Iterator[Sandbox]:
    """A sandbox with an empty ledger; code under test joins it as any command would."""
    from repayment_platform.sandbox.process import running_sandbox

    # A test may have killed it.
    with running_sandbox(workers_sandbox.home, workers_sandbox.port):
        workers_sandbox.post("empty")
        yield workers_sandbox


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> "Certificates":
    """Good and bad ones, for Fineract stand-ins on TLS."""
    from repayment_platform_tests.certificates import make_certificates

    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def settings(database_urls: "DatabaseUrls", sandbox: Sandbox) -> "Settings":
    """Settings of a platform that uses this test's database and sandbox."""
    return settings_of(database_urls, sandbox)


def settings_of(urls: "DatabaseUrls", sandbox: Sandbox) -> "Settings":
    """Settings of a platform with this database and this sandbox."""
    from repayment_platform.settings import SANDBOX, Settings

    return Settings(
        _env_file=None,
        database_url=urls.psycopg,
        repayment_home=sandbox.home,
        fineract_base_url=SANDBOX,
        sandbox_port=sandbox.port,
    )


# ── commands ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def run(database_urls: "DatabaseUrls") -> "Commands":
    """`./run …` on this test's database, in this process; commands that need no Fineract."""
    from repayment_platform_tests.command import commands_on

    return commands_on(database_urls)


@pytest.fixture
def run_with_fineract(database_urls: "DatabaseUrls", sandbox: Sandbox) -> "Commands":
    """`./run …` on this test's database and sandbox, in this process."""
    from repayment_platform_tests.command import commands_on

    return commands_on(database_urls, sandbox)
