"""`./run holds` and `./run hold`: payments that wait for a person.

What belongs here: the commands. What does not: holds themselves (`exceptions`).
"""

import getpass
from typing import Annotated

import psycopg
import typer

from repayment_platform.commands.platform import settings_told
from repayment_platform.exceptions.decisions import (
    NotHeld,
    hold,
)
from repayment_platform.exceptions.queue import (
    open_holds,
)
from repayment_platform.settings import load_settings
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.server import warehouse


def holds() -> None:
    """List the payments that wait for a person, with the reason."""
    from repayment_platform.commands.tables import table

    with warehouse(load_settings()) as urls:
        migrate(urls)
        with psycopg.connect(urls.psycopg) as connection:
            try:
                found = open_holds(connection)
            except psycopg.errors.UndefinedTable:
                found = []  # dbt has not built CORE yet, so nothing can be held
    header = ("hold", "lender", "loan", "rupees", "reason", "source_key")
    rows = [
        (
            h.name,
            h.lender or "",
            h.loan or "",
            h.amount or "",
            h.what,
            h.source_key,
        )
        for h in found
    ]
    table("Holds", header, rows, "none open")


def hold_payment(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its source_key.")],
    why: Annotated[str, typer.Option(help="The reason, for the audit log.")],
    by: Annotated[str, typer.Option(help="Who says so.")] = getpass.getuser(),
) -> None:
    """Keep a payment from being posted until `./run decide` says what it is.

    Also asks anew about one that was ruled out by mistake: releasing this hold posts it.
    """
    with warehouse(settings_told()) as urls:
        migrate(urls)
        with psycopg.connect(urls.psycopg) as connection:
            try:
                hold(connection, key, by, why)
            except NotHeld as error:
                raise SystemExit(f"hold: {error}") from None
    typer.echo(f"{key}: held, see `./run holds`")
