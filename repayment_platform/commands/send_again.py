"""`./run send-again`: have refused payments sent once more, whatever refused them.

What belongs here: the command. What does not: what is asked first without it (`posting.refusals`).
"""

import getpass
from typing import Annotated

import psycopg
import typer

from repayment_platform.commands.platform import settings_told
from repayment_platform.posting.refusals import NotRefused
from repayment_platform.posting.refusals import send_again as have_sent
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.server import warehouse


def send_again(
    keys: Annotated[list[str], typer.Argument(metavar="SOURCE_KEY...")],
    why: Annotated[str, typer.Option(help="The reason, for the audit log.")],
    by: Annotated[str, typer.Option(help="Who says so.")] = getpass.getuser(),
) -> None:
    """Have the next run send refused payments without asking Fineract about their loans first.

    By itself a run sends them again only when what refused them has changed, or once a day where
    Fineract does not show that. Exits with 1 if any was not refused.
    """
    with warehouse(settings_told()) as urls:
        migrate(urls)
        with psycopg.connect(urls.psycopg) as connection:
            came = have_sent(connection, keys, by, why)
    for key, what in came.items():
        typer.echo(f"{key}: {what}")
    if any(isinstance(what, NotRefused) for what in came.values()):
        raise SystemExit(1)
