"""Dagster's jobs run on what dbt has made."""

import pytest

from repayment_platform.warehouse.urls import DatabaseUrls


@pytest.fixture
def database_urls(built_urls: DatabaseUrls) -> DatabaseUrls:
    return built_urls
