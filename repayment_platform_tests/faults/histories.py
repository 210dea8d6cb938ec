"""Small histories for the rules of the fault campaign: a clean one, and how to change it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from repayment_platform_tests.faults.campaign.history import (
    Attempt,
    Deed,
    History,
    LedgerRow,
    OpenWork,
    Outcome,
    Request,
    Run,
    Write,
)
from repayment_platform_tests.faults.campaign.plan import Facts, Plan, Put
from repayment_platform_tests.faults.campaign.trouble import RunOrder

DAY = date(2026, 11, 20)
LENDER, LOAN, KEY = "DMI", "LN-1", "a" * 32
AMOUNT = Decimal("10.00")

Change = Callable[[History], Any]


def put(key: str = KEY, at: float = 0.0, **changed: Any) -> Deed:
    facts = replace(Facts(LENDER, LOAN, DAY, AMOUNT), **changed)
    return Deed(at, at + 0.01, "put", Put(key, facts))


def write(at: float, writer: str, old: dict[str, Any] | None, new: dict[str, Any]) -> Write:
    return Write(at, writer, "CORE_POSTING_ATTEMPT", old, new)


def version(owner: str = "run-1", number: int = 1, settled_at: str | None = None) -> dict[str, Any]:
    return {"id": number, "source_key": KEY, "run_id": owner, "settled_at": settled_at}


def attempt(number: int = 1, **changed: Any) -> Attempt:
    """Sent at second 2 of run-1, answered at second 2.5."""
    usual = Attempt(
        id=number,
        key=KEY,
        loan=LOAN,
        day=DAY,
        amount=AMOUNT,
        idempotency_key=f"idem-{number}",
        run_id="run-1",
        intended_at=2.0,
        lender=LENDER,
        outcome="success",
        settled_by="reply",
        settled_at=2.5,
    )
    return replace(usual, **changed)


def post(number: int = 1, **changed: Any) -> Request:
    usual = Request(number, "repayment", LOAN, KEY, f"idem-{number}", 2.1, 2.2, 200, applied=True)
    return replace(usual, **changed)


def look_up(started: float, status: int, **changed: Any) -> Request:
    usual = Request(90, "lookup", LOAN, KEY, None, started, started, status)
    return replace(usual, **changed)


def run(run_id: str = "run-1", **changed: Any) -> Run:
    order = RunOrder(run_id, start=0, workers=2, recon_keys=changed.pop("recon_keys", None))
    return Run(order, **({"started": 1.0, "ended": 5.0, "code": 0} | changed))


def clean() -> History:
    """One payment, posted at the first try, on record and in the ledger."""
    return History(
        plan=Plan(seed=1, loans={LOAN: "active"}),
        settle_seconds=1.0,
        begin_within_seconds=0.1,
        deeds=[put()],
        runs={"run-1": run()},
        writes=[
            write(2.0, "run-1", None, version()),
            write(2.5, "run-1", version(), version(settled_at="then")),
        ],
        attempts=[attempt()],
        requests=[post()],
        ledger=[LedgerRow(KEY, LOAN, AMOUNT, DAY)],
        outcomes=[Outcome(KEY, LOAN, DAY, AMOUNT, "success")],
    )


def resting(state: str, **changed: Any) -> OpenWork:
    return replace(OpenWork(KEY, LENDER, LOAN, state, "a reason"), **changed)


def intends_again(history: History, **second: Any) -> None:
    """The payment is given up by a look-up after the settle time, and sent again at second 4."""
    first = attempt(outcome="not_applied", settled_by="lookup", settled_at=3.5)
    again = {"intended_at": 4.0, "settled_at": 4.5} | second
    history.attempts[:] = [first, attempt(2, **again)]
    history.writes += [
        write(again["intended_at"], "run-1", None, version(number=2)),
        write(4.5, "run-1", version(number=2), version(number=2, settled_at="then")),
    ]
    history.requests[:] = [
        post(applied=False, status=None),
        look_up(3.4, 404),
        post(2, started=4.1, ended=4.2),
    ]
