"""Undoing and replacing a repayment, by Fineract's endpoint and by an operator."""

from typing import Any

import httpx

from repayment_platform_tests.sandbox.server import Server, code, repayment


def _adjust(server: Server, loan: str, external_id: str, **changed: Any) -> httpx.Response:
    path = f"/loans/external-id/{loan}/transactions/external-id/{external_id}?command=undo"
    return server.api.post(path, json=repayment(externalId=None) | changed)


def test_an_undone_repayment_stays_visible_and_keeps_its_external_id(server: Server) -> None:
    loan = server.new_loan()
    number = server.repay(loan, externalId="undone").json()["resourceId"]
    answer = _adjust(server, loan, "undone", transactionAmount=0, reversalExternalId="r-1")
    assert (answer.status_code, answer.json()["resourceId"]) == (200, number)
    shown = server.find(loan, "undone").json()
    assert shown["manuallyReversed"] is True
    assert shown["reversedOnDate"] == [2026, 11, 20]
    assert shown["reversalExternalId"] == "r-1"
    assert [row["id"] for row in server.repayments(loan)] == [number]
    assert server.repay(loan, externalId="undone").status_code == 400


def test_undoing_the_closing_payment_opens_the_loan_again(server: Server) -> None:
    loan = server.new_loan(principal="100.25")
    server.repay(loan, externalId="closing")
    assert server.loan(loan)["status"]["id"] == 600
    _adjust(server, loan, "closing", transactionAmount=0)
    assert server.loan(loan)["status"]["id"] == 300
    assert server.loan(loan)["summary"]["totalOutstanding"] == 100.25


def test_an_amount_above_zero_puts_another_transaction_in_its_place(server: Server) -> None:
    loan = server.new_loan()
    old = server.repay(loan, externalId="wrong").json()["resourceId"]
    answer = _adjust(server, loan, "wrong", transactionAmount=75, externalId="right")
    assert answer.json()["resourceId"] != old
    rows = {row["externalId"]: row for row in server.ledger_of(loan)}
    assert (rows["wrong"]["reversed"], rows["right"]["reversed"]) == (True, False)
    assert rows["right"]["amount"] == "75.00"
    assert server.loan(loan)["summary"]["totalOutstanding"] == 925


def test_a_transaction_is_undone_only_once(server: Server) -> None:
    loan = server.new_loan()
    server.repay(loan, externalId="once")
    assert _adjust(server, loan, "once", transactionAmount=0).status_code == 200
    assert _adjust(server, loan, "once", transactionAmount=0).status_code == 403
    assert server.loan(loan)["summary"]["totalOutstanding"] == 1000


def test_a_reversal_id_is_unique(server: Server) -> None:
    loan = server.new_loan()
    for name in ("first", "second"):
        server.repay(loan, externalId=f"reversal-{name}")
    body = {"transactionAmount": 0, "reversalExternalId": "same"}
    assert _adjust(server, loan, "reversal-first", **body).status_code == 200
    assert _adjust(server, loan, "reversal-second", **body).status_code == 403


def test_an_adjustment_knows_its_own_parameters(server: Server) -> None:
    loan = server.new_loan()
    server.repay(loan, externalId="params")
    answer = _adjust(server, loan, "params", transactionAmount=0, loanId=1)
    assert (answer.status_code, code(answer)) == (400, "error.msg.parameter.unsupported")
    negative = _adjust(server, loan, "params", transactionAmount=-1)
    expected = "validation.msg.loan.transaction.transactionAmount.not.zero.or.greater"
    assert (negative.status_code, code(negative)) == (400, expected)


def test_an_operators_undo_is_seen_in_every_look_up(server: Server) -> None:
    loan = server.new_loan()
    server.repay(loan, externalId="operator")
    assert server.admin.post("/sandbox/undo/operator").status_code == 200
    assert server.find(loan, "operator").json()["manuallyReversed"] is True
    assert [row["reversed"] for row in server.ledger_of(loan)] == [True]
    assert server.admin.post("/sandbox/undo/operator").status_code == 404


def test_a_replay_moves_the_external_id_to_a_new_number(server: Server) -> None:
    loan = server.new_loan()
    old = server.repay(loan, externalId="moving").json()["resourceId"]
    new = server.admin.post("/sandbox/replay/moving").json()["resourceId"]
    shown = server.find(loan, "moving").json()
    assert shown["id"] == new != old
    assert shown["transactionRelations"][0]["toLoanTransaction"] == old
    assert [row["id"] for row in server.repayments(loan)] == [new]
    assert server.loan(loan)["summary"]["totalOutstanding"] == 899.75
    hidden = server.api.get(f"/loans/external-id/{loan}/transactions/{old}").json()
    assert "externalId" not in hidden
    assert hidden["manuallyReversed"] is False


def test_a_transaction_that_is_not_there_leaves_the_key_unused(server: Server) -> None:
    loan = server.new_loan()
    path = f"/loans/external-id/{loan}/transactions/external-id/later?command=undo"
    body, headers = repayment(externalId=None, transactionAmount=0), {"Idempotency-Key": "later"}
    missing = server.api.post(path, json=body, headers=headers)
    expected = "error.msg.loan.transaction.external.id.invalid"
    assert (missing.status_code, code(missing)) == (404, expected)
    server.repay(loan, externalId="later")
    assert server.api.post(path, json=body, headers=headers).status_code == 200
