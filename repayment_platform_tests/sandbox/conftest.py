"""One sandbox for a whole module: its tests keep apart by using loans of their own."""

from collections.abc import Iterator

import pytest

from repayment_platform_tests.sandbox.server import Server, serving


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("sandbox") / "ledger.sqlite") as server:
        yield server


@pytest.fixture
def server(shared_server: Server) -> Iterator[Server]:
    """The module's sandbox, without faults before and after; keys in work are given up fast."""
    shared_server.faults(retry_seconds=0.01)
    yield shared_server
    shared_server.faults()
