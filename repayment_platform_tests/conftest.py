"""What tests stand on: a real PostgreSQL, a database of their own, a real sandbox.

One embedded server serves all workers of a test run; each test gets a copy of a template, so tests
neither wait for migrations or dbt nor see each other's rows. Each worker has one sandbox, which is
emptied between tests. What a fixture costs stands in `docs/testing.md`.

What is slow to import is imported by the fixture that needs it: a test of pure code needs none.
"""

import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx
    import psycopg

    from repayment_platform.settings import Settings
    from repayment_platform.warehouse.urls import DatabaseUrls
    from repayment_platform_tests.command import Commands

pytest_plugins = ("repayment_platform_tests.timings",)
RUN_HOME = "REPAYMENT_TEST_HOME"
TEMPLATE = "template"
# Losing power in the middle of a test run loses nothing.
CARELESS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


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
    import psycopg

    from repayment_platform.warehouse.embedded import embedded_postgres

    def be_careless() -> None:
        with psycopg.connect(urls.psycopg, autocommit=True) as admin:
            for name, value in CARELESS.items():
                admin.execute(f"ALTER SYSTEM SET {name} = {value}")
            admin.execute("SELECT pg_reload_conf()")

    with embedded_postgres(run_home()) as urls:
        made_once("careless", be_careless)
        yield urls


@pytest.fixture(scope="session")
def migrated_template(server: "DatabaseUrls") -> str:
    """Name of a migrated database."""
    from repayment_platform.warehouse.migrate import migrate

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
    with Emptied(server, migrated_template) as database:
        yield database


@pytest.fixture(scope="session")
def built_database(server: "DatabaseUrls", models_template: str) -> Iterator["Emptied"]:
    """This worker's database with every model of dbt in it."""
    with Emptied(server, models_template) as database:
        yield database


@pytest.fixture
def empty_database(server: "DatabaseUrls") -> Iterator["DatabaseUrls"]:
    """A database of this test's own with nothing in it."""
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


def run_home() -> Path:
    """Where a run of the suite keeps what its workers share."""
    return Path(os.environ[RUN_HOME])


def made_once(name: str, make: Callable[[], None]) -> None:
    """Have one worker make it; the others wait until it is there."""
    made = run_home() / f"{name}.made"
    with (run_home() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            make()
            made.touch()


def keep_pristine(urls: "DatabaseUrls") -> None:
    """Have a template remember what it is like, for `Emptied`."""
    import psycopg

    with psycopg.connect(urls.psycopg) as connection:
        connection.execute(Path(__file__).with_name("pristine.sql").read_bytes())


class Emptied:
    """A copy of a template that is made as it was after each test.

    Its rows are; where a test has changed more than rows, such as a view or an index, another
    copy takes its place.
    """

    _RESTORE = "SELECT CASE WHEN pristine.shape() = %s THEN pristine.restore() IS NOT NULL END"
    _OTHERS = """
        SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
    """

    def __init__(self, server: "DatabaseUrls", template: str) -> None:
        self._server, self._template = server, template

    def __enter__(self) -> "Emptied":
        import psycopg

        self._copy = copied_database(self._server, self._template)
        self.urls = self._copy.__enter__()
        with psycopg.connect(self.urls.psycopg) as connection:
            row = connection.execute("SELECT pristine.shape()").fetchone()
        assert row
        self._shape = row[0]
        return self

    def __exit__(self, *_: object) -> None:
        self._copy.__exit__(None, None, None)

    def restore(self) -> None:
        """Make it as it was; ends whatever still uses it."""
        import psycopg

        try:
            with psycopg.connect(self.urls.psycopg, autocommit=True) as connection:
                connection.execute(self._OTHERS)
                row = connection.execute(self._RESTORE, (self._shape,)).fetchone()
            is_restored = bool(row and row[0])
        except psycopg.Error:
            is_restored = False  # without the functions, or closed: a test has done that too
        if not is_restored:
            self.__exit__()
            self.__enter__()


def create_database(server: "DatabaseUrls", name: str, template: str) -> None:
    import psycopg
    from psycopg import sql

    create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
    with psycopg.connect(server.psycopg, autocommit=True) as admin:
        admin.execute(create.format(sql.Identifier(name), sql.Identifier(template)))


@contextmanager
def copied_database(server: "DatabaseUrls", template: str) -> Iterator["DatabaseUrls"]:
    """A copy of a database of the test run's server, for as long as the block runs."""
    import psycopg
    from psycopg import sql

    name = f"test_{uuid.uuid4().hex}"
    create_database(server, name, template)
    yield server.with_database(name)
    with psycopg.connect(server.psycopg, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


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
