"""`./run sql`: one statement on the warehouse, for a user without psql.

What belongs here: running it and showing its rows. What does not: statements of our own.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import psycopg
import typer

from repayment_platform.commands.platform import settings_told
from repayment_platform.display import csv_line
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.server import warehouse

DISPLAY_TIMEZONE = "Asia/Kolkata"


def sql(
    statement: Annotated[str, typer.Argument(help="One or more SQL statements.")],
    as_csv: Annotated[bool, typer.Option("--csv", help="Write CSV instead of a table.")] = False,
) -> None:
    """Run SQL on the warehouse, whether or not the platform is up.

    Reads and writes; times are shown in Asia/Kolkata. Exits with 1 when the database refuses.
    """
    with warehouse(settings_told()) as urls:
        migrate(urls)
        try:
            with psycopg.connect(urls.psycopg, autocommit=True) as connection:
                connection.execute(f"SET timezone = '{DISPLAY_TIMEZONE}'")
                _show(connection.execute(statement.encode()), as_csv)
        except psycopg.Error as error:
            raise SystemExit(_one_line(error)) from None


def _show(cursor: psycopg.Cursor[Any], as_csv: bool) -> None:
    while True:
        if cursor.description is None:
            typer.echo(cursor.statusmessage, err=as_csv)
        else:
            header = [column.name for column in cursor.description]
            (_write_csv if as_csv else _print_table)(header, cursor)
        if not cursor.nextset():
            return


def _write_csv(header: Sequence[str], rows: psycopg.Cursor[Any]) -> None:
    sys.stdout.write(csv_line(header))
    for row in rows:
        sys.stdout.write(csv_line(row))


def _print_table(header: Sequence[str], rows: psycopg.Cursor[Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for name in header:
        table.add_column(Text(name))
    for row in rows:
        table.add_row(*_cells(row))
    # A pipe is no terminal: there a row is a line, however long.
    console = Console() if sys.stdout.isatty() else Console(width=10_000)
    console.print(table)
    console.print(f"({rows.rowcount} row{'' if rows.rowcount == 1 else 's'})")


def _cells(row: Sequence[Any]) -> Iterator[Any]:
    from rich.text import Text

    for value in row:
        yield Text("") if value is None else Text(str(value))


def _one_line(error: psycopg.Error) -> str:
    reason = " ".join(str(error).split("\n")[0].split())
    return f"{reason} (SQLSTATE {error.sqlstate})" if error.sqlstate else reason
