"""Each fault does what it says, to the answer and to the money."""

import time
from typing import Any

import httpx
import pytest

from repayment_platform_tests.sandbox.server import Server, code, repayment


def _posted(server: Server, loan: str) -> int:
    return len(server.ledger_of(loan))


def test_latency_is_spent_before_the_answer(server: Server) -> None:
    loan = server.new_loan()
    server.faults({"kind": "latency", "ms": 120, "jitter_ms": 10})
    started = time.monotonic()
    assert server.repay(loan).status_code == 200
    assert 0.12 <= time.monotonic() - started < 1
    assert server.hits() == [1]


def test_spikes_are_a_second_latency_rule_and_add_up(server: Server) -> None:
    loan = server.new_loan()
    server.faults({"kind": "latency", "ms": 60}, {"kind": "latency", "ms": 60, "times": 1})
    started = time.monotonic()
    server.repay(loan)
    assert time.monotonic() - started >= 0.12
    assert server.hits() == [1, 1]


@pytest.mark.parametrize(("kind", "posted"), [("reset_before_work", 0), ("reset_after_commit", 1)])
def test_a_reset_leaves_the_client_without_an_answer(
    server: Server, kind: str, posted: int
) -> None:
    loan = server.new_loan()
    server.faults({"kind": kind, "times": 1})
    with pytest.raises(httpx.TransportError):
        server.repay(loan)
    assert _posted(server, loan) == posted
    logged = server.requests_of(loan)[-1]
    assert (logged["status"], logged["applied"], logged["faults"]) == (None, bool(posted), [kind])
    assert server.repay(loan).status_code == 200


@pytest.mark.parametrize(("kind", "posted"), [("hang_before_work", 0), ("hang_after_commit", 1)])
def test_a_hang_lasts_until_the_client_gives_up(server: Server, kind: str, posted: int) -> None:
    loan = server.new_loan()
    server.faults({"kind": kind})
    path = f"/loans/external-id/{loan}/transactions?command=repayment"
    with server.client(timeout=0.2) as client, pytest.raises(httpx.ReadTimeout):
        client.post(path, json=repayment())
    assert _posted(server, loan) == posted


def test_a_hang_of_given_length_ends_in_a_reset(server: Server) -> None:
    server.faults({"kind": "hang_before_work", "ms": 50})
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        server.repay(server.new_loan())


