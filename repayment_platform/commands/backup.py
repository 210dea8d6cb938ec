"""`./run backup`, `./run restore`, `./run restored`: the warehouse as one file, and back.

What belongs here: calling PostgreSQL's own programs. What does not: what to think of before and
after a restore (`docs/operations.md`).
"""

import getpass
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from psycopg import sql

from repayment_platform.commands.platform import settings_told
from repayment_platform.settings import load_settings
from repayment_platform.warehouse.audit import record
from repayment_platform.warehouse.cluster import program
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.server import warehouse
from repayment_platform.warehouse.urls import DatabaseUrls

SCHEMAS = ("BASE", "CORE", "RAW", "dagster", "public")
"""All that is the platform's; Dagster's own records are in it, so its run keys come back too."""
_OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
_OUTLIVED = """UPDATE "CORE"."CORE_LEDGER_ANSWER" SET incarnation = 'former'"""
_ANOTHER_COURSE = """UPDATE "CORE"."CORE_LEDGER_IDENTITY" SET first_course = 'former'"""
File = Annotated[Path, typer.Argument(dir_okay=False)]


def backup(file: File) -> None:
    """Write the whole warehouse to FILE, as of one moment; the platform may run meanwhile."""
    with warehouse(load_settings()) as urls:
        migrate(urls)
        write(urls, file)
    typer.echo(f"{file}: {file.stat().st_size / 1024**2:.1f} MiB")


def restore(
    file: File,
    replace: Annotated[
        bool, typer.Option("--replace", help="What the warehouse holds now may be lost.")
    ] = False,
) -> None:
    """Make the warehouse what it was when FILE was written. Stop the platform first.

    Payments posted since are found in Fineract by the next run and not posted again. What it will
    not send it asks Fineract about again: no answer outlives a restore. What landed since must be
    sent again.
    """
    if not replace:
        sys.exit("restore replaces the whole warehouse; say --replace if that is meant")
    with warehouse(settings_told()) as urls:
        read(urls, file)
        migrate(urls)
    typer.echo(
        f"restored from {file}; the next run asks Fineract again about what it will not send. See "
        "docs/operations.md for what to do next"
    )


def restored(
    why: Annotated[str, typer.Option(help="Which snapshot, for the audit log.")],
    by: Annotated[str, typer.Option(help="Who says so.")] = getpass.getuser(),
) -> None:
    """Say that the warehouse came back by a snapshot of its disk or machine.

    It cannot tell that by itself, as it can of `./run restore`, of another database and of a
    recovery from a base backup. The next run asks Fineract again about what it will not send.
    """
    with warehouse(settings_told()) as urls:
        migrate(urls)
        with psycopg.connect(urls.psycopg) as connection:
            asked = connection.execute(_OUTLIVED).rowcount
            connection.execute(_ANOTHER_COURSE)
            record(connection, by, "warehouse.restored", "warehouse", why=why)
    typer.echo(f"the next run asks Fineract again about {asked} payments")


def write(urls: DatabaseUrls, file: Path) -> None:
    """pg_dump into a file beside it, which then takes its place."""
    beside = file.with_name(f"{file.name}.part")
    _call("pg_dump", "--format=custom", f"--file={beside}", f"--dbname={_owners(urls)}")
    beside.replace(file)


def read(urls: DatabaseUrls, file: Path) -> None:
    """Ends the command when others use the database, or the file is no backup."""
    _call("pg_restore", "--list", str(file), quiet=True)
    with psycopg.connect(_owners(urls), autocommit=True) as connection:
        others = connection.execute(_OTHERS).fetchone()
        if others and others[0]:
            sys.exit(f"restore: {others[0]} others use the database; stop the platform first")
        for schema in SCHEMAS:
            drop = sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE")
            connection.execute(drop.format(sql.Identifier(schema)))
        connection.execute("CREATE SCHEMA public")
    wanted = ("--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges")
    _call("pg_restore", *wanted, f"--dbname={_owners(urls)}", str(file))


def _owners(urls: DatabaseUrls) -> str:
    """As the role that may read everything, and make it anew."""
    return (urls.owner or urls).psycopg


def _call(name: str, *arguments: str, quiet: bool = False) -> None:
    done = subprocess.run(
        (program(name), *arguments), check=False, stdout=subprocess.DEVNULL if quiet else None
    )
    if done.returncode:
        sys.exit(f"{name} failed; see above")
