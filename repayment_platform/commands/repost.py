"""`./run repost`: post again, on purpose, what does not stand in Fineract any more.

What belongs here: the command. What does not: when that is allowed (`posting.reposting`).
"""

import asyncio
import getpass
from contextlib import ExitStack
from typing import Annotated

import psycopg
import typer

from repayment_platform.settings import load_settings
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.server import warehouse


def repost(
    why: Annotated[str, typer.Option(help="The reason, for the audit log.")],
    source_keys: Annotated[list[str] | None, typer.Argument(metavar="SOURCE_KEY...")] = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="All that the ledger check found missing.")
    ] = False,
) -> None:
    """Put payments whose repayment was lost or undone in Fineract back on the list; the next run
    posts them.

    What Fineract, restored from a backup, has lost is posted under the same external id. What was
    undone there keeps its external id for ever, so the payment gets another; this also releases a
    payment that is held because it was undone. Each is looked up first; one that Fineract has, or
    cannot be asked about, stays as it is. Exits with 1 if any does.
    """
    from repayment_platform.posting.ledger import WrongLedger
    from repayment_platform.posting.reposting import NotReposted, missing_keys
    from repayment_platform.posting.reposting import repost as put_back

    settings = load_settings()
    with ExitStack() as stack:
        urls = stack.enter_context(warehouse(settings))
        migrate(urls)
        if settings.uses_sandbox:
            from repayment_platform.sandbox.process import running_sandbox

            stack.enter_context(running_sandbox(settings.home, settings.sandbox_port))
        connection = stack.enter_context(psycopg.connect(urls.psycopg, autocommit=True))
        keys = [*(source_keys or []), *(missing_keys(connection) if missing else [])]
        if not keys:
            raise SystemExit("repost: name a SOURCE_KEY, or --missing where some are missing")
        try:
            came = asyncio.run(put_back(settings, connection, keys, getpass.getuser(), why))
        except WrongLedger as error:
            raise SystemExit(f"repost: {error}") from None
    for key, what in came.items():
        typer.echo(f"{key}: {what}")
    if any(isinstance(what, NotReposted) for what in came.values()):
        raise SystemExit(1)
