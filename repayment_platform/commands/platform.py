"""What every command that works with the whole platform stands on.

What belongs here: the warehouse, migrated, and the environment that Dagster and dbt read. What
does not: single commands.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from repayment_platform.settings import ROOT, Settings, load_settings, make_private
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.server import warehouse
from repayment_platform.warehouse.urls import DatabaseUrls

DAGSTER_YAML = ROOT / "deploy" / "dagster.yaml"
NO_FORK_HANDLERS = {"GRPC_ENABLE_FORK_SUPPORT": "0"}
"""No child of ours uses gRPC before it has become another program; and a child may be caught for
ever in what gRPC does at a fork, with every lock that it has inherited."""


def say_where(settings: Settings) -> None:
    """Tell whoever starts what may post which database and which ledger it uses, before anything
    is done there; the address of a database that is none is told by whoever opens it."""
    database = f"the embedded one in {settings.home}"
    if settings.database_url is not None:
        try:
            urls = DatabaseUrls.parse(settings.database_url.get_secret_value())
        except ValueError:
            return
        database = f"{urls.dbname} on {urls.host}, port {urls.port}"
    ledger = "the built-in SANDBOX" if settings.uses_sandbox else settings.base_url
    typer.echo(f"Database: {database}. Ledger: {ledger}.", err=True)


def settings_told() -> Settings:
    """The settings of a command that posts or changes something, which says where first."""
    settings = load_settings()
    say_where(settings)
    return settings


@contextmanager
def platform(settings: Settings) -> Iterator[DatabaseUrls]:
    """The migrated warehouse; processes started inside find Dagster's home and storage."""
    make_private(settings.home)
    with warehouse(settings) as urls:
        migrate(urls)
        os.environ |= NO_FORK_HANDLERS
        os.environ["DAGSTER_HOME"] = str(_dagster_home(settings))
        os.environ["DAGSTER_POSTGRES_URL"] = urls.dagster
        yield urls


def _dagster_home(settings: Settings) -> Path:
    home = settings.home / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(DAGSTER_YAML, home / "dagster.yaml")
    return home
