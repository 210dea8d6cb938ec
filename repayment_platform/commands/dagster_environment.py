"""What Dagster's processes need in their environment, as lines for a shell's `eval`.

What belongs here: printing it, for `deploy/start`. What does not: making it (`platform`).
"""

import os
import shlex

import typer

from repayment_platform.commands.platform import NO_FORK_HANDLERS, platform, settings_told
from repayment_platform.warehouse.dbt import prepare

NAMES = ("DAGSTER_HOME", "DAGSTER_POSTGRES_URL", *NO_FORK_HANDLERS)


def main() -> None:
    """Migrate the database, make Dagster's home and dbt's manifest, say where they are."""
    settings = settings_told()
    if settings.database_url is None:
        raise SystemExit("separate processes need a DATABASE_URL; ./run up brings its own database")
    with platform(settings):
        prepare()
        for name in NAMES:
            typer.echo(f"export {name}={shlex.quote(os.environ[name])}")


if __name__ == "__main__":
    main()
