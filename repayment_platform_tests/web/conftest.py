"""Receivers of the tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.web.receiving import Receiver, start

StartReceiver = Callable[..., Receiver]


@pytest.fixture
def start_receiver(database_urls: DatabaseUrls, tmp_path: Path) -> Iterator[StartReceiver]:
    """Starts receivers of this test's database, with settings of its own."""
    started: list[Receiver] = []

    def start_one(port: int = 0, **environment: str) -> Receiver:
        started.append(start(database_urls.psycopg, tmp_path, port, **environment))
        return started[-1]

    yield start_one
    for receiver in started:
        if receiver.process.poll() is None:
            receiver.stop()


@pytest.fixture
def receiver(start_receiver: StartReceiver) -> Receiver:
    """A receiver with a secret for every source."""
    return start_receiver()
