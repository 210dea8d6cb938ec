"""A database with every model in it and no rows; a platform on it."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.conftest import Sandbox, settings_of
from repayment_platform_tests.transformation.platform import Platform
from repayment_platform_tests.transformation.warehouse import Warehouse


@pytest.fixture
def models(built_urls: DatabaseUrls) -> Iterator[Warehouse]:
    """A warehouse of this test's own with every model in it and no rows."""
    with psycopg.connect(built_urls.psycopg, autocommit=True) as connection:
        yield Warehouse(built_urls, connection)


@pytest.fixture
def platform(models: Warehouse, sandbox: Sandbox, tmp_path: Path) -> Platform:
    loans = [{"externalId": f"DMI-APP-{n}"} for n in range(1, 10)]
    sandbox.post("loans", loans)
    return Platform(models, settings_of(models.urls, sandbox), sandbox, tmp_path)
