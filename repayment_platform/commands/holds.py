"""`./run holds`, `./run hold` and `./run decide`: payments that wait for a person.

What belongs here: the commands. What does not: holds themselves (`posting.holds`).
"""

import getpass
from typing import Annotated

import psycopg
import typer

from repayment_platform.posting.holds import (
    SEEN_DIGITS,
    Decision,
    HoldChanged,
    NeedsRepost,
    NoSuchHold,
    NotHeld,
    RuledOut,
    decide,
    hold,
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
            f"{h.id}-{h.seen[:SEEN_DIGITS]}",
            h.lender or "",
            h.loan or "",
            h.amount or "",
            h.reason,
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
    with warehouse(load_settings()) as urls:
        migrate(urls)
        with psycopg.connect(urls.psycopg) as connection:
            try:
                hold(connection, key, by, why)
            except NotHeld as error:
                raise SystemExit(f"hold: {error}") from None
    typer.echo(f"{key}: held, see `./run holds`")


def decide_hold(
    hold: Annotated[str, typer.Argument(help="As `./run holds` names it, such as 17-a3f2.")],
    decision: Annotated[Decision, typer.Argument(help="What it is.")],
    why: Annotated[str, typer.Option(help="The reason, for the audit log.")],
    by: Annotated[str, typer.Option(help="Who decides.")] = getpass.getuser(),
) -> None:
    """Decide a hold: `release` posts it, the others see to it that it never is posted.

    Takes effect with the next run of the pipeline. A release is good for the loan, amount and
    date that `./run holds` showed; should they change, it is held again. One that was undone in
    Fineract is released by `repost`.
    """
    number, _, seen = hold.partition("-")
    if not number.isdecimal() or len(seen) < SEEN_DIGITS:
        raise typer.BadParameter("name it as `./run holds` does, such as 17-a3f2")
    with warehouse(load_settings()) as urls:
        migrate(urls)
        with psycopg.connect(urls.psycopg) as connection:
            try:
                key = decide(connection, int(number), decision, by, why, seen)
            except HoldChanged as error:
                raise SystemExit(f"decide: {error}: look at it again with ./run holds") from None
            except (NoSuchHold, NeedsRepost, RuledOut) as error:
                raise SystemExit(f"decide: {error}") from None
    typer.echo(f"{key}: {decision}")
