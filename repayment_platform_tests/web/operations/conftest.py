"""The operations screens on a database of their own, with users of every role."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from fastapi import FastAPI

from repayment_platform.settings import SANDBOX, Settings
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform.web.operations import overview_numbers
from repayment_platform.web.operations.app import create_app
from repayment_platform_tests.web.operations.site import Site


@pytest.fixture
def site(
    built_urls: DatabaseUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """The application, as users of each role see it."""
    # What it remembers of finished days is of the rows of another test.
    monkeypatch.setattr(overview_numbers, "_remembered", overview_numbers._Remembered())
    settings = Settings(
        _env_file=None,
        database_url=built_urls.psycopg,
        repayment_home=tmp_path / "home",
        fineract_base_url=SANDBOX,
    )
    app: FastAPI = create_app(settings, built_urls.psycopg)
    with psycopg.connect(built_urls.psycopg, autocommit=True) as connection:
        yield Site(app, settings, built_urls.psycopg, connection)
