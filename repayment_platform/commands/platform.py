"""What every command that works with the whole platform stands on.

What belongs here: the warehouse, migrated, and the environment that Dagster and dbt read. What
does not: single commands.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from repayment_platform.settings import ROOT, Settings
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.server import warehouse
from repayment_platform.warehouse.urls import DatabaseUrls

DAGSTER_YAML = ROOT / "deploy" / "dagster.yaml"


@contextmanager
def platform(settings: Settings) -> Iterator[DatabaseUrls]:
    """The migrated warehouse; processes started inside find Dagster's home and storage."""
    with warehouse(settings) as urls:
        migrate(urls)
        os.environ["DAGSTER_HOME"] = str(_dagster_home(settings))
        os.environ["DAGSTER_POSTGRES_URL"] = urls.dagster
        yield urls


def _dagster_home(settings: Settings) -> Path:
    home = settings.home / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(DAGSTER_YAML, home / "dagster.yaml")
    return home
