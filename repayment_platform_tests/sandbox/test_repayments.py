"""What a repayment is answered, and what it does to the loan."""

from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import pytest

from repayment_platform_tests.sandbox.server import Server, code, repayment


def test_a_repayment_is_answered_with_its_ids_and_an_echo_of_the_request(server: Server) -> None:
    loan = server.new_loan()
    response = server.repay(
        loan, externalId="echo-1", paymentTypeId=1, note="line 7", receiptNumber="BANK-9"
    )
    body = response.json()
    number = server.loan(loan)["id"]
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert body == {
        "officeId": 1,
        "clientId": number,
        "loanId": number,
        "resourceId": body["resourceId"],
        "changes": {
            "transactionDate": "2026-11-19",
            "transactionAmount": "100.25",
            "locale": "en",
            "dateFormat": "yyyy-MM-dd",
            "paymentTypeId": 1,
            "note": "line 7",
            "externalId": "echo-1",
            "receiptNumber": "BANK-9",
        },
        "resourceExternalId": "echo-1",
    }
    assert server.find(loan, "echo-1").json()["id"] == body["resourceId"]


def test_payment_details_without_a_payment_type_are_dropped(server: Server) -> None:
    loan = server.new_loan()
    body = repayment(receiptNumber="BANK-9")
    assert "receiptNumber" not in server.repay(loan, body).json()["changes"]
    assert "paymentDetailData" not in server.find(loan, body["externalId"]).json()


def test_a_repayment_without_an_external_id_has_none_in_the_answer(server: Server) -> None:
    answer = server.repay(server.new_loan(), externalId="  ")
    assert answer.status_code == 200
    assert "resourceExternalId" not in answer.json()


def test_a_loan_can_be_named_by_its_number(server: Server) -> None:
    loan = server.new_loan()
    number = server.loan(loan)["id"]
    answer = server.api.post(f"/loans/{number}/transactions?command= REPAYMENT ", json=repayment())
    assert answer.status_code == 200
    assert answer.json()["loanId"] == number


def test_an_unknown_loan_number_is_found_out_by_the_command_itself(server: Server) -> None:
    answer = server.api.post("/loans/999999/transactions?command=repayment", json=repayment())
    assert (answer.status_code, code(answer)) == (404, "error.msg.loan.id.invalid")


PREFIX = "validation.msg.loan.transaction."
REFUSED_BODIES: list[tuple[dict[str, Any], str]] = [
    ({"reversalExternalId": "x"}, "error.msg.parameter.unsupported"),
    ({"transactionDate": None}, PREFIX + "transactionDate.cannot.be.blank"),
    ({"transactionDate": " "}, PREFIX + "transactionDate.cannot.be.blank"),
    ({"transactionDate": [2026, 11, 19]}, PREFIX + "transactionDate.cannot.be.blank"),
    ({"transactionAmount": None}, PREFIX + "transactionAmount.cannot.be.blank"),
    ({"transactionAmount": ""}, PREFIX + "transactionAmount.cannot.be.blank"),
    ({"transactionAmount": 0}, PREFIX + "transactionAmount.not.greater.than.zero"),
    ({"transactionAmount": -5.5}, PREFIX + "transactionAmount.not.greater.than.zero"),
    ({"transactionAmount": "12x"}, "validation.msg.invalid.decimal.format"),
    ({"dateFormat": None}, "validation.msg.missing.dateFormat.parameter"),
    ({"locale": None}, "validation.msg.missing.locale.parameter"),
    ({"locale": "english"}, "validation.msg.invalid.locale.format"),
    ({"transactionDate": "19/11/2026"}, "validation.msg.invalid.dateFormat.format"),
    ({"transactionDate": "2026-02-31"}, "validation.msg.invalid.dateFormat.format"),
    ({"paymentTypeId": 0}, PREFIX + "paymentTypeId.not.greater.than.zero"),
    ({"paymentTypeId": "one"}, "validation.msg.invalid.integer.format"),
    ({"receiptNumber": "9" * 51}, PREFIX + "receiptNumber.exceeds.max.length"),
    ({"note": "n" * 1001}, PREFIX + "note.exceeds.max.length"),
]


