"""Looking a transaction up by external ids: what is shown, and the three kinds of 404."""

from repayment_platform_tests.sandbox.server import Server, code, repayment


def test_a_transaction_is_shown_with_dates_as_arrays_and_amounts_at_scale_six(
    server: Server,
) -> None:
    loan = server.new_loan()
    body = repayment(paymentTypeId=2, receiptNumber="UTR-1")
    number = server.repay(loan, body).json()["resourceId"]
    answer = server.find(loan, body["externalId"])
    shown = answer.json()
    assert '"amount":100.250000' in answer.text
    assert shown["id"] == number
    assert shown["externalLoanId"] == loan
    assert shown["externalId"] == body["externalId"]
    assert shown["date"] == [2026, 11, 19]
    assert shown["submittedOnDate"] == [2026, 11, 20]
    assert shown["type"]["value"] == "Repayment"
    assert shown["type"]["repayment"] is True
    assert shown["currency"]["code"] == "INR"
    assert shown["manuallyReversed"] is False
    assert shown["paymentDetailData"] == {
        "id": number,
        "paymentType": {"id": 2, "name": "NACH"},
        "receiptNumber": "UTR-1",
        **dict.fromkeys(("accountNumber", "checkNumber", "routingCode", "bankNumber"), ""),
    }
    assert "reversedOnDate" not in shown


def test_fields_leave_out_some_of_the_rest(server: Server) -> None:
    loan = server.new_loan()
    server.repay(loan, externalId="narrow")
    path = f"/loans/external-id/{loan}/transactions/external-id/narrow?fields=date,amount,none"
    shown = server.api.get(path).json()
    assert {"date", "amount", "loanId"} <= shown.keys()
    assert {"id", "type", "currency", "externalId"}.isdisjoint(shown)


def test_an_unknown_loan_and_an_unknown_transaction_have_different_codes(server: Server) -> None:
    loan = server.new_loan()
    no_loan = server.find("LN-404", "nothing")
    nothing = server.find(loan, "nothing")
    assert (no_loan.status_code, code(no_loan)) == (404, "error.msg.loan.external.id.invalid")
    expected = "error.msg.loan.transaction.external.id.invalid"
    assert (nothing.status_code, code(nothing)) == (404, expected)


def test_a_transaction_of_another_loan_has_a_code_of_its_own(server: Server) -> None:
    loan, other = server.new_loan(), server.new_loan()
    server.repay(loan, externalId="elsewhere")
    answer = server.find(other, "elsewhere")
    assert (answer.status_code, code(answer)) == (404, "error.msg.loan.transaction.id.invalid")


def test_a_transaction_is_found_by_number_under_the_loans_number(server: Server) -> None:
    loan = server.new_loan()
    paid = server.repay(loan).json()
    path = f"/loans/{paid['loanId']}/transactions/{paid['resourceId']}"
    assert server.api.get(path).json()["id"] == paid["resourceId"]
    missing = server.api.get(f"/loans/{paid['loanId']}/transactions/99999999")
    assert (missing.status_code, code(missing)) == (404, "error.msg.loan.transaction.id.invalid")


def test_a_list_of_transactions_comes_in_pages(server: Server) -> None:
    loan = server.new_loan()
    for number in range(3):
        server.repay(loan, externalId=f"page-{number}", transactionAmount=1)
    path = f"/loans/external-id/{loan}/transactions?size=2"
    first, second = (server.api.get(f"{path}&page={number}").json() for number in (0, 1))
    shown = [[row["externalId"] for row in page["content"]] for page in (first, second)]
    assert shown == [[None, "page-0"], ["page-1", "page-2"]]
    assert [page["last"] for page in (first, second)] == [False, True]
    assert (first["totalElements"], first["totalPages"]) == (4, 2)
    assert [row["date"] for row in first["content"]] == ["2026-01-01", "2026-11-19"]
