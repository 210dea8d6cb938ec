"""Databases of tests: made from templates, emptied between tests.

What belongs here: making, copying and emptying them. What does not: which test has which
(`conftest`), what dbt makes in them (`dbt_once`).
"""

import fcntl
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from repayment_platform.warehouse.urls import DatabaseUrls

CARELESS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
"""Losing power in the middle of a test run loses nothing."""


def be_careless(urls: DatabaseUrls) -> None:
    """Have the server of a test run not wait for the disk."""
    with psycopg.connect(urls.psycopg, autocommit=True) as admin:
        for name, value in CARELESS.items():
            admin.execute(f"ALTER SYSTEM SET {name} = {value}")
        admin.execute("SELECT pg_reload_conf()")


def run_home() -> Path:
    """Where a run of the suite keeps what its workers share."""
    return Path(os.environ["REPAYMENT_TEST_HOME"])


def made_once(name: str, make: Callable[[], None]) -> None:
    """Have one worker make it; the others wait until it is there."""
    made = run_home() / f"{name}.made"
    with (run_home() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            make()
            made.touch()


TODAY = date(2025, 12, 31)
"""The day on which what a test lands has landed, unless the test chooses another: no test depends
on when it runs."""


def keep_pristine(urls: DatabaseUrls) -> None:
    """Have a template remember what it is like, for `Emptied`; the clock of its copies stands on
    `TODAY`."""
    with psycopg.connect(urls.psycopg) as connection:
        connection.execute(Path(__file__).with_name("pristine.sql").read_bytes())
        connection.execute("INSERT INTO pristine.clock DEFAULT VALUES")
        set_clock(connection, TODAY)
        connection.execute("UPDATE pristine.clock SET at_first = later")


def set_clock(connection: psycopg.Connection[Any], today: date | None) -> None:
    """Have what lands from now on have landed on that day (Asia/Kolkata); None: when it does.

    The day is that of RAW's rows alone. It goes back when the database is emptied.
    """
    connection.execute("SELECT pristine.set_clock(%s)", (today,))


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

    def __init__(self, server: DatabaseUrls, template: str) -> None:
        self._server, self._template = server, template

    def __enter__(self) -> "Emptied":
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


def create_database(server: DatabaseUrls, name: str, template: str) -> None:
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
    with psycopg.connect(server.psycopg, autocommit=True) as admin:
        admin.execute(create.format(sql.Identifier(name), sql.Identifier(template)))


@contextmanager
def copied_database(server: DatabaseUrls, template: str) -> Iterator[DatabaseUrls]:
    """A copy of a database of the test run's server, for as long as the block runs."""
    name = f"test_{uuid.uuid4().hex}"
    create_database(server, name, template)
    yield server.with_database(name)
    with psycopg.connect(server.psycopg, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
