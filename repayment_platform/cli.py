"""The commands of `./run`: their names, options and help.

What belongs here: assembling the commands and what all of them share. What does not: what a
command does (`commands`), and imports that take long: they belong inside the command.
"""

import gc
import signal
import sys
from collections.abc import Callable
from typing import Any

import psycopg
import typer

from repayment_platform.commands.backup import backup, restore, restored
from repayment_platform.commands.dbt import CONTEXT, dbt
from repayment_platform.commands.demo import demo
from repayment_platform.commands.doctor import doctor
from repayment_platform.commands.exceptions import close_exception, decide, exceptions
from repayment_platform.commands.faults import faults
from repayment_platform.commands.guards import guard
from repayment_platform.commands.holds import hold_payment, holds
from repayment_platform.commands.ingest import ingest
from repayment_platform.commands.leaving import leave
from repayment_platform.commands.metrics import metrics
from repayment_platform.commands.migrate import migrate
from repayment_platform.commands.operations import operations
from repayment_platform.commands.pipeline import pipeline
from repayment_platform.commands.reconcile import reconcile
from repayment_platform.commands.replay import replay
from repayment_platform.commands.repost import rejected, repost
from repayment_platform.commands.sample_data import sample_data
from repayment_platform.commands.send_again import send_again
from repayment_platform.commands.sql import sql
from repayment_platform.commands.status import status
from repayment_platform.commands.up import up
from repayment_platform.commands.users import app as users
from repayment_platform.commands.webhooks import webhooks
from repayment_platform.commands.worlds import worlds
from repayment_platform.sandbox.process import SandboxError
from repayment_platform.warehouse import WarehouseUnavailable
from repayment_platform.whole_files import NotWritten

app = typer.Typer(
    name="./run",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
GROUPS: dict[str, tuple[Callable[..., Any], ...]] = {
    "Start": (demo, up),
    "Payments in": (ingest, replay),
    "Repayments out": (pipeline, reconcile, send_again, repost, rejected),
    "What waits for a person": (
        status,
        exceptions,
        decide,
        holds,
        hold_payment,
        close_exception,
        guard,
    ),
    "Operation": (doctor, migrate, backup, restore, restored, dbt, sql),
    "Parts of `up`, alone": (webhooks, operations, metrics),
    "Trying things out": (sample_data, faults, worlds),
}
NAMES: dict[Callable[..., Any], str] = {hold_payment: "hold"}
"""Of commands that are not called as their function is."""

for group, commands in GROUPS.items():
    for command in commands:
        context = CONTEXT if command is dbt else None
        name = NAMES.get(command)
        app.command(name, rich_help_panel=group, context_settings=context)(command)
app.add_typer(users, rich_help_panel="Operation")


@app.callback()
def _platform() -> None:
    """Lands loan repayments, unifies them and posts each to Apache Fineract exactly once.

    Besides the commands below there are `./run test PYTEST-ARGUMENTS` and `./run lint`.
    """


def main() -> None:
    """Run one command; what a user can put right ends it with one line."""
    # Dagster's half a million objects live to the end: searching them for garbage again and again
    # while they load, and once more on leaving, takes a whole run a second.
    gc.set_threshold(50_000)
    signal.signal(signal.SIGTERM, leave)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
        signal.signal(signal.SIGHUP, leave)
    try:
        app(prog_name="./run")
    except Exception as error:
        if said := one_line(error):
            sys.exit(said)
        raise
    finally:
        gc.freeze()


def one_line(error: BaseException) -> str:
    """What to say of an error that somebody who runs the platform can put right; else nothing."""
    if isinstance(error, WarehouseUnavailable | SandboxError | NotWritten):
        return str(error)
    refused = str(error).strip().partition("\n")[0] or type(error).__name__
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return f"the database: {refused}; ./run doctor says what the role lacks"
    if isinstance(error, psycopg.errors.LockNotAvailable):
        where = f" {error.diag.context.strip()}" if error.diag.context else ""
        return (
            f"the database: gave up waiting for what another session has locked{where}; try again"
        )
    if isinstance(error, psycopg.OperationalError):
        return f"the database: {refused}"
    return ""


if __name__ == "__main__":
    main()
