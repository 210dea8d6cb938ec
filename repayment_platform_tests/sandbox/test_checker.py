"""Maker-checker: what waits for a second person, and what that person's word does."""

import httpx

from repayment_platform_tests.sandbox.server import Server, code, repayment


def _decide(server: Server, made: httpx.Response, decision: str) -> httpx.Response:
    return server.api.post(f"/makercheckers/{made.json()['commandId']}?command={decision}", json={})


def test_what_a_checker_approves_is_posted_as_it_was_sent(server: Server) -> None:
    loan = server.new_loan()
    server.faults({"kind": "maker_checker", "times": 2}, retry_seconds=0.01)
    made = [server.repay(loan, externalId="approved", key=key) for key in ("mc-1", "mc-2")]
    assert made[0].json() == {
        "commandId": made[0].json()["commandId"],
        "rollbackTransaction": True,
    }
    assert server.ledger_of(loan) == []
    approved = _decide(server, made[0], "approve")
    assert (approved.status_code, approved.json()["resourceExternalId"]) == (200, "approved")
    assert server.find(loan, "approved").json()["id"] == approved.json()["resourceId"]
    assert _decide(server, made[1], "approve").status_code == 400
    assert _decide(server, made[0], "approve").status_code == 404
    assert len(server.ledger_of(loan)) == 1


def test_what_a_checker_rejects_never_frees_its_key(server: Server) -> None:
    loan = server.new_loan()
    server.faults({"kind": "maker_checker", "times": 1}, retry_seconds=0.01)
    made = server.repay(loan, externalId="rejected", key="mc-3")
    assert _decide(server, made, "reject").json() == {"commandId": made.json()["commandId"]}
    assert server.repay(loan, externalId="rejected", key="mc-3").status_code == 425
    assert server.ledger_of(loan) == []


def test_what_is_not_allowed_is_refused_before_a_checker_sees_it(server: Server) -> None:
    server.faults({"kind": "maker_checker"})
    answer = server.repay(server.new_loan(status=200))
    expected = "error.msg.loan.must.be.active.fully.paid.or.overpaid"
    assert (answer.status_code, code(answer)) == (400, expected)


def test_an_undo_that_waits_for_a_checker_names_the_repayment(server: Server) -> None:
    loan = server.new_loan()
    number = server.repay(loan, externalId="kept").json()["resourceId"]
    server.faults({"kind": "maker_checker", "on": "adjustment"})
    path = f"/loans/external-id/{loan}/transactions/external-id/kept?command=undo"
    made = server.api.post(path, json=repayment(externalId=None, transactionAmount=0))
    assert (made.status_code, made.json()["resourceId"]) == (200, number)
    assert made.json()["rollbackTransaction"] is True
    assert server.find(loan, "kept").json()["manuallyReversed"] is False
    assert _decide(server, made, "approve").status_code == 200
    assert server.find(loan, "kept").json()["manuallyReversed"] is True
