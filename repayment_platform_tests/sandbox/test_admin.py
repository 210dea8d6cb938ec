"""The side door: seeding loans and reading the books."""

from pathlib import Path

from repayment_platform_tests.sandbox.server import (
    BUSINESS_DATE,
    Server,
    code,
    repayment,
    serving,
)


def test_health_names_the_ledger_and_the_process(server: Server) -> None:
    health = server.admin.get("/sandbox/health").json()
    expected = {"status": "UP", "ledger": str(server.ledger), "pid": server.process.pid}
    assert health == expected


def test_an_emptied_sandbox_is_as_new(tmp_path: Path) -> None:
    with serving(tmp_path / "ledger.sqlite") as server:
        server.repay(server.new_loan(), key="key-1", externalId="pay-1")
        server.faults({"kind": "gateway"})
        server.admin.post("/sandbox/empty").raise_for_status()
        assert server.admin.get("/sandbox/ledger").json() == []
        assert server.admin.get("/sandbox/requests").json() == []
        again = server.repay(server.new_loan(), key="key-1", externalId="pay-1")
        assert (again.status_code, again.json()["resourceId"]) == (200, 1)
        assert "x-served-from-cache" not in again.headers


def test_a_loan_needs_no_more_than_its_external_id(server: Server) -> None:
    server.admin.post("/sandbox/loans", json=[{"externalId": "bare-loan"}])
    assert server.repay("bare-loan", transactionDate=BUSINESS_DATE).status_code == 200


def test_saving_the_same_loans_again_changes_nothing(server: Server) -> None:
    loan = server.new_loan(principal="100.25")
    server.repay(loan)
    seed = [{"externalId": loan, "disbursedOn": "2026-01-01", "principal": "100.25"}]
    before = server.loan(loan)
    assert server.admin.post("/sandbox/loans", json=seed).json() == {"saved": 1}
    assert server.loan(loan) == before
    assert before["status"]["id"] == 600


def test_a_larger_principal_opens_a_closed_loan(server: Server) -> None:
    loan = server.new_loan(principal="100.25")
    server.repay(loan)
    server.admin.post("/sandbox/loans", json=[{"externalId": loan, "principal": "150"}])
    assert server.loan(loan)["summary"]["totalOutstanding"] == 49.75
    assert server.loan(loan)["status"]["id"] == 300


def test_a_changed_status_takes_effect_and_can_be_taken_back(server: Server) -> None:
    loan = server.new_loan()
    for status, expected in ((601, 400), (300, 200), (500, 400), (700, 200)):
        changed = server.admin.patch(f"/sandbox/loans/{loan}", json={"status": status})
        assert changed.json()["status"] == status
        assert server.repay(loan).status_code == expected
    assert server.loan(loan)["status"]["id"] == 700


def test_a_changed_loan_keeps_what_was_not_named(server: Server) -> None:
    loan = server.new_loan(currency="KWD", clientActive=False)
    server.admin.patch(f"/sandbox/loans/{loan}", json={"clientActive": True})
    assert server.loan(loan)["currency"]["code"] == "KWD"
    assert server.repay(loan).status_code == 200


def test_loans_that_make_no_sense_are_refused_whole(server: Server) -> None:
    for fields in ({"status": 299}, {"principal": "-1"}, {"colour": "red"}):
        loans = [{"externalId": "sense"}, {"externalId": "nonsense"} | fields]
        assert server.admin.post("/sandbox/loans", json=loans).status_code == 422
    assert code(server.api.get("/loans/external-id/sense")) == "error.msg.loan.external.id.invalid"
    assert server.admin.patch("/sandbox/loans/sense", json={"status": 300}).status_code == 404


def test_the_ledger_lists_every_transaction_and_pages(server: Server) -> None:
    loan = server.new_loan()
    numbers = [server.repay(loan, externalId=f"page-{n}").json()["resourceId"] for n in range(3)]
    assert server.ledger_of(loan)[0] == {
        "resourceId": numbers[0],
        "externalId": "page-0",
        "loanExternalId": loan,
        "amount": "100.25",
        "date": "2026-11-19",
        "reversed": False,
    }
    page = server.admin.get(f"/sandbox/ledger?after={numbers[0]}&limit=1").json()
    assert [row["resourceId"] for row in page] == [numbers[1]]
    assert server.admin.get(f"/sandbox/ledger?after={numbers[2]}").json() == []


def test_the_wire_log_tells_each_request_as_it_came_and_went(server: Server) -> None:
    loan, body = server.new_loan(), repayment()
    server.repay(loan, body, key="logged")
    server.repay(loan, body, key="logged")
    server.find(loan, body["externalId"])
    first, second, third = server.requests_of(loan)
    assert first["path"].endswith(f"/loans/external-id/{loan}/transactions?command=repayment")
    assert (first["method"], first["operation"], first["status"]) == ("POST", "repayment", 200)
    assert first["externalId"] == third["externalId"] == body["externalId"]
    assert first["idempotencyKey"] == second["idempotencyKey"] == "logged"
    assert [row["applied"] for row in (first, second, third)] == [True, False, False]
    assert third["operation"] == "lookup"
    assert first["startedAt"] <= first["endedAt"] <= second["startedAt"]
