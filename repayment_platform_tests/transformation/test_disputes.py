"""A payer's dispute at a gateway, from when it is opened until it is won or lost."""

from typing import Any

import pytest

from repayment_platform.exceptions.decisions import decide
from repayment_platform.exceptions.kinds import Decision
from repayment_platform.exceptions.queue import open_questions
from repayment_platform_tests.transformation.platform import Platform
from repayment_platform_tests.transformation.test_observations import (
    CASHFREE,
    RAZORPAY,
    razorpay,
    sample,
)
from repayment_platform_tests.transformation.test_returns import CASHFREE_PAYMENT, only, refund

FIRST, LATER = 1763600000, 1763700000


def at_razorpay(stage: str, when: int) -> Any:
    """`when`: the event's time, seconds since 1970."""
    event = razorpay() | {"event": f"payment.dispute.{stage}", "created_at": when}
    event["payload"]["dispute"] = {"entity": {"id": "disp_1", "amount_deducted": 0}}
    return event


def at_cashfree(kind: str, status: str, when: str) -> Any:
    dispute = {"dispute_id": "1", "dispute_status": status, "dispute_amount": 12500.50}
    order = {"order_id": "GB-LN-00045_EMI5_1", "cf_payment_id": CASHFREE_PAYMENT}
    return {
        "type": f"DISPUTE_{kind}",
        "event_time": f"2025-11-{when}T10:00:00+05:30",
        "data": {"dispute": dispute, "order_details": order},
    }


RAZORPAYS = (
    RAZORPAY, sample("razorpay_payment_captured"), at_razorpay("created", FIRST),
    at_razorpay("won", LATER), at_razorpay("lost", LATER),
)  # fmt: skip
CASHFREES = (
    CASHFREE, sample("cashfree_payment_success"), at_cashfree("CREATED", "DISPUTE_CREATED", "21"),
    at_cashfree("CLOSED", "CHARGEBACK_MERCHANT_WON", "25"),
    at_cashfree("CLOSED", "CHARGEBACK_MERCHANT_LOST", "25"),
)  # fmt: skip
GATEWAYS = pytest.mark.parametrize(
    ("table", "paid", "opened", "won", "lost"), [RAZORPAYS, CASHFREES], ids=["razorpay", "cashfree"]
)


def asked(platform: Platform, table: str, *events: Any) -> list[tuple[str, bool]]:
    """Kind of what is open after the events and a run, and whether it holds."""
    for event in events:
        platform.models.event(table, event)
    platform.run()
    return [(each.kind, each.holds) for each in open_questions(platform.models.connection)]


@GATEWAYS
def test_an_open_dispute_holds_what_is_not_posted_until_it_is_won(
    platform: Platform, table: str, paid: Any, opened: Any, won: Any, lost: Any
) -> None:
    assert asked(platform, table, paid, opened) == [("disputed", True)]
    assert asked(platform, table, won) == []
    assert only(platform.models.core())["is_success"] is True


@GATEWAYS
def test_a_dispute_that_was_won_is_over_although_its_opening_arrives_later(
    platform: Platform, table: str, paid: Any, opened: Any, won: Any, lost: Any
) -> None:
    assert asked(platform, table, won, paid, opened) == []


@GATEWAYS
def test_a_dispute_that_is_lost_takes_the_money_back(
    platform: Platform, table: str, paid: Any, opened: Any, won: Any, lost: Any
) -> None:
    assert asked(platform, table, paid, opened, lost) == [("late_return", True)]


def test_what_is_left_of_a_refunded_payment_that_is_disputed_is_asked_about(
    platform: Platform,
) -> None:
    paid, opened = sample("cashfree_payment_success"), at_cashfree("CREATED", "OPEN", "21")
    assert asked(platform, CASHFREE, paid, refund("1", "100"), opened) == [("refunded", True)]
    [question] = open_questions(platform.models.connection)
    decide(platform.models.connection, question.id, Decision.POST_REST, "asha", "the rest")
    assert asked(platform, CASHFREE) == [("disputed", True)]


@GATEWAYS
def test_a_disputed_payment_can_be_posted_by_decision(
    platform: Platform, table: str, paid: Any, opened: Any, won: Any, lost: Any
) -> None:
    asked(platform, table, paid, opened)
    [question] = open_questions(platform.models.connection)
    decide(platform.models.connection, question.id, Decision.RELEASE, "asha", "the payer called")
    assert asked(platform, table) == []
    assert only(platform.table("CORE_OPEN_WORK"))["state"] == "waiting"
