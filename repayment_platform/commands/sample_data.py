"""`./run sample-data`: a folder of made-up payments for trying the platform out.

What belongs here: options, the check of the folder, the summary. What does not: making the
payments (`sample_data`).
"""

import shutil
import sys
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

if TYPE_CHECKING:
    from repayment_platform.sample_data.folder import Folder


def sample_data(
    directory: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]",
            file_okay=False,
            help="Where to write it; of a stream, where it is remembered.",
        ),
    ] = None,
    payments: Annotated[int, typer.Option(min=16, help="How many payments, at least 16.")] = 400,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other payments.")] = 1,
    on: Annotated[
        datetime | None,
        typer.Option("--date", formats=["%Y-%m-%d"], help="The day it is; today unless given."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the sample that is in DIR.")
    ] = False,
    stream: Annotated[
        bool, typer.Option("--stream", help="Send payments to the platform that runs here.")
    ] = False,
    per_minute: Annotated[float, typer.Option(min=0.1, help="Payments a minute; --stream.")] = 6,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="How long; until Ctrl-C unless given; --stream.")
    ] = None,
    files_every: Annotated[
        float, typer.Option(min=0, help="Minutes from one file of a source to the next; --stream.")
    ] = 5,
    check: Annotated[
        bool, typer.Option("--check", help="Compare what a stream has sent with the ledger.")
    ] = False,
) -> None:
    """Write made-up payments of all sources, the sandbox's loans and the truth to DIR.

    The same payments, seed and date give the same bytes on every machine. With --stream they are
    sent to `./run up` instead, all the while: webhooks, files in inboxes, loans in the sandbox.
    """
    from repayment_platform.commands.stream import check_stream, stream_payments
    from repayment_platform.sample_data.generate import generate

    today = on.date() if on else datetime.now(ZoneInfo("Asia/Kolkata")).date()
    if check:
        check_stream(directory)
        return
    if stream:
        stream_payments(directory, seed, today, per_minute, minutes, files_every)
        return
    if directory is None:
        raise typer.BadParameter("DIR is missing")
    _make_room(directory, force)
    folder = _with_progress(payments, lambda done: generate(directory, payments, seed, today, done))
    _show(folder, today)


def _make_room(directory: Path, force: bool) -> None:
    """Make the folder, and remove from it what an earlier sample left; nothing else."""
    from repayment_platform.sample_data.folder import LOANS, SECRETS, TRUTH
    from repayment_platform.sources.registry import SOURCES

    directory.mkdir(parents=True, exist_ok=True)
    if force:
        for table in SOURCES:
            shutil.rmtree(directory / table, ignore_errors=True)
        for name in (LOANS, SECRETS, TRUTH):
            (directory / name).unlink(missing_ok=True)
    elif any(directory.iterdir()):
        sys.exit(f"{directory} is not empty; --force replaces the sample that is in it")


def _with_progress(payments: int, make: "Callable[[Callable[[int], None]], Folder]") -> "Folder":
    from rich.progress import Progress

    with Progress(transient=True) as progress:
        task = progress.add_task("Inventing payments", total=payments)

        def show(done: int) -> None:
            if done % 500 == 0 or done == payments:
                progress.update(task, completed=done)

        return make(show)


def _show(folder: "Folder", today: date) -> None:
    from rich.console import Console
    from rich.table import Table

    from repayment_platform.sample_data.folder import LOANS, SECRETS, TRUTH
    from repayment_platform.sample_data.model import State

    console = Console()
    sent = Table(title=f"What was written to {folder.root}, as of {today}")
    sent.add_column("RAW table", no_wrap=True)
    for heading in ("files", "to land", "to quarantine", "deliveries"):
        sent.add_column(heading, justify="right")
    for table, source in folder.sent().items():
        numbers = (source.files, source.landed, source.quarantined, source.deliveries)
        sent.add_row(table, *(f"{number:,}" if number else "" for number in numbers))
    console.print(sent)

    truth = Table("lender", title="What must become of the payments")
    for state in State:
        truth.add_column(state.value.replace("_", " "), justify="right")
    for lender, states in folder.totals().items():
        counts = (states.get(state.value, {}).get("count") for state in State)
        truth.add_row(lender, *(f"{count:,}" if count else "" for count in counts))
    console.print(truth)
    console.print(
        f"{TRUTH} names every payment, {LOANS} the sandbox's loans, {SECRETS} the secrets."
    )
