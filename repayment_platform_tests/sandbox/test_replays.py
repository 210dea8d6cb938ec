"""Repayments out of the order of their dates, on each kind of loan, and what they move."""

from typing import Any

import pytest

from repayment_platform_tests.sandbox.server import Server, code, repayment


def _days(server: Server, loan: str, **days: str) -> dict[str, int]:
    """Repay 100 on each day; the ids by external id."""
    answers = {
        name: server.repay(loan, externalId=name, transactionDate=day, transactionAmount=100)
        for name, day in days.items()
    }
    assert {answer.status_code for answer in answers.values()} == {200}
    return {name: answer.json()["resourceId"] for name, answer in answers.items()}


def _replayed(shown: dict[str, Any]) -> list[int]:
    return [one["toLoanTransaction"] for one in shown["transactionRelations"]]


@pytest.mark.parametrize("schedule", ["cumulative", "progressive"])
def test_an_earlier_repayment_replays_the_later_ones(server: Server, schedule: str) -> None:
    loan, tag = server.new_loan(schedule=schedule), schedule
    names = [f"{tag}-day-1", f"{tag}-same", f"{tag}-day-3", f"{tag}-day-5"]
    days = ["2026-11-01", "2026-11-02", "2026-11-03", "2026-11-05"]
    before = _days(server, loan, **dict(zip(names, days, strict=True)))
    early = server.repay(
        loan, externalId=f"{tag}-early", transactionDate="2026-11-02", transactionAmount=950
    )
    assert early.status_code == 200
    shown = {name: server.find(loan, name).json() for name in names}
    assert [shown[name]["id"] == before[name] for name in names] == [True, True, False, False]
    assert [_replayed(shown[name]) for name in names[2:]] == [
        [before[names[2]]],
        [before[names[3]]],
    ]
    assert [shown[name]["overpaymentPortion"] for name in names] == [0, 0, 100, 100]
    assert server.loan(loan)["totalOverpaid"] == 350
    assert [row["externalId"] for row in server.repayments(loan)] == [
        *(names[0], names[1], f"{tag}-early", names[2], names[3]),
    ]


def test_with_interest_recalculation_an_earlier_repayment_is_refused_for_ever(
    server: Server,
) -> None:
    loan = server.new_loan(schedule="recalculated")
    _days(server, loan, **{"rc-1": "2026-11-03", "rc-same-day": "2026-11-03"})
    early = server.repay(loan, externalId="rc-early", transactionDate="2026-11-02")
    expected = "error.msg.loan.repayment.or.waiver.cannot.be.made.before.last.transaction.date"
    assert (early.status_code, code(early)) == (403, expected)
    assert server.admin.post("/sandbox/undo/rc-same-day").status_code == 200
    assert server.admin.post("/sandbox/undo/rc-1").status_code == 200
    freed = server.repay(loan, externalId="rc-early", transactionDate="2026-11-02")
    assert freed.status_code == 200


def test_undoing_an_earlier_repayment_replays_the_later_ones(server: Server) -> None:
    loan = server.new_loan(principal="250.00")
    days = {"un-1": "2026-11-01", "un-2": "2026-11-02", "un-3": "2026-11-03"}
    before = _days(server, loan, **days)
    path = f"/loans/external-id/{loan}/transactions/external-id/un-1?command=undo"
    body = repayment(externalId=None, transactionAmount=0)
    assert server.api.post(path, json=body).status_code == 200
    shown = {name: server.find(loan, name).json() for name in days}
    assert shown["un-1"]["id"] == before["un-1"]
    assert [_replayed(shown[name]) for name in ("un-2", "un-3")] == [
        [before["un-2"]],
        [before["un-3"]],
    ]
    assert [shown[name]["principalPortion"] for name in days] == [100, 100, 100]
    assert server.loan(loan)["summary"]["totalOutstanding"] == 50


def test_relations_name_every_row_that_a_repayment_had(server: Server) -> None:
    loan = server.new_loan()
    first = _days(server, loan, moved="2026-11-05")["moved"]
    _days(server, loan, mover="2026-11-04")
    second = server.find(loan, "moved").json()["id"]
    _days(server, loan, other="2026-11-03")
    shown = server.find(loan, "moved").json()
    assert _replayed(shown) == [first, second]
    assert {one["amount"] for one in shown["transactionRelations"]} == {100}
    assert len({first, second, shown["id"]}) == 3
    listed = {row["externalId"]: row["resourceId"] for row in server.ledger_of(loan)}
    assert (listed["moved"], len(listed)) == (shown["id"], 3)
