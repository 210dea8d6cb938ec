"""`./run exceptions`, `./run decide` and `./run close-exception`: what a person must judge.

What belongs here: the commands. What does not: exceptions themselves (`exceptions`).
"""

import dataclasses
import getpass
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import psycopg
import typer

from repayment_platform.commands.platform import settings_told
from repayment_platform.exceptions.decisions import (
    SEEN_DIGITS,
    HasChanged,
    NeedsRepost,
    NoSuchException,
    NotOfItsKind,
    RuledOut,
    close,
)
from repayment_platform.exceptions.decisions import decide as take
from repayment_platform.exceptions.kinds import RULINGS, Decision, Right, choices_of
from repayment_platform.exceptions.queue import OpenException, open_questions
from repayment_platform.settings import load_settings
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.server import warehouse


def exceptions(
    lender: Annotated[str | None, typer.Option(help="Of this lender only.")] = None,
    kind: Annotated[str | None, typer.Option(help="Of this kind only.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs, one line each.")] = False,
) -> None:
    """List all that a person must judge, with what can be decided about each kind.

    One that the facts call for no more closes by itself. One that names a repayment to undo does
    when a run sees it undone in Fineract, but for `changed_after_posting`: that payment is to be
    posted again, or the exception closed.
    """
    with warehouse(load_settings()) as urls:
        migrate(urls)
        with psycopg.connect(urls.psycopg) as connection:
            try:
                found = open_questions(connection, lender and lender.upper(), kind)
            except psycopg.errors.UndefinedTable:
                found = []  # dbt has not built CORE yet, so nothing can be asked
    if as_json:
        for each in found:
            typer.echo(json.dumps(_of(each), default=str))
        return
    _show(found)


def _of(each: OpenException) -> dict[str, Any]:
    told = dataclasses.asdict(each) | {"exception": each.name}
    choices = choices_of(each.kind, holds=each.holds)
    return told | {"decisions": [choice.decision for choice in choices]}


def _show(found: Sequence[OpenException]) -> None:
    from repayment_platform.commands.tables import table

    header = ("exception", "lender", "kind", "what", "source_key")
    rows = [(e.name, e.lender or "", e.kind, e.what, e.source_key or "") for e in found]
    table("Exceptions", header, rows, "none open")
    for kind, holds in dict.fromkeys((each.kind, each.holds) for each in found):
        typer.echo(f"{kind}:")
        for choice in choices_of(kind, holds=holds):
            who = " (an approver)" if choice.right is Right.APPROVER else ""
            typer.echo(f"  {choice.decision}: {choice.words}{who}; {choice.follows}")


def decide(
    exception: Annotated[str, typer.Argument(help="As it is listed, such as 17-a3f2.")],
    decision: Annotated[str, typer.Argument(help="One of those listed for its kind.")],
    why: Annotated[str, typer.Option(help="The reason, for the audit log.")],
    by: Annotated[str, typer.Option(help="Who decides.")] = getpass.getuser(),
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="With post_on: the day.")
    ] = None,
    loan: Annotated[str | None, typer.Option(help="With name_loan: the loan.")] = None,
) -> None:
    """Decide an exception. It takes effect with the next run of the pipeline.

    A decision is good for the facts that were listed; should they change, it is asked anew. A
    payment that was undone in Fineract is posted again by `repost`.
    """
    number, _, seen = exception.partition("-")
    if not number.isdecimal() or len(seen) < SEEN_DIGITS:
        raise typer.BadParameter("name it as `./run exceptions` does, such as 17-a3f2")
    if decision not in list(Decision):
        raise typer.BadParameter(f"{decision} is none of: {', '.join(RULINGS)}")
    with warehouse(settings_told()) as urls:
        migrate(urls)
        with psycopg.connect(urls.psycopg) as connection:
            try:
                to_take, on = Decision(decision), day and day.date()
                take(connection, int(number), to_take, by, why, seen, day=on, loan=loan)
            except HasChanged as error:
                raise SystemExit(
                    f"decide: {error}: look at it again with ./run exceptions"
                ) from None
            except (NoSuchException, NeedsRepost, NotOfItsKind, RuledOut) as error:
                raise SystemExit(f"decide: {error}") from None
    typer.echo(f"{exception}: {decision}")


def close_exception(
    exception: Annotated[int, typer.Argument(help="Its number in `./run exceptions`.")],
    why: Annotated[str, typer.Option(help="The reason, for the audit log.")],
) -> None:
    """Close an exception that needs nothing more; it is raised again if something new comes up."""
    with warehouse(settings_told()) as urls:
        migrate(urls)
        with psycopg.connect(urls.psycopg) as connection:
            try:
                close(connection, exception, getpass.getuser(), why)
            except NoSuchException as error:
                raise SystemExit(f"close-exception: {error}") from None
    typer.echo(f"exception {exception}: closed")
