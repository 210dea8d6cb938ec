"""What the tests of the Fineract client share."""

from typing import Any

import pytest

from repayment_platform.fineract.client import FineractClient
from repayment_platform.fineract.contract import Repayment
from repayment_platform_tests.fineract.raw_server import RawServer
from repayment_platform_tests.fineract.values import KEY, PASSWORD, REPAYMENT, TODAY


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def raw():
    async with RawServer() as raw:
        yield raw


@pytest.fixture
async def client(raw: RawServer):
    async with make_client(raw.base_url) as client:
        yield client


@pytest.fixture
def post(raw: RawServer, client: FineractClient):
    async def post(response: bytes, repayment: Repayment = REPAYMENT):
        raw.plays(response)
        return await client.post_repayment(repayment, KEY)

    return post


def make_client(base_url: str, timeout_seconds: float = 2.0, **options: Any) -> FineractClient:
    options = {"timeout_seconds": timeout_seconds, "today": lambda: TODAY} | options
    return FineractClient(base_url, "mifos", PASSWORD, **options)
