"""`./run repost`: post again what Fineract has lost, on purpose.

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
    """Put posted payments that Fineract no longer has back on the list; the next run posts them.

    For a Fineract that was restored from a backup. Each payment is looked up first; one that
    Fineract has, or cannot be asked about, stays posted. Exits with 1 if any does.
    """
    from repayment_platform.posting.reposting import missing_keys
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
        outcome = asyncio.run(put_back(settings, connection, keys, getpass.getuser(), why))
    for key, refusal in outcome.items():
        typer.echo(f"{key}: {refusal or 'will be posted by the next run'}")
    if any(outcome.values()):
        raise SystemExit(1)
