"""Refunds that failed: what was given back of a payment, and what is asked about it."""

from itertools import permutations
from typing import Any

import pytest

from repayment_platform.exceptions.decisions import NotOfItsKind, decide
from repayment_platform.exceptions.kinds import Decision
from repayment_platform.exceptions.queue import open_questions
from repayment_platform.posting.model import Selection
from repayment_platform.posting.runner import run_posting
from repayment_platform_tests.transformation.platform import Platform
from repayment_platform_tests.transformation.test_observations import razorpay, sample
from repayment_platform_tests.transformation.test_returns import (
    API,
    CASHFREE,
    CASHFREE_PAYMENT,
    only,
    refund,
    told,
)
from repayment_platform_tests.transformation.warehouse import Row, Warehouse

PAID_AT = 1763521805


def stating(refunded: int, seconds: int | None, event: str = "refund.created") -> Any:
    """An event of so many seconds after the payment, by which so many paise were refunded."""
    body: Any = razorpay(amount_refunded=refunded) | {"event": event}
    return body | {"created_at": None if seconds is None else PAID_AT + seconds}


def cashfree_refund(number: str, amount: str, status: str, at: str | None) -> Any:
    told_at = None if at is None else f"2025-11-20T{at}:00+05:30"
    return refund(number, amount, status) | {"event_time": told_at}


CREATED, FAILED = stating(1250050, 60), stating(0, 90, "refund.failed")
FIRST, BOTH, ONE_FAILED = (
    stating(400000, 60),
    stating(700000, 70),
    stating(400000, 90, "refund.failed"),
)
IN_CASHFREE = {
    "pending": cashfree_refund("1", "100.00", "PENDING", "10:00"),
    "success": cashfree_refund("1", "100.00", "SUCCESS", "11:00"),
    "failed": cashfree_refund("1", "100.00", "FAILED", "12:00"),
}


@pytest.mark.parametrize("order", [*permutations([razorpay(), CREATED, FAILED])])
def test_a_razorpay_refund_that_failed_gave_nothing_back_in_any_order(
    models: Warehouse, order: tuple[Any, ...]
) -> None:
    for event in order:
        models.event(API, event)
        models.build()
    row = only(models.core())
    assert told(row) == ("success", True, "0.00")
    assert (row["not_repayment_reason"], row["observations"]) == (None, 3)


@pytest.mark.parametrize("order", [*permutations([FIRST, BOTH, ONE_FAILED])])
def test_of_two_partial_refunds_the_one_that_did_not_fail_stands(
    models: Warehouse, order: tuple[Any, ...]
) -> None:
    models.event(API, razorpay())
    for event in order:
        models.event(API, event)
        models.build()
    assert told(only(models.core())) == ("refund", False, "4000.00")


@pytest.mark.parametrize(
    "failed", [stating(0, None, "refund.failed"), stating(0, 60, "refund.failed"), stating(0, 59)]
)
def test_a_total_that_is_not_stated_later_takes_nothing_back(
    models: Warehouse, failed: Any
) -> None:
    for event in (razorpay(), CREATED, failed):
        models.event(API, event)
    assert told(only(models.fold())) == ("refund", False, "12500.50")


def test_a_refund_after_the_one_that_failed_counts(models: Warehouse) -> None:
    for event in (razorpay(), CREATED, FAILED, stating(50050, 100)):
        models.event(API, event)
    assert told(only(models.fold())) == ("refund", False, "500.50")


def test_a_lost_dispute_stands_though_a_refund_failed(models: Warehouse) -> None:
    lost = stating(0, 80, "payment.dispute.lost")
    lost["payload"]["dispute"] = {"entity": {"id": "disp_1", "amount_deducted": 1250050}}
    for event in (razorpay(), CREATED, lost, FAILED):
        models.event(API, event)
    assert told(only(models.fold())) == ("late_return", False, "12500.50")


@pytest.mark.parametrize("order", [*permutations(IN_CASHFREE)])
@pytest.mark.parametrize("payment_first", [True, False])
def test_a_cashfree_refund_that_failed_gave_nothing_back_in_any_order(
    models: Warehouse, order: tuple[str, ...], payment_first: bool
) -> None:
    payment = sample("cashfree_payment_success")
    events = [IN_CASHFREE[name] for name in order]
    for event in [payment, *events] if payment_first else [*events, payment]:
        models.event(CASHFREE, event)
        models.build()
    assert told(only(models.core())) == ("success", True, "0.00")


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED"])
def test_a_failed_cashfree_refund_leaves_another_of_the_payment(
    models: Warehouse, status: str
) -> None:
    for event in (
        sample("cashfree_payment_success"),
        cashfree_refund("1", "100.00", "ONHOLD", "10:00"),
        cashfree_refund("2", "250.50", "SUCCESS", "11:00"),
        cashfree_refund("1", "100.00", status, "12:00"),
    ):
        models.event(CASHFREE, event)
    assert told(only(models.fold())) == ("refund", False, "250.50")


