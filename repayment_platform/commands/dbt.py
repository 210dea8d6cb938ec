"""`./run dbt ARGS…`: dbt by hand, under the lock that the pipeline takes.

What belongs here: the command. What does not: how dbt is run (`warehouse.dbt`).
"""

import typer

from repayment_platform.settings import load_settings
from repayment_platform.warehouse.dbt import run_dbt
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.server import warehouse

CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""For `app.command`: every argument is dbt's, `--help` too."""


def dbt(context: typer.Context) -> None:
    """Run dbt, for example `./run dbt build`; waits for a dbt run that is going on."""
    settings = load_settings()
    with warehouse(settings) as urls:
        migrate(urls)
        raise typer.Exit(run_dbt(urls, context.args, settings.home / "dbt"))
