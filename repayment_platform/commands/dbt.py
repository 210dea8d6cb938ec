"""`./run dbt ARGS…`: dbt by hand, under the lock that the pipeline takes.

What belongs here: the command. What does not: how dbt is run (`warehouse.dbt`).
"""

import psycopg
import typer

from repayment_platform.commands.platform import settings_told
from repayment_platform.posting.feed import READ_ANEW
from repayment_platform.warehouse.dbt import run_dbt
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.server import warehouse

CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""For `app.command`: every argument is dbt's, `--help` too."""


def dbt(context: typer.Context) -> None:
    """Run dbt, for example `./run dbt build`; waits for a dbt run that is going on.

    After `--full-refresh` the next posting run compares all of CORE with what is open or posted.
    """
    settings = settings_told()
    with warehouse(settings) as urls:
        migrate(urls)
        code = run_dbt(urls, context.args, settings.home / "dbt")
        if not {"--full-refresh", "-f"}.isdisjoint(context.args):
            with psycopg.connect(urls.psycopg) as connection:
                connection.execute(READ_ANEW)
        raise typer.Exit(code)
