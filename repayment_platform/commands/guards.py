"""`./run guard`: a lender's pause switch and limits.

What belongs here: the command. What does not: the guards (`posting.guards`).
"""

import getpass
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import psycopg
import typer

from repayment_platform.commands.platform import settings_told
from repayment_platform.posting.guards import Guards, set_guards
from repayment_platform.sources.registry import LENDERS
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.server import warehouse

Rupees = Annotated[Decimal | None, typer.Option(parser=Decimal, metavar="RUPEES")]


def guard(
    lender: Annotated[str, typer.Argument(help="Its code, such as DMI.")],
    pause: Annotated[str | None, typer.Option(metavar="WHY", help="Post nothing.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Post again.")] = False,
    post_from: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Payments of earlier days are never posted."),
    ] = None,
    max_payment: Rupees = None,
    max_run_amount: Rupees = None,
    max_run_count: Annotated[int | None, typer.Option(min=0, help="Payments in a run.")] = None,
    no_limits: Annotated[bool, typer.Option("--no-limits", help="Take limits away.")] = False,
    by: Annotated[str, typer.Option(help="Who changes it.")] = getpass.getuser(),
) -> None:
    """Change a lender's guards: a pause and --post-from hold at once, limits from the next run.

    `./run status` shows them. A payment over --max-payment is held for a person; what is over a
    run's limits is left to the next run.
    """
    code = lender.upper()
    if code not in LENDERS:
        raise SystemExit(f"guard: no lender {lender}; there are {', '.join(LENDERS)}")
    if pause and resume:
        raise SystemExit("guard: --pause or --resume, not both")
    guards = Guards()
    if no_limits:
        guards |= {"max_payment": None, "max_run_amount": None, "max_run_count": None}
    if pause or resume:
        guards |= {"paused": bool(pause), "paused_why": pause}
    if post_from:
        guards["post_from"] = post_from.date()
    if max_payment is not None:
        guards["max_payment"] = max_payment
    if max_run_amount is not None:
        guards["max_run_amount"] = max_run_amount
    if max_run_count is not None:
        guards["max_run_count"] = max_run_count
    if not guards:
        raise SystemExit("guard: nothing to change; see ./run guard --help")
    with warehouse(settings_told()) as urls:
        migrate(urls)
        with psycopg.connect(urls.psycopg) as connection:
            set_guards(connection, code, guards, by)
    typer.echo(f"{code}: {', '.join(f'{name} = {value}' for name, value in guards.items())}")
