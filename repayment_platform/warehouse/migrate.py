"""Bringing a database to the state this code expects.

What belongs here: running the migrations and making what they do not: Dagster's schema and the
what follows from the registry. What does not: the SQL of a migration (`migrations/versions`).

alembic and SQLAlchemy are imported only when there is something to do; they take longer to
load than most commands take to run.
"""

from pathlib import Path

import psycopg
from psycopg import sql

from repayment_platform.sources.registry import SOURCES
from repayment_platform.warehouse import WarehouseUnavailable
from repayment_platform.warehouse.advisory import take
from repayment_platform.warehouse.raw_tables import make_is_issued, make_raw_tables
from repayment_platform.warehouse.rights import grant_rights
from repayment_platform.warehouse.urls import DAGSTER_SCHEMA, DatabaseUrls

MIGRATIONS = Path(__file__).with_name("migrations")
WAIT_SECONDS = 600.0
_LOCK = int.from_bytes(b"migrate")
_IS_CURRENT = """
SELECT to_regnamespace(%(dagster)s) IS NOT NULL
   AND (SELECT array_agg(version_num) = ARRAY[%(head)s::varchar] FROM public.alembic_version)
   AND (SELECT array_agg(raw_table) FROM "CORE"."CORE_RAW_CUT") @> %(raw_tables)s::text[]
"""
_MAY_MIGRATE = """
SELECT coalesce(
    (SELECT pg_has_role(c.relowner, 'USAGE')
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'CORE' AND c.relname = 'CORE_RAW_CUT'),
    has_database_privilege(current_database(), 'CREATE')
)
"""


def migrate(urls: DatabaseUrls) -> None:
    """Upgrade the database; one query and nothing else when it is up to date.

    All or nothing, and safe when several processes do it at once: the second waits.

    Raises:
        WarehouseUnavailable: it is not up to date, and this role may not change that.
    """
    if not is_current(urls):
        upgrade(urls)


def is_current(urls: DatabaseUrls) -> bool:
    """Whether the database is at the newest migration and has every RAW table."""
    expected = {"dagster": DAGSTER_SCHEMA, "head": _head(), "raw_tables": list(SOURCES)}
    with psycopg.connect(urls.psycopg, autocommit=True) as connection:
        try:
            row = connection.execute(_IS_CURRENT, expected).fetchone()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
            return False
    return bool(row and row[0])


def _head() -> str:
    """The newest revision; file names start with it and count up."""
    return max(path.name for path in MIGRATIONS.glob("versions/[0-9]*.py")).split("_")[0]


def upgrade(urls: DatabaseUrls) -> None:
    """Run the missing migrations, and grant each role what it may do, whatever was there."""
    owner = urls.owner or urls
    if not may_migrate(owner):
        raise WarehouseUnavailable(
            f"the database is not at revision {_head()}, and {owner.user} may not migrate it: run "
            "./run migrate with MIGRATION_DATABASE_URL set to its owner's address"
        )
    _run_migrations(owner)


def may_migrate(urls: DatabaseUrls) -> bool:
    """Whether the role owns the tables, or may make them in a database that has none."""
    with psycopg.connect(urls.psycopg, autocommit=True) as connection:
        row = connection.execute(_MAY_MIGRATE).fetchone()
    return bool(row and row[0])


def _run_migrations(urls: DatabaseUrls) -> None:
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    with create_engine(urls.sqlalchemy, poolclass=NullPool).begin() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None  # noqa: S101 - the connection is open
        connection.exec_driver_sql("SELECT 1")  # begins the transaction that the lock is of
        take(driver, _LOCK, "migrating", WAIT_SECONDS, in_transaction=True)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        schema = sql.Identifier(DAGSTER_SCHEMA)
        driver.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))
        make_raw_tables(driver)
        make_is_issued(driver)
        grant_rights(driver)
