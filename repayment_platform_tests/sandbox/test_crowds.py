"""Many requests at once: conflicts on one loan, a machine's capacity, answers that get lost."""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path
from threading import Barrier
from typing import Any

import httpx
import pytest

from repayment_platform.sandbox.machine import Capacity, Machine
from repayment_platform_tests.sandbox.server import Server, repayment, serving

Request = Callable[[], httpx.Response]
EIGHT = range(8)
SERVICE = {"kind": "latency", "ms": 300, "on": "any"}


def _together(requests: Iterable[Request]) -> list[httpx.Response]:
    """Send all at the same time; the answers in the order of the requests."""
    waiting = list(requests)
    start = Barrier(len(waiting))

    def send(request: Request) -> httpx.Response:
        start.wait(20)
        return request()

    with ThreadPoolExecutor(len(waiting)) as pool:
        return list(pool.map(send, waiting))


def _at_once(server: Server, loans: Iterable[str], name: str) -> list[httpx.Response]:
    """Repay 1 on each of the loans, all at the same time."""
    ids = (f"{name}-{number}" for number in count())
    return _together(
        partial(server.repay, loan, key=mine, externalId=mine, transactionAmount=1)
        for loan, mine in zip(loans, ids, strict=False)
    )


def _undo(server: Server, loan: str, external_id: str, **also: Any) -> httpx.Response:
    path = f"/loans/external-id/{loan}/transactions/external-id/{external_id}?command=undo"
    return server.api.post(path, json=repayment(externalId=None, transactionAmount=0, **also))


