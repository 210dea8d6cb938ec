"""`./run pipeline`: the job that the schedule starts, executed here and now.

What belongs here: its options and what it prints. What does not: the job (`defs`).
"""

import time
import uuid
from collections.abc import Sequence
from typing import Annotated

import typer

from repayment_platform.commands.platform import platform, settings_told


def pipeline(
    skip_dbt: Annotated[bool, typer.Option(help="Post without running dbt first.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Show the queue; change nothing.")] = False,
    lender: Annotated[list[str] | None, typer.Option(help="Only this lender; repeatable.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many payments.")] = None,
) -> None:
    """Run dbt, then post every due payment of the automated lenders to Fineract.

    Exits with 1 when the run failed or posting stopped early; what was not posted stays queued.
    """
    from repayment_platform.posting.model import lenders_or_all
    from repayment_platform.sources.registry import automated_lenders

    try:
        lenders = lenders_or_all(lender or (), automated_lenders())
    except ValueError as error:
        raise SystemExit(f"pipeline: {error}") from None
    if dry_run:
        _show_queue(lenders)
    else:
        raise SystemExit(_run(skip_dbt, lenders, limit))


def _show_queue(lenders: Sequence[str]) -> None:
    from repayment_platform.commands.tables import print_queue
    from repayment_platform.posting.engine import NoCore
    from repayment_platform.posting.model import Selection
    from repayment_platform.posting.runner import inspect_queue

    settings = settings_told()
    with platform(settings) as urls:
        try:
            lines = inspect_queue(urls.psycopg, Selection(tuple(lenders)), str(uuid.uuid4()))
        except NoCore as error:
            raise SystemExit(f"pipeline: {error} (./run pipeline does)") from None
        print_queue(lines)
        typer.echo("Dry run: nothing was changed.")


def _run(skip_dbt: bool, lenders: Sequence[str], limit: int | None) -> int:
    from repayment_platform.commands.progress import showing
    from repayment_platform.commands.tables import print_run
    from repayment_platform.posting.report import run_report

    started = time.monotonic()
    settings = settings_told()
    doing = "posting" if skip_dbt else "dbt, then posting"
    with platform(settings) as urls:
        with showing(urls.psycopg, doing, settings.home / "logs" / "pipeline.log"):
            from repayment_platform.defs.in_process import run_pipeline

            ended = run_pipeline(urls, skip_dbt=skip_dbt, lenders=lenders, limit=limit)
        title = f"Run {ended.run_id}, {time.monotonic() - started:.1f} s"
        print_run(title, run_report(urls.psycopg, ended.run_id))
    for error in ended.errors:
        typer.echo(error, err=True)
    return 0 if ended.succeeded else 1