@pytest.mark.parametrize(("changed", "expected"), REFUSED_BODIES)
def test_a_body_that_breaks_a_rule_is_refused_with_its_code(
    server: Server, changed: dict[str, Any], expected: str
) -> None:
    loan = server.new_loan()
    answer = server.repay(loan, **changed)
    body = answer.json()
    assert answer.status_code == 400
    assert body["httpStatusCode"] == "400"
    assert body["userMessageGlobalisationCode"] == "validation.msg.validation.errors.exist"
    assert code(answer) == expected
    assert server.ledger_of(loan) == []


def test_all_missing_fields_are_named_at_once(server: Server) -> None:
    answer = server.repay(server.new_loan(), transactionDate=None, transactionAmount=None)
    names = [error["parameterName"] for error in answer.json()["errors"]]
    assert names == ["transactionDate", "transactionAmount"]


def test_an_unsupported_parameter_is_found_before_any_other_fault(server: Server) -> None:
    answer = server.repay(server.new_loan(), colour="red", transactionAmount=None)
    assert [error["parameterName"] for error in answer.json()["errors"]] == ["colour"]


@pytest.mark.parametrize("content", [b"{", b"[1]", b"", b'{"transactionAmount": NaN}'])
def test_malformed_or_empty_json_is_answered_with_a_bare_item(
    server: Server, content: bytes
) -> None:
    path = f"/loans/external-id/{server.new_loan()}/transactions?command=repayment"
    answer = server.api.post(path, content=content)
    assert answer.status_code == 400
    assert answer.json()["userMessageGlobalisationCode"] == "error.msg.invalid.request.body"
    assert answer.json()["parameterName"] == "id"


@pytest.mark.parametrize("query", ["", "?command=", "?command=waive"])
def test_an_unknown_command_is_refused(server: Server, query: str) -> None:
    path = f"/loans/external-id/{server.new_loan()}/transactions{query}"
    answer = server.api.post(path, json=repayment())
    assert answer.status_code == 400
    assert code(answer) == "error.msg.query.parameter.value.unsupported"


def test_an_unknown_loan_is_named_in_the_answer(server: Server) -> None:
    answer = server.repay("LN-404")
    assert answer.status_code == 404
    assert answer.json()["userMessageGlobalisationCode"] == "error.msg.resource.not.found"
    assert answer.json()["errors"][0] == {
        "developerMessage": "Loan with external identifier LN-404 does not exist",
        "defaultUserMessage": "Loan with external identifier LN-404 does not exist",
        "userMessageGlobalisationCode": "error.msg.loan.external.id.invalid",
        "parameterName": "id",
        "args": [{"value": "LN-404"}],
    }


def test_an_unknown_payment_type_is_not_found(server: Server) -> None:
    answer = server.repay(server.new_loan(), paymentTypeId=99)
    assert (answer.status_code, code(answer)) == (404, "error.msg.payment.type.invalid")


@pytest.mark.parametrize("status", [300, 600, 700])
def test_active_closed_and_overpaid_loans_take_repayments(server: Server, status: int) -> None:
    assert server.repay(server.new_loan(status=status)).status_code == 200


@pytest.mark.parametrize("status", [100, 200, 303, 400, 500, 601, 602])
def test_other_loans_refuse_repayments(server: Server, status: int) -> None:
    answer = server.repay(server.new_loan(status=status))
    assert answer.status_code == 400
    assert code(answer) == "error.msg.loan.must.be.active.fully.paid.or.overpaid"


def _refusal(answer: httpx.Response) -> tuple[int, str, str]:
    return answer.status_code, answer.json()["userMessageGlobalisationCode"], code(answer)


def test_a_client_who_is_not_active_is_a_rule_of_the_domain(server: Server) -> None:
    answer = server.repay(server.new_loan(clientActive=False))
    domain = "validation.msg.domain.rule.violation"
    assert _refusal(answer) == (403, domain, "error.msg.client.not.active.exception")


def test_a_date_before_disbursement_is_refused_and_the_day_itself_taken(server: Server) -> None:
    loan = server.new_loan(disbursedOn="2026-03-05")
    early = server.repay(loan, transactionDate="2026-03-04")
    domain = "validation.msg.domain.rule.violation"
    expected = "error.msg.loan.transaction.cannot.be.before.disbursement.date"
    assert _refusal(early) == (403, domain, expected)
    assert server.repay(loan, transactionDate="2026-03-05").status_code == 200