def _statuses(answers: Iterable[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def test_of_eight_at_once_on_one_loan_three_are_posted_and_five_conflict(server: Server) -> None:
    loan = server.new_loan()
    server.faults(SERVICE, conflicts=True, retry_seconds=0.3)
    answers = _at_once(server, [loan for _ in EIGHT], "crowd")
    assert _statuses(answers) == {200: 3, 409: 5}
    assert len(server.ledger_of(loan)) == 3
    lost = next(number for number in EIGHT if answers[number].status_code == 409)
    body = answers[lost].json()
    assert body["userMessageGlobalisationCode"] == "error.msg.platform.service.lock.conflict"
    again = server.repay(loan, externalId=f"crowd-{lost}", key=f"crowd-{lost}")
    assert (again.status_code, again.headers["x-served-from-cache"]) == (409, "true")
    fresh = server.repay(loan, externalId=f"crowd-{lost}", key="crowd-fresh")
    assert fresh.status_code == 200


def test_of_two_at_once_with_one_external_id_the_second_is_told_so(server: Server) -> None:
    loan = server.new_loan()
    server.faults(SERVICE, conflicts=True, retry_seconds=0.3)
    pay = partial(server.repay, loan, externalId="one-id")
    answers = _together([partial(pay, key="one-id-1"), partial(pay, key="one-id-2")])
    assert _statuses(answers) == {200: 1, 400: 1}


def test_of_two_undos_at_once_one_is_done_and_the_look_up_says_whose(server: Server) -> None:
    loan = server.new_loan()
    server.repay(loan, externalId="undone-at-once")
    server.faults(SERVICE, conflicts=True, retry_seconds=0.3)
    undo = partial(_undo, server, loan, "undone-at-once")
    answers = _together(partial(undo, reversalExternalId=f"reversal-{n}") for n in range(2))
    assert _statuses(answers) == {200: 1, 403: 1}
    done = [answer.status_code for answer in answers].index(200)
    shown = server.find(loan, "undone-at-once").json()
    assert shown["reversalExternalId"] == f"reversal-{done}"


def test_an_undo_and_a_repayment_at_once_are_both_done(server: Server) -> None:
    loan = server.new_loan()
    server.repay(loan, externalId="undone-beside")
    server.faults(SERVICE, conflicts=True, retry_seconds=0.3)
    answers = _together(
        [
            partial(_undo, server, loan, "undone-beside"),
            partial(server.repay, loan, externalId="paid-beside"),
        ]
    )
    assert _statuses(answers) == {200: 2}


def test_without_the_switch_nothing_conflicts(server: Server) -> None:
    loan = server.new_loan()
    server.faults(SERVICE)
    assert _statuses(_at_once(server, [loan for _ in EIGHT], "calm")) == {200: 8}


def test_repayments_of_different_loans_do_not_conflict(server: Server) -> None:
    loans = [server.new_loan() for _ in EIGHT]
    server.faults(SERVICE, conflicts=True)
    assert _statuses(_at_once(server, loans, "apart")) == {200: 8}


@pytest.mark.parametrize(("cores", "first"), [(2, 2), (None, 8)])
def test_requests_wait_for_one_of_the_cores(cores: int | None, first: int) -> None:
    async def ended_first() -> int:
        machine = Machine(Capacity(cores=cores, service_ms=20))
        tasks = [asyncio.create_task(machine.serve()) for _ in EIGHT]
        ended, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.gather(*others)
        return len(ended)

    assert asyncio.run(ended_first()) == first


@pytest.mark.parametrize(("before", "after", "ended"), [(1, 8, [8]), (4, 1, [4, 5])])
def test_another_number_of_cores_counts_for_who_waits(
    before: int, after: int, ended: list[int]
) -> None:
    async def ended_by_and_by() -> list[int]:
        machine = Machine(Capacity(cores=before, service_ms=20))
        tasks = [asyncio.create_task(machine.serve()) for _ in EIGHT]
        await asyncio.sleep(0)
        machine.capacity = Capacity(cores=after, service_ms=20)
        counts = []
        for _ in ended:
            waiting = [task for task in tasks if not task.done()]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0.01)
            counts.append(sum(task.done() for task in tasks))
        await asyncio.gather(*tasks)
        return counts

    assert asyncio.run(ended_by_and_by()) == ended


def test_who_gives_up_in_the_line_keeps_no_core() -> None:
    async def all_served() -> bool:
        machine = Machine(Capacity(cores=1, service_ms=5))
        first, gone, last = (asyncio.create_task(machine.serve()) for _ in range(3))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(first, last)
        return gone.cancelled()

    assert asyncio.run(all_served())


def test_the_machine_is_changed_while_it_runs_and_is_its_old_self_after_emptying(
    server: Server,
) -> None:
    def change(**what: Any) -> httpx.Response:
        return server.admin.post("/sandbox/machine", json=what)

    at_start = change().json()
    assert change(cores=2, service_ms=5).json() == {
        **at_start,
        "cores": 2,
        "service_ms": 5,
    }
    assert change(cores=1).json()["service_ms"] == 5
    assert change(cores=0).status_code == 422
    loans = [server.new_loan() for _ in EIGHT]
    assert _statuses(_at_once(server, loans, "changed")) == {200: 8}
    server.admin.post("/sandbox/empty")
    assert change().json() == at_start


def test_a_sandbox_with_few_cores_serves_them_all(tmp_path: Path) -> None:
    with serving(tmp_path / "ledger", "--cores", "2", "--service-ms", "5") as server:
        loans = [server.new_loan() for _ in EIGHT]
        assert _statuses(_at_once(server, loans, "queue")) == {200: 8}


def test_answers_are_lost_in_a_crowd_and_the_money_is_posted(tmp_path: Path) -> None:
    options = ("--service-ms", "30", "--overload-at", "1")
    with serving(tmp_path / "ledger", *options) as server:
        loans = [server.new_loan() for _ in range(16)]
        total: Counter[int] = Counter()
        for number in range(25):
            total += _statuses(_at_once(server, loans, f"lost-{number}"))
        assert total.keys() == {200, 500}
        assert sum(total.values()) == len(server.admin.get("/sandbox/ledger").json()) == 400


def test_faults_conflicts_and_a_slow_start_come_from_the_command_line(tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps({"rules": [{"kind": "server_error_after_commit", "times": 1}]}))
    options = ("--faults", str(faults), "--conflicts", "--start-seconds", "0.2")
    options += ("--latency-ms", "300")
    with serving(tmp_path / "ledger", *options) as server:
        loan = server.new_loan()
        answer = server.repay(loan, externalId="told-500")
        assert (answer.status_code, len(server.ledger_of(loan))) == (500, 1)
        server.faults(retry_seconds=0.3)
        answers = _at_once(server, [loan for _ in EIGHT], "line")
        assert _statuses(answers) == {200: 3, 409: 5}


def test_a_ledger_of_an_earlier_sandbox_is_taken_over(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    with serving(ledger) as server:
        loan = server.new_loan()
        server.repay(loan, externalId="old")
        server.process.terminate()
        server.process.wait(10)
    with closing(sqlite3.connect(ledger, isolation_level=None)) as db:
        db.execute("ALTER TABLE loan DROP COLUMN schedule")
        for column in ("loan_id", "transaction_id", "body"):
            db.execute(f"ALTER TABLE command DROP COLUMN {column}")
    with serving(ledger) as server:
        assert server.find(loan, "old").status_code == 200
        assert server.loan(loan)["loanScheduleType"]["code"] == "CUMULATIVE"
