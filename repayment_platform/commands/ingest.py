"""`./run ingest`: land one file by hand.

What belongs here: the command's options, its progress bar and its summary. What does not:
landing (`landing.files`).
"""

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from repayment_platform.commands.platform import settings_told

if TYPE_CHECKING:
    from rich.console import Console

    from repayment_platform.landing.results import FileResult

SHOWN_ROWS = 10
SHOWN_CHARACTERS = 300


def ingest(
    file: Annotated[Path, typer.Argument(help="CSV, TXT, XLSX or XLS file.", show_default=False)],
    source: Annotated[str, typer.Option(help="Its RAW table, such as RAW_DMI_NACH_CSV.")],
    supersedes: Annotated[
        int | None,
        typer.Option(help="Id of the file that this one corrects, in CORE_FILE_LOG."),
    ] = None,
    withdraw_missing: Annotated[
        bool,
        typer.Option(
            "--withdraw-missing",
            help="Withdraw what the earlier file has and this one has not, though rows of it "
            "cannot be read.",
        ),
    ] = False,
    preview: Annotated[
        bool, typer.Option("--preview", help="Show what would land; change nothing.")
    ] = False,
) -> None:
    """Land a payment file in the RAW table of its source.

    With --supersedes it takes the place of an earlier file: what differs lands, what it no longer
    has is withdrawn, and payments that are posted already become exceptions.

    Exits with 0 when it landed or had landed before, with 2 when it cannot be taken.
    """
    from rich.console import Console
    from rich.progress import Progress

    from repayment_platform.landing.files import ingest_file
    from repayment_platform.landing.reading import Limits
    from repayment_platform.warehouse.migrate import migrate
    from repayment_platform.warehouse.server import warehouse

    console = Console()
    settings = settings_told()
    with warehouse(settings) as urls:
        migrate(urls)
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task(f"reading {file.name}", total=None)
            result = ingest_file(
                urls.psycopg,
                file,
                source,
                received_by=f"cli:{getpass.getuser()}",
                supersedes=supersedes,
                withdraw_missing=withdraw_missing,
                preview=preview,
                limits=Limits.of(settings),
                progress=lambda done, total: progress.update(task, completed=done, total=total),
            )
    _show(console, result)
    if result.error:
        raise typer.Exit(2)


def _show(console: "Console", result: "FileResult") -> None:
    from rich.text import Text

    from repayment_platform.commands.changes import print_changes

    if result.error:
        console.print(Text(f"{result.name} failed: {result.error}"), style="red")
        return
    if result.duplicate_of is not None:
        console.print(
            Text(f"{result.name} is a duplicate of file {result.duplicate_of}; nothing landed")
        )
        return
    _print_facts(console, result)
    if result.counts and (rounded := result.counts.control_totals.get("rounded_ids")):
        console.print(
            f"{rounded} ids of more than 15 digits end in zeros: Excel may have rounded them.",
            style="yellow",
        )
    for row in result.examples[:SHOWN_ROWS]:
        console.print(Text(f"line {row.row_number}: {row.reason_code}: {row.reason}"))
        console.print(Text(f"    {row.original[:SHOWN_CHARACTERS]}"), style="dim", no_wrap=True)
    if (more := result.rows_quarantined - SHOWN_ROWS) > 0:
        there = "" if result.preview else " in CORE_QUARANTINE"
        console.print(f"… and {more:,} more{there}")
    if result.changes:
        print_changes(console, result.changes)
    if result.changes and result.changes.withdrawn and result.rows_quarantined:
        how = "is withdrawn only with --withdraw-missing" if result.preview else "is withdrawn"
        console.print(
            f"Rows that are quarantined correct nothing: what they may stand for {how}.",
            style="yellow",
        )


def _print_facts(console: "Console", result: "FileResult") -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    counts, changes = result.counts, result.changes
    assert counts is not None  # noqa: S101 - it landed
    facts = Table(box=box.SIMPLE, show_header=False)
    would = "would be " if result.preview else ""
    landed = "would land" if result.preview else "landed"
    totals: dict[str, Any] = counts.control_totals
    told_columns: list[str] = totals.get("columns", [])
    for name, value in (
        ("file", result.name if result.preview else f"{result.name} (file {result.file_id})"),
        ("table", result.raw_table),
        ("layout", f"{counts.layout}, {counts.encoding}"),
        ("rows read", f"{result.rows_read:,}"),
        (f"rows {landed}", f"{result.rows_landed:,}"),
        *((f"  {outcome}", f"{count:,}") for outcome, count in counts.outcomes.items()),
        (f"rows {would}quarantined", f"{result.rows_quarantined:,}"),
        *((f"  {code}", f"{count:,}") for code, count in result.quarantined.items()),
        *([("rows as they stood", f"{counts.rows_duplicate:,}")] if changes else []),
        *([("payments added", f"{changes.added:,}")] if changes else []),
        *([("payments changed", f"{changes.changed:,}")] if changes else []),
        *([("payments withdrawn", f"{changes.withdrawn:,}")] if changes else []),
        ("success, rupees", totals["amount_success"]),
        ("all read, rupees", totals["amount_read"]),
        *(("columns", told) for told in told_columns),
        ("seconds", f"{result.seconds:.2f}"),
    ):
        facts.add_row(Text(str(name)), Text(str(value)))
    console.print(facts)
