"""The life of an Idempotency-Key."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from repayment_platform_tests.sandbox.server import Server, code, repayment

CACHED = "x-served-from-cache"


def test_a_key_used_again_gets_the_first_answer_and_posts_nothing(server: Server) -> None:
    loan = server.new_loan()
    body = repayment()
    first = server.repay(loan, body, key="again")
    second = server.repay(loan, body, key="again")
    assert CACHED not in first.headers
    assert second.headers[CACHED] == "true"
    assert (second.status_code, second.json()) == (200, first.json())
    assert len(server.ledger_of(loan)) == 1


def test_a_key_is_bound_neither_to_its_loan_nor_to_its_body(server: Server) -> None:
    loan, other = server.new_loan(), server.new_loan()
    first = server.repay(loan, key="unbound", transactionAmount=10)
    second = server.repay(other, key="unbound", transactionAmount=999)
    assert second.json() == first.json()
    assert server.ledger_of(other) == []


def test_without_a_key_every_request_stands_for_itself(server: Server) -> None:
    loan = server.new_loan()
    for _ in range(2):
        assert server.repay(loan).status_code == 200
    assert len(server.ledger_of(loan)) == 2


@pytest.mark.parametrize(
    "changed",
    [
        {"colour": "red"},
        {"transactionAmount": -1},
        {"transactionDate": "2030-01-01"},
        {"paymentTypeId": 99},
    ],
)
def test_a_refused_command_burns_its_key(server: Server, changed: dict[str, Any]) -> None:
    loan, key = server.new_loan(), f"burnt-{next(iter(changed))}"
    refused = server.repay(loan, key=key, **changed)
    corrected = server.repay(loan, key=key)
    assert refused.status_code >= 400
    assert corrected.headers[CACHED] == "true"
    assert (corrected.status_code, corrected.json()) == (refused.status_code, refused.json())
    assert server.ledger_of(loan) == []


def test_an_empty_body_burns_the_key_and_a_malformed_one_does_not(server: Server) -> None:
    loan = server.new_loan()
    path = f"/loans/external-id/{loan}/transactions?command=repayment"
    for content, key in ((b"", "empty"), (b"{", "malformed")):
        server.api.post(path, content=content, headers={"Idempotency-Key": key})
    assert server.repay(loan, key="empty").status_code == 400
    assert server.repay(loan, key="malformed").status_code == 200


def test_what_is_refused_before_the_command_leaves_the_key_unused(server: Server) -> None:
    loan, key = server.new_loan(), "unused"
    path = f"/loans/external-id/{loan}/transactions"
    headers = {"Idempotency-Key": key}
    assert server.repay("LN-404", key=key).status_code == 404
    assert server.api.post(path, json=repayment(), headers=headers).status_code == 400
    stranger = server.client(auth=None).post(path, json=repayment(), headers=headers)
    assert stranger.status_code == 401
    fresh = server.repay(loan, key=key)
    assert (fresh.status_code, CACHED in fresh.headers) == (200, False)


def test_an_unknown_loan_number_burns_the_key(server: Server) -> None:
    headers = {"Idempotency-Key": "burnt-number"}
    path = "/loans/999999/transactions?command=repayment"
    assert server.api.post(path, json=repayment(), headers=headers).status_code == 404
    again = server.api.post(path, json=repayment(), headers=headers)
    assert (again.status_code, again.headers[CACHED]) == (404, "true")


def test_fifty_characters_fit_a_key_and_one_more_does_not(server: Server) -> None:
    loan = server.new_loan()
    assert server.repay(loan, key="k" * 50).status_code == 200
    too_long = server.repay(loan, key="k" * 51)
    assert too_long.status_code == 403
    assert code(too_long) == "error.msg.data.integrity.issue"


def test_a_repayments_key_means_nothing_to_an_adjustment(server: Server) -> None:
    loan = server.new_loan()
    server.repay(loan, externalId="other-action", key="shared")
    undone = server.api.post(
        f"/loans/external-id/{loan}/transactions/external-id/other-action?command=undo",
        json=repayment(externalId=None, transactionAmount=0),
        headers={"Idempotency-Key": "shared"},
    )
    assert (undone.status_code, CACHED in undone.headers) == (200, False)


def test_a_key_in_work_is_waited_for_then_answered_425_with_the_callers_own_body(
    server: Server,
) -> None:
    loan = server.new_loan()
    server.faults({"kind": "latency", "ms": 600, "times": 1}, retry_seconds=0.05)
    slow = threading.Thread(target=server.repay, args=(loan,), kwargs={"key": "in-work"})
    slow.start()
    time.sleep(0.2)
    body = repayment()
    early = server.repay(loan, body, key="in-work")
    slow.join()
    assert (early.status_code, early.headers[CACHED]) == (425, "true")
    assert early.json() == body
    assert server.repay(loan, body, key="in-work").status_code == 200


def test_a_key_in_work_that_is_done_in_time_gives_its_answer(server: Server) -> None:
    loan = server.new_loan()
    server.faults({"kind": "latency", "ms": 300, "times": 1}, retry_seconds=0.2)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: server.repay(loan, key="in-time"), range(2)))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert len(server.ledger_of(loan)) == 1


def test_one_external_id_from_twenty_clients_at_once_is_posted_once(server: Server) -> None:
    loan, body = server.new_loan(), repayment()

    def post(number: int) -> httpx.Response:
        with server.client() as client:
            return client.post(
                f"/loans/external-id/{loan}/transactions?command=repayment",
                json=body,
                headers={"Idempotency-Key": f"twenty-{number}"},
            )

    with ThreadPoolExecutor(20) as pool:
        statuses = sorted(answer.status_code for answer in pool.map(post, range(20)))
    assert statuses == [200] + [400] * 19
    assert len(server.ledger_of(loan)) == 1


def test_one_key_from_twenty_clients_at_once_is_posted_once(server: Server) -> None:
    loan = server.new_loan()
    server.faults({"kind": "latency", "ms": 50}, retry_seconds=0.2)

    def post(_: int) -> httpx.Response:
        return server.repay(loan, key="one-key")

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(post, range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["resourceId"] for answer in answers}) == 1
    assert len(server.ledger_of(loan)) == 1
