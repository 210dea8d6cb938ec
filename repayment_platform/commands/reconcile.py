"""`./run reconcile`: post recon payments, as the job in Dagster's launchpad does.

What belongs here: its options and what it prints. What does not: the job and what is wrong with
its config (`defs`), requests (`reconciliation`).
"""

import getpass
from typing import Annotated, Any

import typer

from repayment_platform.commands.platform import platform, settings_told
from repayment_platform.reconciliation.selection import RECON_LENDERS


def reconcile(
    lender: Annotated[str | None, typer.Option(help=f"One of {', '.join(RECON_LENDERS)}.")] = None,
    source: Annotated[str | None, typer.Option(help="Only this channel, such as NACH.")] = None,
    first_day: Annotated[str | None, typer.Option(help="Paid from this day on.")] = None,
    last_day: Annotated[str | None, typer.Option(help="Paid up to this day.")] = None,
    key: Annotated[list[str] | None, typer.Option(help="Only this source key; repeatable.")] = None,
    request: Annotated[int | None, typer.Option(help="An approved request instead.")] = None,
    dry_run: Annotated[bool, typer.Option(help="Show what would be posted.")] = False,
    by: Annotated[str, typer.Option(help="Who asks.")] = getpass.getuser(),
    why: Annotated[str, typer.Option(help="The reason, for the audit log.")] = "",
) -> None:
    """Post payments of GB, UGRO and VIVRITI; the automated pipeline never does.

    Exits with 1 when the config was refused, the run failed or posting stopped early.
    """
    config: dict[str, Any] = {"dry_run": dry_run, "requested_by": by, "why": why}
    lender, source = (name and name.strip().upper() for name in (lender, source))
    chosen = {"lender": lender, "recon_source": source, "first_day": first_day,
              "last_day": last_day, "source_keys": key, "request": request}  # fmt: skip
    config |= {name: value for name, value in chosen.items() if value is not None}
    raise SystemExit(_preview(config) if dry_run else _run(config))


def _preview(config: dict[str, Any]) -> int:
    import psycopg

    from repayment_platform.commands.tables import table
    from repayment_platform.defs.reconciliation import REFUSALS, ReconcileConfig, seen

    settings = settings_told()
    with platform(settings) as urls, psycopg.connect(urls.psycopg) as connection:
        try:
            shown = seen(connection, ReconcileConfig(**config))
        except REFUSALS as refusal:
            raise SystemExit(f"reconcile: {refusal}") from None
    lines = [(line.lender, line.payments, line.rupees) for line in shown.by_lender]
    table("To be posted", ("lender", "payments", "rupees"), lines, "nothing")
    left_out = [(line.reason, line.payments, line.rupees) for line in shown.excluded]
    table("Left out", ("because", "payments", "rupees"), left_out, "nothing")
    for warning in shown.warnings:
        typer.echo(warning)
    typer.echo("Dry run: nothing was changed.")
    return 0


def _run(config: dict[str, Any]) -> int:
    from repayment_platform.commands.progress import showing
    from repayment_platform.commands.tables import print_run
    from repayment_platform.posting.report import run_report

    settings = settings_told()
    with platform(settings) as urls:
        with showing(urls.psycopg, "reconciling", settings.home / "logs" / "reconcile.log"):
            from repayment_platform.defs.in_process import run_reconcile

            ended = run_reconcile(urls, config)
        print_run(f"Run {ended.run_id}", run_report(urls.psycopg, ended.run_id))
    for error in ended.errors:
        typer.echo(error, err=True)
    return 0 if ended.succeeded else 1