def test_a_date_after_the_business_date_is_refused_and_the_date_itself_taken(
    server: Server,
) -> None:
    loan = server.new_loan()
    late = server.repay(loan, transactionDate="2026-11-21")
    domain = "validation.msg.domain.rule.violation"
    expected = "error.msg.loan.transaction.cannot.be.a.future.date"
    assert _refusal(late) == (403, domain, expected)
    assert late.json()["errors"][0]["args"] == [{"value": "2026-11-21"}]
    assert server.repay(loan, transactionDate="2026-11-20").status_code == 200


def test_paying_exactly_what_is_owed_closes_the_loan(server: Server) -> None:
    loan = server.new_loan(principal="300.50")
    server.repay(loan, transactionAmount=100.25)
    assert server.loan(loan)["status"]["id"] == 300
    server.repay(loan, transactionAmount=200.25)
    closed = server.loan(loan)
    assert closed["status"] | {"id": 600, "closedObligationsMet": True} == closed["status"]
    assert closed["timeline"]["closedOnDate"] == [2026, 11, 19]
    assert "totalOverpaid" not in closed


def test_paying_more_than_is_owed_is_taken_and_overpays_the_loan(server: Server) -> None:
    loan = server.new_loan(principal="80")
    body = repayment(transactionAmount=100.25)
    assert server.repay(loan, body).status_code == 200
    overpaid = server.loan(loan)
    assert (overpaid["status"]["id"], overpaid["totalOverpaid"]) == (700, 20.25)
    paid = server.find(loan, body["externalId"]).json()
    assert (paid["principalPortion"], paid["overpaymentPortion"]) == (80, 20.25)


@pytest.mark.parametrize(
    ("currency", "sent", "posted"),
    [
        ("INR", 10.125, "10.12"),
        ("INR", 10.135, "10.14"),
        ("INR", "1,250.50", "1250.50"),
        ("JPY", 10.5, "10"),
        ("KWD", 10.1235, "10.124"),
        ("USD", 0.001, "0.00"),
    ],
)
def test_amounts_are_rounded_half_to_even_in_the_loans_currency(
    server: Server, currency: str, sent: object, posted: str
) -> None:
    loan = server.new_loan(currency=currency)
    answer = server.repay(loan, transactionAmount=sent)
    assert answer.json()["changes"]["transactionAmount"] == str(sent)
    assert [row["amount"] for row in server.ledger_of(loan)] == [posted]


@pytest.mark.parametrize(
    "changed",
    [{"externalId": "e" * 101}, {"transactionAmount": 10**13}, {"transactionAmount": 10**40}],
)
def test_what_does_not_fit_the_column_is_an_integrity_issue(
    server: Server, changed: dict[str, Any]
) -> None:
    answer = server.repay(server.new_loan(), **changed)
    expected = "error.msg.loan.repayment.unknown.data.integrity.issue"
    assert _refusal(answer) == (403, expected, expected)


def test_a_used_external_id_is_refused_on_every_loan(server: Server) -> None:
    loan, other = server.new_loan(), server.new_loan()
    server.repay(loan, externalId="twice")
    for target in (loan, other):
        answer = server.repay(target, externalId="twice")
        assert answer.status_code == 400
        assert answer.json()["errors"] == [
            {
                "developerMessage": "Failed data validation due to: value.must.be.unique.",
                "defaultUserMessage": "Failed data validation due to: value.must.be.unique.",
                "userMessageGlobalisationCode": PREFIX + "externalId.value.must.be.unique",
                "parameterName": "externalId",
                "args": [{}, {"value": []}],
            }
        ]
    assert len(server.ledger_of(loan) + server.ledger_of(other)) == 1


def test_a_loan_shows_its_summary_and_transactions(server: Server) -> None:
    loan = server.new_loan()
    server.repay(loan, externalId="later", transactionDate="2026-11-18")
    server.repay(loan, externalId="earlier", transactionDate="2026-11-17")
    shown = server.loan(loan)
    names = [row.get("externalId", row["type"]["value"]) for row in shown["transactions"]]
    assert names == ["Disbursement", "earlier", "later"]
    assert Decimal(str(shown["summary"]["totalOutstanding"])) == Decimal("799.50")
    assert date(*shown["timeline"]["actualDisbursementDate"]) == date(2026, 1, 1)
    assert "transactions" not in server.api.get(f"/loans/external-id/{loan}").json()
