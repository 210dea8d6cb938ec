"""The database server of a campaign, and a database for each seed.

What belongs here: starting, restarting and cloning, and the triggers that write down who changed
what. What does not: what is done in the databases (`play`).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from repayment_platform.warehouse.dbt import run_dbt
from repayment_platform.warehouse.embedded import embedded_postgres, program
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.postmaster import Postmaster
from repayment_platform.warehouse.server_user import server_user
from repayment_platform.warehouse.urls import DatabaseUrls

_TEMPLATE = "template"
_PATIENCE_SECONDS = 20.0
# A crash of the server must lose nothing; losing power is no part of the campaign.
_CARELESS = {"fsync": "off", "full_page_writes": "off"}

# Every version of the rows that tell what the engine did, with the run that wrote it.
_WITNESS = """
CREATE SCHEMA witness;
CREATE TABLE witness.saw (
    id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
    writer text NOT NULL DEFAULT current_setting('application_name'),
    what text NOT NULL, old jsonb, new jsonb);
CREATE FUNCTION witness.see() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO witness.saw (what, old, new)
    VALUES (TG_TABLE_NAME, to_jsonb(OLD), to_jsonb(NEW));
    RETURN NULL;
END $$;
"""
_WITNESSED = ("CORE_POSTING_ATTEMPT", "CORE_TRANSACTION_DATA_PROCESSED", "CORE_OPEN_WORK")
_SEE = """
CREATE TRIGGER witness AFTER INSERT OR UPDATE OR DELETE ON "CORE"."{table}"
FOR EACH ROW EXECUTE FUNCTION witness.see()
"""


@dataclass(frozen=True)
class Database:
    """The database of one seed; every question waits for a server that is restarting."""

    urls: DatabaseUrls

    def ask(self, query: str, parameters: Any = None) -> list[dict[str, Any]]:
        """The rows, once; what is asked must bear being asked again when the server dies."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                with psycopg.connect(
                    self.urls.psycopg, row_factory=dict_row, application_name="campaign"
                ) as connection:
                    cursor = connection.execute(query, parameters)
                    return cursor.fetchall() if cursor.description else []
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)


class Place:
    """A database server of the campaign's own; it may be restarted under everybody's feet."""

    def __init__(self, home: Path, urls: DatabaseUrls) -> None:
        self.home = home
        self._urls = urls

    @contextmanager
    def database(self, name: str) -> Iterator[Database]:
        """A migrated database with nothing in it."""
        admin = Database(self._urls.with_database("postgres"))
        with _autocommit(admin.urls) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE {_TEMPLATE} STRATEGY file_copy')
        yield Database(self._urls.with_database(name))
        with _autocommit(admin.urls) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def restart(self, mode: str) -> None:
        """Restart the server; `immediate` is a crash and its recovery, `fast` ends sessions."""
        data = self.home / "pgdata"
        where = ("-D", str(data), "-l", str(data / "server.log"))
        restart = (program("pg_ctl"), "restart", "-m", mode, "-w", "-s", *where)
        done = server_user(data).run(restart)
        if done.returncode or not Postmaster(data).alive():
            raise RuntimeError(f"PostgreSQL did not restart: {done.stdout}")


@contextmanager
def place(home: Path) -> Iterator[Place]:
    """A running server below `home` with the template that databases are copied from."""
    with embedded_postgres(home) as urls:
        with _autocommit(urls) as admin:
            for name, value in _CARELESS.items():
                admin.execute(f"ALTER SYSTEM SET {name} = {value}")
            admin.execute(f"CREATE DATABASE {_TEMPLATE}")
        template = urls.with_database(_TEMPLATE)
        migrate(template)
        if run_dbt(template, ("run", "--quiet"), home / "dbt"):
            raise RuntimeError("dbt did not build the models")
        with _autocommit(template) as connection:
            connection.execute(_WITNESS)
            for table in _WITNESSED:
                connection.execute(_SEE.format(table=table))
        yield Place(home, urls)


def _autocommit(urls: DatabaseUrls) -> psycopg.Connection[Any]:
    return psycopg.connect(urls.psycopg, autocommit=True, connect_timeout=20)
