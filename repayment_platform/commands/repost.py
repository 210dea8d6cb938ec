"""`./run repost` and `./run rejected`: post again, on purpose, what does not stand in Fineract.

What belongs here: the commands. What does not: when that is allowed (`exceptions.reposting`,
`exceptions.rejection`).
"""

import asyncio
import getpass
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Annotated

import psycopg
import typer

from repayment_platform.commands.platform import settings_told
from repayment_platform.settings import Settings
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.server import warehouse

Why = Annotated[str, typer.Option(help="The reason, for the audit log.")]


def repost(
    why: Why,
    source_keys: Annotated[list[str] | None, typer.Argument(metavar="SOURCE_KEY...")] = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="All that the ledger check found missing.")
    ] = False,
    other_money: Annotated[
        list[int] | None,
        typer.Option(
            metavar="TRANSACTION",
            help="A repayment in Fineract that is other money, by its number; may be repeated.",
        ),
    ] = None,
) -> None:
    """Put payments whose repayment was lost or undone in Fineract back on the list; the next run
    posts them.

    What Fineract, restored from a backup, has lost is posted under the same external id. What was
    undone there keeps its external id for ever, so the payment gets another; this also releases a
    payment that is held because it was undone. Each is looked up first; one that Fineract has, or
    cannot be asked about, stays as it is; so does one in the place of which another repayment
    stands, until --other-money says that it is not this payment's. Exits with 1 if any does.
    """
    from repayment_platform.exceptions.gone import NotReposted
    from repayment_platform.exceptions.reposting import missing_keys
    from repayment_platform.exceptions.reposting import repost as put_back
    from repayment_platform.ledger.identity import WrongLedger

    with _fineract() as (settings, connection):
        keys = [*(source_keys or []), *(missing_keys(connection) if missing else [])]
        if not keys:
            raise SystemExit("repost: name a SOURCE_KEY, or --missing where some are missing")
        try:
            came = asyncio.run(
                put_back(settings, connection, keys, getpass.getuser(), why, other_money or [])
            )
        except WrongLedger as error:
            raise SystemExit(f"repost: {error}") from None
    asked = [t for what in came.values() if isinstance(what, NotReposted) for t in what.standing]
    if asked:
        said = " ".join(f"--other-money {t.resource_id}" for t in asked)
        typer.echo(f"If it is other money, say so: {said}", err=True)
    _tell(came)


def rejected(
    source_keys: Annotated[list[str], typer.Argument(metavar="SOURCE_KEY...")],
    why: Why,
) -> None:
    """Say that repayments which await approval were rejected in Fineract: their payments wait
    again, and the next run posts them.

    Fineract tells nobody of a rejection. Each is looked up first; one that Fineract has, or cannot
    be asked about, stays as it is. Exits with 1 if any does.
    """
    from repayment_platform.exceptions.rejection import rejected as let_wait
    from repayment_platform.ledger.identity import WrongLedger

    with _fineract() as (settings, connection):
        try:
            came = asyncio.run(let_wait(settings, connection, source_keys, getpass.getuser(), why))
        except WrongLedger as error:
            raise SystemExit(f"rejected: {error}") from None
    _tell(came)


@contextmanager
def _fineract() -> Iterator[tuple[Settings, psycopg.Connection]]:
    """The warehouse and, where it is not a real one, the Fineract to be asked."""
    settings = settings_told()
    with ExitStack() as stack:
        urls = stack.enter_context(warehouse(settings))
        migrate(urls)
        if settings.uses_sandbox:
            from repayment_platform.sandbox.process import running_sandbox

            stack.enter_context(running_sandbox(settings.home, settings.sandbox_port))
        yield settings, stack.enter_context(psycopg.connect(urls.psycopg, autocommit=True))


def _tell(came: Mapping[str, object]) -> None:
    """Print what came of each payment; exits with 1 where one stayed as it was."""
    for key, what in came.items():
        typer.echo(f"{key}: {what}")
    if any(isinstance(what, Exception) for what in came.values()):
        raise SystemExit(1)
