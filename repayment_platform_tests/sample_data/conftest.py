"""A sample that several tests read, and rows of a ledger that agrees with its truth."""

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest

from repayment_platform.sample_data import truth
from repayment_platform.sample_data.deliver import Counts, deliver
from repayment_platform.sample_data.generate import generate
from repayment_platform.sample_data.signing import read_secrets
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.databases import set_clock
from repayment_platform_tests.web.receiving import start

TODAY = date(2026, 11, 22)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's sample: four hundred payments."""
    root = tmp_path_factory.mktemp("sample")
    generate(root, 400, 1, TODAY)
    return root


@pytest.fixture(scope="session")
def told(sample: Path) -> Mapping[str, Any]:
    """What the sample's truth says."""
    return truth.read(sample / "truth.json")


@pytest.fixture
def database_urls(built_urls: DatabaseUrls) -> DatabaseUrls:
    """What is sent is also made into CORE; it lands on the sample's day."""
    with psycopg.connect(built_urls.psycopg) as connection:
        set_clock(connection, TODAY)
    return built_urls


@pytest.fixture
def send_webhooks(database_urls: DatabaseUrls, tmp_path: Path) -> Callable[[Path], Counts]:
    """Deliver the webhooks of a sample to a receiver of this test's own."""

    def send(root: Path) -> Counts:
        secrets = read_secrets(root / "secrets.env")
        settings = {name: ",".join(values) for name, values in secrets.items()}
        receiver = start(database_urls.psycopg, tmp_path, 0, **settings)
        try:
            return deliver(root, receiver.url, concurrency=4)
        finally:
            receiver.stop()

    return send
