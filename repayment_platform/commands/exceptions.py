"""`./run exceptions` and `./run close-exception`: posted payments that a person must look at.

What belongs here: the commands. What does not: exceptions themselves (`posting.exceptions`).
"""

import getpass
from typing import Annotated

import psycopg
import typer

from repayment_platform.posting.exceptions import NoSuchException, close, open_exceptions
from repayment_platform.settings import load_settings
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.server import warehouse


def exceptions() -> None:
    """List what changed after it was posted, what the ledger has otherwise, what no run will post.

    One that names a repayment to undo closes by itself when a run sees it undone in Fineract, but
    for `changed_after_posting`: the payment is to be posted again, or the exception closed.
    """
    from repayment_platform.commands.tables import table

    with warehouse(load_settings()) as urls:
        migrate(urls)
        with psycopg.connect(urls.psycopg) as connection:
            found = open_exceptions(connection)
    header = ("exception", "lender", "kind", "what", "source_key")
    rows = [(e.id, e.lender or "", e.kind, e.what, e.source_key or "") for e in found]
    table("Exceptions", header, rows, "none open")


def close_exception(
    exception: Annotated[int, typer.Argument(help="Its number in `./run exceptions`.")],
    why: Annotated[str, typer.Option(help="The reason, for the audit log.")],
) -> None:
    """Close an exception that needs nothing more; it is raised again if something new comes up."""
    with warehouse(load_settings()) as urls:
        migrate(urls)
        with psycopg.connect(urls.psycopg) as connection:
            try:
                close(connection, exception, getpass.getuser(), why)
            except NoSuchException as error:
                raise SystemExit(f"close-exception: {error}") from None
    typer.echo(f"exception {exception}: closed")
