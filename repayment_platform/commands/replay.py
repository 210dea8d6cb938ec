"""`./run replay`: read landed originals again after a mapping was corrected.

What belongs here: the command's options and its summary. What does not: replaying
(`landing.replay`).
"""

from typing import TYPE_CHECKING, Annotated

import typer

from repayment_platform.commands.platform import settings_told

if TYPE_CHECKING:
    from rich.console import Console

    from repayment_platform.landing.replay import ReplayResult


def replay(
    source: Annotated[str, typer.Option(help="Its RAW table, such as RAW_DMI_NACH_CSV.")],
    file: Annotated[
        int | None, typer.Option("--file", help="Only this file, by its id in CORE_FILE_LOG.")
    ] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Show what would change; change nothing.")
    ] = False,
) -> None:
    """Read again what has landed from a source, after its mapping was corrected.

    Lands only what reads differently, under the payments that exist: nothing is posted twice.
    Exits with 2 when there is no such source or file.
    """
    from rich.console import Console
    from rich.progress import Progress

    from repayment_platform.landing.replay import CannotReplay
    from repayment_platform.landing.replay import replay as replay_source
    from repayment_platform.sources.registry import UnknownSource
    from repayment_platform.warehouse.migrate import migrate
    from repayment_platform.warehouse.server import warehouse

    console = Console()
    with warehouse(settings_told()) as urls:
        migrate(urls)
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("reading again", total=None)
            try:
                result = replay_source(
                    urls.psycopg,
                    source,
                    file_id=file,
                    preview=preview,
                    progress=lambda done, total: progress.update(task, completed=done, total=total),
                )
            except (CannotReplay, UnknownSource) as error:
                progress.stop()
                typer.echo(str(error.args[0]), err=True)
                raise typer.Exit(2) from None
    _show(console, result)


def _show(console: "Console", result: "ReplayResult") -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from repayment_platform.commands.changes import print_changes

    changes, would = result.changes, "would " if result.preview else ""
    facts = Table(box=box.SIMPLE, show_header=False)
    for name, count in (
        ("rows read again", result.rows_read),
        (f"{would}change", changes.changed),
        (f"{would}leave the quarantine", changes.added),
        ("only other columns", changes.restated),
        ("read as before", changes.unchanged),
        ("still in quarantine", result.still_quarantined),
        *((f"not read any more, left as they are: {code}", n) for code, n in result.left.items()),
    ):
        facts.add_row(Text(name), Text(f"{count:,}"))
    console.print(facts)
    print_changes(console, changes)
