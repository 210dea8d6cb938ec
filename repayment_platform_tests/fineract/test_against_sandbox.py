"""The client and the stand-in, written apart from each other, agree on Fineract's contract."""

import asyncio
import secrets
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from repayment_platform.fineract.client import FineractClient, today_in_india
from repayment_platform.fineract.contract import (
    Absent,
    AwaitingApproval,
    Elsewhere,
    Found,
    Loan,
    LookupFailed,
    Posted,
    Refused,
    Repayment,
    Reply,
    SystemFault,
    Transient,
    Unknown,
    UnknownLoan,
    Unreached,
)
from repayment_platform_tests.conftest import Sandbox

pytestmark = pytest.mark.anyio

TODAY = today_in_india()
AMOUNT = Decimal("125.50")


class Bench:
    """The client under test beside the sandbox's own side door."""

    def __init__(self, sandbox: Sandbox, client: FineractClient) -> None:
        self.client = client
        self.side = httpx.Client(base_url=f"{sandbox.root_url}/sandbox")

    def loans(self, *ids: str, **fields: Any) -> None:
        loans = [{"externalId": loan} | fields for loan in ids]
        self.side.post("/loans", json=loans).raise_for_status()

    def faults(self, *rules: dict[str, Any]) -> None:
        plan = {"rules": rules, "retry_seconds": 0.01}
        self.side.post("/faults", json=plan).raise_for_status()

    def ledger(self) -> list[dict[str, Any]]:
        return self.side.get("/ledger").json()

    async def post(self, external_id: str, loan: str = "LN-1", day: date = TODAY) -> Reply:
        repayment = Repayment(loan, external_id, day, AMOUNT)
        return await self.client.post_repayment(repayment, secrets.token_hex(16))


@pytest.fixture
async def bench(sandbox: Sandbox):
    password = SecretStr("password")
    async with FineractClient(sandbox.base_url, "mifos", password, timeout_seconds=0.6) as client:
        bench = Bench(sandbox, client)
        bench.loans("LN-1", "LN-2")
        yield bench
        bench.side.close()


async def test_a_repayment_stands_in_the_ledger_and_is_found_there(bench: Bench) -> None:
    posted = await bench.post("pay-1")
    assert isinstance(posted, Posted)
    (row,) = bench.ledger()
    assert (row["resourceId"], row["externalId"], row["loanExternalId"], row["date"]) == (
        posted.resource_id,
        "pay-1",
        "LN-1",
        TODAY.isoformat(),
    )
    assert Decimal(row["amount"]) == AMOUNT
    found = await bench.client.find_transaction("LN-1", "pay-1")
    assert isinstance(found, Found)
    assert found.transaction.resource_id == posted.resource_id
    assert found.transaction.amount == AMOUNT
    assert found.transaction.date == TODAY
    assert not found.transaction.reversed
    listing = await bench.client.list_transactions("LN-1")
    assert isinstance(listing, tuple)
    assert [one for one in listing if one.is_repayment] == [found.transaction]
    assert isinstance(await bench.client.find_transaction("LN-2", "pay-1"), Elsewhere)
    assert await bench.client.find_transaction("LN-1", "pay-2") == Absent()
    bench.side.post("/undo/pay-1").raise_for_status()
    undone = await bench.client.find_transaction("LN-1", "pay-1")
    assert isinstance(undone, Found)
    assert undone.transaction.reversed


async def test_a_loan_that_is_not_there_is_told_apart_from_an_absent_payment(bench: Bench) -> None:
    reply = await bench.post("pay-1", "LN-404")
    assert reply == Refused(
        "error.msg.loan.external.id.invalid",
        "Loan with external identifier LN-404 does not exist",
        404,
    )
    assert isinstance(await bench.client.find_transaction("LN-404", "pay-1"), UnknownLoan)
    assert isinstance(await bench.client.get_loan("LN-404"), UnknownLoan)


@pytest.mark.parametrize("flavour", ["postgres", "mysql"])
async def test_an_external_id_in_use_says_so_in_both_flavours(bench: Bench, flavour: str) -> None:
    if flavour == "mysql":
        bench.faults({"kind": "mysql_duplicate"})
    assert isinstance(await bench.post("pay-1"), Posted)
    for loan in ("LN-1", "LN-2"):
        again = await bench.post("pay-1", loan)
        assert isinstance(again, Unknown)
        assert again.already_there
    assert len(bench.ledger()) == 1


async def test_the_same_key_again_is_never_taken_for_a_posting(bench: Bench) -> None:
    first = Repayment("LN-1", "pay-1", TODAY, AMOUNT)
    other = Repayment("LN-2", "pay-2", TODAY, AMOUNT)
    assert isinstance(await bench.client.post_repayment(first, "key"), Posted)
    assert isinstance(await bench.client.post_repayment(first, "key"), Unknown)
    assert isinstance(await bench.client.post_repayment(other, "key"), Unknown)
    assert len(bench.ledger()) == 1