@pytest.mark.parametrize("at", ["09:00", "10:00", None])
def test_a_cashfree_refund_that_did_not_fail_afterwards_stands(
    models: Warehouse, at: str | None
) -> None:
    for event in (
        sample("cashfree_payment_success"),
        cashfree_refund("1", "100.00", "SUCCESS", "10:00"),
        cashfree_refund("1", "100.00", "FAILED", at),
    ):
        models.event(CASHFREE, event)
    assert told(only(models.fold())) == ("refund", False, "100.00")


def test_a_failed_refund_says_nothing_of_the_payment_itself(models: Warehouse) -> None:
    models.event(CASHFREE, IN_CASHFREE["failed"])
    row = only(models.build())
    assert told(row) == ("pending", False, "0.00")
    payment = sample("cashfree_payment_failed")
    payment["data"]["payment"]["cf_payment_id"] = CASHFREE_PAYMENT
    models.event(CASHFREE, payment)
    assert told(only(models.build())) == ("failed", False, "0.00")


# ── what is asked ───────────────────────────────────────────────────────────────────────────


def reconcile(platform: Platform, *events: Any) -> Row:
    """Land events of UGRO's Razorpay and ask for the posting of what they tell of."""
    loans: list[Any] = [{"externalId": "UGRO-LN-000123"}]
    platform.sandbox.post("loans", loans)
    for event in events:
        platform.models.event(API, event)
    row = only(platform.models.build())
    selection = Selection(("UGRO",), recon_keys=(row["source_key"],))
    platform.runs += 1
    run = f"recon-{platform.runs}"
    run_posting(platform.settings, platform.models.urls.psycopg, selection, run)
    return row


def test_the_hold_for_a_refund_closes_when_the_refund_failed_and_the_payment_is_posted(
    platform: Platform,
) -> None:
    reconcile(platform, razorpay(), CREATED)
    [hold] = platform.table("CORE_HOLD")
    assert (hold["reason_code"], hold["decision"]) == ("refunded", None)
    assert platform.ledger() == []

    reconcile(platform, FAILED)
    [hold] = platform.table("CORE_HOLD")
    assert (hold["decision"], hold["decided_by"]) == ("gone", "CORE")
    assert "the refund failed" in hold["decided_why"]
    reconcile(platform)
    assert platform.ledger() == [("UGRO-LN-000123", "12500.50")]


def test_what_is_refunded_after_a_refund_failed_is_asked_about_again(platform: Platform) -> None:
    reconcile(platform, razorpay(), CREATED)
    reconcile(platform, FAILED, stating(1250050, 100))
    assert platform.ledger() == []
    assert [hold["decision"] for hold in platform.table("CORE_HOLD")] == [None]


def test_of_two_refunds_of_which_one_failed_the_hold_tells_the_other(platform: Platform) -> None:
    reconcile(platform, razorpay(), FIRST, BOTH)
    reconcile(platform, ONE_FAILED)
    [hold] = platform.table("CORE_HOLD")
    assert hold["decision"] is None
    assert hold["reason"] == "4000.00 of 12500.50 rupees were refunded"


def test_a_posted_payment_whose_refund_failed_is_as_it_was_posted(platform: Platform) -> None:
    reconcile(platform, razorpay())
    reconcile(platform, CREATED)
    [raised] = platform.table("CORE_EXCEPTION")
    assert (raised["kind"], raised["closed_at"]) == ("refunded_after_posting", None)
    reconcile(platform, FAILED)
    [raised] = platform.table("CORE_EXCEPTION")
    assert raised["closed_why"] == "it is again as it was posted"
    assert platform.ledger() == [("UGRO-LN-000123", "12500.50")]


def test_what_is_left_of_a_payment_is_posted_and_asked_about_when_more_is_refunded(
    platform: Platform,
) -> None:
    row = reconcile(platform, razorpay(), FIRST)
    decide_open(platform, Decision.POST_REST)
    row = reconcile(platform)
    assert (row["is_success"], str(row["amount"])) == (True, "8500.50")
    assert platform.ledger() == [("UGRO-LN-000123", "8500.50")]

    reconcile(platform)
    assert open_questions(platform.models.connection) == []
    reconcile(platform, BOTH)
    (question,) = open_questions(platform.models.connection)
    assert question.kind == "refunded_after_posting"
    assert question.detail["amount"] == 8500.5
    assert question.detail["refunded"] == 7000


def test_more_that_is_refunded_before_the_rest_is_posted_is_asked_anew(platform: Platform) -> None:
    reconcile(platform, razorpay(), FIRST)
    decide_open(platform, Decision.POST_REST)
    reconcile(platform, BOTH)
    (question,) = open_questions(platform.models.connection)
    assert "7000.00 of 12500.50 rupees were refunded" in question.what
    assert platform.ledger() == []


def test_of_what_was_refunded_in_whole_nothing_is_left_to_post(platform: Platform) -> None:
    reconcile(platform, razorpay(), CREATED)
    with pytest.raises(NotOfItsKind, match="nothing of it is left"):
        decide_open(platform, Decision.POST_REST)


def decide_open(platform: Platform, decision: Decision) -> None:
    """Decide the one open question, having looked at it."""
    (question,) = open_questions(platform.models.connection)
    decide(platform.models.connection, question.id, decision, "asha", "agreed", question.seen)
