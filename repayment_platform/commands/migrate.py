"""`./run migrate`: the database brought to the newest revision by the role that owns it.

What belongs here: the command. What does not: migrations and rights (`warehouse`).
"""

import typer

from repayment_platform.commands.platform import settings_told
from repayment_platform.warehouse.migrate import upgrade
from repayment_platform.warehouse.server import warehouse


def migrate() -> None:
    """Migrate the database, and grant its roles what they may do, as MIGRATION_DATABASE_URL.

    Without that setting as DATABASE_URL, whose role must then own the tables. Safe at any time.
    """
    with warehouse(settings_told()) as urls:
        upgrade(urls)
        typer.echo(f"{urls.dbname} is at the newest revision, and its roles have their rights.")