def test_a_500_after_the_commit_is_what_the_key_remembers(server: Server) -> None:
    loan = server.new_loan()
    server.faults({"kind": "server_error_after_commit", "times": 1})
    answers = [server.repay(loan, key="late-500") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [500, 500]
    assert "Exception" in answers[0].json()
    assert _posted(server, loan) == 1


@pytest.mark.parametrize("applied", [False, True])
def test_a_stuck_key_is_425_for_ever_with_or_without_the_money(
    server: Server, applied: bool
) -> None:
    loan, key, body = server.new_loan(), f"stuck-{applied}", repayment()
    server.faults({"kind": "stuck_key", "applied": applied, "times": 1}, retry_seconds=0.01)
    with pytest.raises(httpx.TransportError):
        server.repay(loan, body, key=key)
    assert [server.repay(loan, body, key=key).status_code for _ in range(2)] == [425, 425]
    assert _posted(server, loan) == applied
    assert server.repay(loan, body, key=key + "-new").status_code == (400 if applied else 200)


def test_a_lock_conflict_posts_nothing_and_burns_the_key(server: Server) -> None:
    loan = server.new_loan()
    server.faults({"kind": "lock_conflict", "times": 1})
    answers = [server.repay(loan, key="conflict") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [409, 409]
    body = answers[0].json()
    assert body["userMessageGlobalisationCode"] == "error.msg.platform.service.lock.conflict"
    assert "errors" not in body
    assert _posted(server, loan) == 0


def test_a_locked_loan_is_answered_without_a_content_type(server: Server) -> None:
    loan = server.new_loan()
    server.faults({"kind": "loan_locked", "loan": loan, "times": 1})
    answer = server.repay(loan, key="locked")
    assert answer.status_code == 409
    assert "content-type" not in answer.headers
    assert answer.json()["userMessageGlobalisationCode"] == "error.msg.loan.locked"
    assert "errors" not in answer.json()
    assert server.repay(loan, key="locked").status_code == 200


def test_a_running_job_is_503_and_leaves_the_key_unused(server: Server) -> None:
    loan = server.new_loan()
    server.faults({"kind": "job_running", "times": 1})
    answer = server.repay(loan, key="job")
    assert (answer.status_code, code(answer)) == (503, "error.msg.sheduler.job.currently.running")
    assert server.repay(loan, key="job").status_code == 200


def test_a_missing_permission_is_403_and_leaves_the_key_unused(server: Server) -> None:
    loan = server.new_loan()
    server.faults({"kind": "not_authorized", "times": 1})
    answer = server.repay(loan, key="permission")
    assert (answer.status_code, code(answer)) == (403, "error.msg.not.authorized")
    assert server.repay(loan, key="permission").status_code == 200


def test_too_many_requests_says_when_to_come_back(server: Server) -> None:
    server.faults({"kind": "too_many_requests", "retry_after": 7})
    answer = server.repay(server.new_loan())
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


@pytest.mark.parametrize("status", [502, 504])
@pytest.mark.parametrize("applied", [False, True])
def test_a_gateway_answers_with_a_page_whatever_became_of_the_money(
    server: Server, status: int, applied: bool
) -> None:
    loan = server.new_loan()
    server.faults({"kind": "gateway", "status": status, "applied": applied})
    answer = server.repay(loan)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert _posted(server, loan) == applied


def test_credentials_can_stop_working(server: Server) -> None:
    server.faults({"kind": "unauthorized"})
    assert server.repay(server.new_loan()).status_code == 401


def test_the_mysql_flavour_answers_a_duplicate_with_403(server: Server) -> None:
    loan = server.new_loan()
    server.faults({"kind": "mysql_duplicate"})
    server.repay(loan, externalId="mysql-1")
    answer = server.repay(loan, externalId="mysql-1")
    expected = "error.msg.loan.repayment.duplicate.externalId"
    assert (answer.status_code, code(answer)) == (403, expected)
    assert answer.json()["defaultUserMessage"] == "Repayment: externalId `mysql-1` already exists"
    assert answer.json()["errors"][0]["args"] == [{"value": "mysql-1"}]


def test_maker_checker_answers_200_and_posts_nothing(server: Server) -> None:
    loan = server.new_loan()
    server.faults({"kind": "maker_checker", "times": 1}, retry_seconds=0.01)
    answer = server.repay(loan, key="maker")
    assert answer.status_code == 200
    assert answer.json()["rollbackTransaction"] is True
    assert "resourceId" not in answer.json()
    assert _posted(server, loan) == 0
    assert server.repay(loan, key="maker").status_code == 425


def test_a_cached_error_may_have_an_empty_body(server: Server) -> None:
    loan = server.new_loan()
    server.faults({"kind": "cached_error_empty"})
    first = server.repay(loan, key="empty-body", transactionAmount=-1)
    second = server.repay(loan, key="empty-body")
    assert (first.status_code, bool(first.content)) == (400, True)
    assert (second.status_code, second.content) == (400, b"")


def test_a_replay_after_the_answer_gives_the_external_id_another_number(server: Server) -> None:
    loan = server.new_loan()
    server.faults({"kind": "replay"})
    number = server.repay(loan, externalId="replayed").json()["resourceId"]
    assert server.find(loan, "replayed").json()["id"] != number
    live = [row for row in server.ledger_of(loan) if not row["reversed"]]
    assert [row["externalId"] for row in live] == ["replayed"]


def test_an_operator_may_undo_at_once(server: Server) -> None:
    loan = server.new_loan()
    server.faults({"kind": "operator_undo"})
    assert server.repay(loan, externalId="undo-at-once").status_code == 200
    assert server.find(loan, "undo-at-once").json()["manuallyReversed"] is True


def test_a_business_date_that_lags_refuses_today(server: Server) -> None:
    loan = server.new_loan()
    server.faults({"kind": "business_date_behind", "days": 2})
    late = server.repay(loan, transactionDate="2026-11-19")
    expected = "error.msg.loan.transaction.cannot.be.a.future.date"
    assert (late.status_code, code(late)) == (403, expected)
    assert server.repay(loan, transactionDate="2026-11-18").status_code == 200


def _pattern(server: Server, **plan: Any) -> list[int]:
    server.faults({"kind": "too_many_requests", "rate": 0.3}, **plan)
    loan = server.new_loan()
    return [server.repay(loan).status_code for _ in range(40)]


def test_a_rate_is_met_the_same_way_for_the_same_seed(server: Server) -> None:
    first = _pattern(server, seed=7)
    assert 4 <= first.count(429) <= 20
    assert server.hits() == [first.count(429)]
    assert _pattern(server, seed=7) == first
    assert _pattern(server, seed=8) != first


def test_a_rule_may_wait_for_one_payment_one_loan_or_one_operation(server: Server) -> None:
    loan, other = server.new_loan(), server.new_loan()
    refuse = {"kind": "too_many_requests"}
    server.faults(
        refuse | {"external_id": "chosen"},
        refuse | {"loan": other, "skip": 1},
        refuse | {"on": "lookup"},
    )
    assert server.repay(loan).status_code == 200
    assert server.repay(loan, externalId="chosen").status_code == 429
    assert [server.repay(other).status_code for _ in range(2)] == [200, 429]
    assert server.find(loan, "chosen").status_code == 429
    assert server.hits() == [1, 1, 1]


def test_faults_combine(server: Server) -> None:
    loan = server.new_loan()
    server.faults({"kind": "latency", "ms": 80}, {"kind": "reset_after_commit"})
    started = time.monotonic()
    with pytest.raises(httpx.TransportError):
        server.repay(loan)
    assert time.monotonic() - started >= 0.08
    assert (_posted(server, loan), server.hits()) == (1, [1, 1])


@pytest.mark.parametrize(
    "plan", [{"rules": [{"kind": "no-such"}]}, {"rules": [{"kind": "crash", "rate": 2}]}, []]
)
def test_a_plan_that_makes_no_sense_is_refused(server: Server, plan: object) -> None:
    assert server.admin.post("/sandbox/faults", json=plan).status_code == 422
