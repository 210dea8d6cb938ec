"""`./run status`: where every payment and file stands.

What belongs here: the command. What does not: the counts (`posting.report`).
"""

import json
from dataclasses import asdict
from typing import Annotated, Any

import psycopg
import typer
from psycopg.rows import dict_row

from repayment_platform.settings import load_settings
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.server import warehouse

_FILES = """
SELECT coalesce(raw_table, '(unknown source)') AS source, status, count(*) AS files,
       sum(rows_read) AS rows_read, sum(rows_landed) AS rows_landed,
       sum(rows_quarantined) AS rows_quarantined
FROM "CORE"."CORE_FILE_LOG" GROUP BY 1, 2 ORDER BY 1, 2
"""
_GUARDS = """
SELECT source_lender AS lender, paused, paused_why, post_from::text, max_payment::text,
       max_run_count, max_run_amount::text
FROM "CORE"."CORE_LENDER_SETTING" ORDER BY 1
"""
_LEDGER = 'SELECT base_url, tenant, first_used::text FROM "CORE"."CORE_LEDGER_IDENTITY"'


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON for a program.")] = False,
) -> None:
    """Show payments by state and reason, files by outcome, and each lender's guards."""
    from repayment_platform.posting.report import state_counts

    settings = load_settings()
    with warehouse(settings) as urls:
        migrate(urls)
        with psycopg.connect(urls.psycopg, row_factory=dict_row) as connection:
            payments = [asdict(line) for line in state_counts(connection)]
            files, guards, ledger = (
                connection.execute(query).fetchall() for query in (_FILES, _GUARDS, _LEDGER)
            )
    if as_json:
        report = {"payments": payments, "files": files, "lenders": guards, "ledger": ledger}
        typer.echo(json.dumps(report, indent=2, default=str))
    else:
        _print(payments, files, guards)
        bound = f"{ledger[0]['base_url']} (tenant {ledger[0]['tenant']})" if ledger else "none yet"
        typer.echo(f"Ledger posted to: {bound}; settings name {settings.ledger_url}")


def _print(*reports: list[dict[str, Any]]) -> None:
    from repayment_platform.commands.tables import table

    titles = (("Payments", "none yet"), ("Files", "none yet"), ("Guards", "none set"))
    for (title, empty), report in zip(titles, reports, strict=True):
        header = [name.replace("_", " ") for name in report[0]] if report else []
        rows = [["" if v is None else v for v in line.values()] for line in report]
        table(title, header, rows, empty)
