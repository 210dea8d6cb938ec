"""`./run backup`, `./run restore`, `./run restored`: the warehouse as one file, and back.

What belongs here: the commands and what they say. What does not: writing and reading the file
(`warehouse.dump`), what to think of before and after a restore (`docs/backup.md`).
"""

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from psycopg import sql
from rich.console import Console

from repayment_platform.commands.platform import settings_told
from repayment_platform.settings import load_settings
from repayment_platform.sources.dates import KOLKATA
from repayment_platform.sources.registry import SOURCES
from repayment_platform.warehouse import dump
from repayment_platform.warehouse.audit import record
from repayment_platform.warehouse.migrate import migrate, upgrade
from repayment_platform.warehouse.server import warehouse
from repayment_platform.warehouse.urls import DatabaseUrls

_OUTLIVED = """UPDATE "CORE"."CORE_LEDGER_ANSWER" SET incarnation = 'former'"""
_ANOTHER_COURSE = """UPDATE "CORE"."CORE_LEDGER_IDENTITY" SET first_course = 'former'"""


def backup(
    file: Annotated[
        Path, typer.Argument(dir_okay=False, help="What stands there is replaced when it is whole.")
    ],
    files: Annotated[
        Path | None,
        typer.Option(
            metavar="ARCHIVE",
            dir_okay=False,
            help="Also write the inboxes and the logs of Dagster's runs, as .tar.gz.",
        ),
    ] = None,
) -> None:
    """Write the whole warehouse to FILE, as of one moment; the platform may run meanwhile.

    FILE is for its owner's eyes only: it holds names, loans and payments. It appears when it is
    whole and on the disk, or not at all. What else belongs to a platform: docs/backup.md.
    """
    settings = load_settings()
    with warehouse(settings) as urls:
        migrate(urls)
        if files:  # first: what lands meanwhile is in the dump then
            from repayment_platform.landing.kept_files import write_archive

            count = write_archive(settings.home, files)
            typer.echo(f"{files}: {count:,} files, {_size(files.stat().st_size)}")
        with _saying(f"writing {file}", "written") as say:
            dump.write(urls, file, say)
    typer.echo(f"{file}: {_size(file.stat().st_size)}")


def restore(
    file: Annotated[
        Path, typer.Argument(dir_okay=False, exists=True, help="What ./run backup wrote.")
    ],
    replace: Annotated[
        bool, typer.Option("--replace", help="What the warehouse holds now may be lost.")
    ] = False,
) -> None:
    """Make the warehouse what it was when FILE was written: all of it, or nothing changes.

    Stop the platform first. A warehouse in which something has landed is replaced only with
    --replace.

    Payments posted since are found in Fineract by the next run and not posted again. What it will
    not send it asks Fineract about again: no answer outlives a restore. What landed since must be
    sent again: docs/backup.md.
    """
    settings = settings_told()
    begun = dump.check(file)
    typer.echo(f"{file}: {_size(file.stat().st_size)}, begun {begun}", err=True)
    with warehouse(settings) as urls:
        if not replace and not dump.empty(urls):
            sys.exit("restore: something has landed in this warehouse; --replace if it may be lost")
        with _saying("restoring", "of tables read") as say:
            dump.replace(urls, file, say)
        upgrade(urls)  # the rights are not in the dump
        counted = dump.rows(urls)
        newest = _newest(urls)
    each = ", ".join(f"{schema} {rows:,}" for schema, rows in counted.items())
    typer.echo(f"restored {sum(counted.values()):,} rows: {each}")
    typer.echo(f"What landed last, landed {newest}; send again what came since (docs/backup.md).")
    typer.echo("The next run asks Fineract again about what it will not send.")


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


@contextmanager
def _saying(doing: str, done: str) -> Iterator[dump.Say]:
    """Show how far it is, where somebody looks."""
    with Console(stderr=True).status(doing) as line:
        yield lambda size: line.update(f"{doing}: {_size(size)} {done}")


def _size(bytes_: int) -> str:
    return f"{bytes_ / 1024**2:,.1f} MiB"


def _newest(urls: DatabaseUrls) -> str:
    """When the latest row landed, of all RAW tables, in Asia/Kolkata."""
    tables = sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT max(landed_at) AS landed_at FROM {}").format(sql.Identifier("RAW", table))
        for table in SOURCES
    )
    with psycopg.connect(urls.psycopg) as connection:
        query = sql.SQL("SELECT max(landed_at) FROM ({}) AS each_table").format(tables)
        row = connection.execute(query).fetchone()
    if not row or row[0] is None:
        return "never"
    moment: datetime = row[0]
    return f"{moment.astimezone(KOLKATA):%Y-%m-%d %H:%M:%S} (Asia/Kolkata)"