async def test_loans_take_repayments_by_their_state(bench: Bench) -> None:
    for status in (100, 200, 300, 600, 601, 602, 700):
        bench.loans(f"LN-{status}", status=status)
        loan = await bench.client.get_loan(f"LN-{status}")
        assert loan == Loan(f"LN-{status}", status, date(2020, 1, 1))
        reply = await bench.post(f"pay-{status}", f"LN-{status}")
        assert isinstance(reply, Posted if loan.takes_repayments else Refused), status


async def test_dates_outside_the_loan_are_the_rows_fault_and_a_late_ledger_is_not(
    bench: Bench,
) -> None:
    bench.loans("LN-3", disbursedOn="2026-01-10")
    early = await bench.post("pay-1", "LN-3", date(2026, 1, 9))
    assert isinstance(early, Refused)
    assert early.code == "error.msg.loan.transaction.cannot.be.before.disbursement.date"
    today = today_in_india()  # here and not at the import: a run of all tests may pass midnight
    assert isinstance(await bench.post("pay-2", day=today + timedelta(days=1)), Refused)
    bench.faults({"kind": "business_date_behind", "days": 1})
    assert isinstance(await bench.post("pay-3", day=today), Transient)
    bench.loans("LN-4", clientActive=False)
    assert isinstance(await bench.post("pay-4", "LN-4"), Refused)


FAULTS: tuple[tuple[dict[str, Any], type, bool], ...] = (
    ({"kind": "reset_before_work"}, Unknown, False),
    ({"kind": "reset_after_commit"}, Unknown, True),
    ({"kind": "hang_before_work"}, Unknown, False),
    ({"kind": "hang_after_commit"}, Unknown, True),
    ({"kind": "server_error_after_commit"}, Unknown, True),
    ({"kind": "stuck_key", "applied": True}, Unknown, True),
    ({"kind": "gateway", "status": 504, "applied": True}, Unknown, True),
    ({"kind": "gateway", "status": 503}, Unknown, False),
    ({"kind": "maker_checker"}, AwaitingApproval, False),
    ({"kind": "lock_conflict"}, Transient, False),
    ({"kind": "loan_locked"}, Transient, False),
    ({"kind": "too_many_requests"}, Transient, False),
    ({"kind": "job_running"}, Unreached, False),
    ({"kind": "unauthorized"}, SystemFault, False),
    ({"kind": "not_authorized"}, SystemFault, False),
)
"""A switch of the sandbox, the outcome, and whether the money is in the ledger."""


async def test_no_fault_is_taken_for_another(bench: Bench) -> None:
    for number, (fault, outcome, applied) in enumerate(FAULTS):
        bench.faults({"times": 1} | fault)
        reply = await bench.post(f"pay-{number}")
        assert isinstance(reply, outcome), (fault, reply)
        assert not isinstance(reply, Unknown) or reply.server_trouble, fault
        in_ledger = [row["externalId"] for row in bench.ledger()]
        assert (f"pay-{number}" in in_ledger) is applied, fault
        lookup = await bench.client.find_transaction("LN-1", f"pay-{number}")
        assert isinstance(lookup, Found if applied else Absent), fault


async def test_a_replayed_transaction_is_found_under_its_new_id(bench: Bench) -> None:
    bench.faults({"kind": "replay"})
    posted = await bench.post("pay-1")
    assert isinstance(posted, Posted)
    found = await bench.client.find_transaction("LN-1", "pay-1")
    assert isinstance(found, Found)
    assert found.transaction.resource_id != posted.resource_id


async def test_a_wrong_tenant_password_or_address_is_the_systems_fault(sandbox: Sandbox) -> None:
    for base_url, password, tenant in (
        (sandbox.base_url, "password", "other"),
        (sandbox.base_url, "wrong", "default"),
        (f"{sandbox.root_url}/fineract-provider/api", "password", "default"),
    ):
        async with FineractClient(base_url, "mifos", SecretStr(password), tenant) as client:
            repayment = Repayment("LN-1", "pay-1", TODAY, AMOUNT)
            assert isinstance(await client.post_repayment(repayment, "key"), SystemFault)
            lookup = await client.find_transaction("LN-1", "pay-1")
            assert isinstance(lookup, LookupFailed)
            assert lookup.system_fault


async def test_many_workers_post_side_by_side(sandbox: Sandbox, bench: Bench) -> None:
    loans = [f"LN-{number}" for number in range(100, 120)]
    bench.loans(*loans)

    async def worker(loan: str) -> list[Reply]:
        async with FineractClient(
            sandbox.base_url, "mifos", SecretStr("password"), timeout_seconds=10
        ) as client:
            payments = [Repayment(loan, f"{loan}#{n}", TODAY, AMOUNT) for n in range(5)]
            return [await client.post_repayment(p, secrets.token_hex(16)) for p in payments]

    replies = await asyncio.gather(*map(worker, loans))
    assert all(isinstance(reply, Posted) for of_one in replies for reply in of_one)
    assert len(bench.ledger()) == 100
