"""A success that a gateway reports and no run will post is told to a person."""

from typing import Any

import pytest

from repayment_platform_tests.transformation.platform import Platform
from repayment_platform_tests.transformation.test_observations import (
    CASHFREE,
    RAZORPAY,
    razorpay,
    sample,
)
from repayment_platform_tests.transformation.test_returns import dispute, refund


def cashfree(kind: str = "PAYMENT_SUCCESS_WEBHOOK", **changes: Any) -> Any:
    """A successful payment of GB in an event of some type, with fields of the payment changed."""
    event = sample("cashfree_payment_success") | {"type": kind}
    event["data"]["payment"] |= changes
    return event


def link(**changes: Any) -> Any:
    event = sample("cashfree_payment_link_event")
    event["data"] |= changes
    return event


def subscription(**changes: Any) -> Any:
    event = sample("cashfree_subscription_payment_success_enach")
    event["data"] |= changes
    return event


def told(platform: Platform, *delivered: tuple[str, Any]) -> list[tuple[str, str]]:
    """Kind and words of the open exceptions after the events and a run of the pipeline."""
    for table, event in delivered:
        platform.models.event(table, event)
    platform.run()
    exceptions = platform.table("CORE_EXCEPTION")
    return [(e["kind"], e["detail"]["what"]) for e in exceptions if e["closed_at"] is None]


PAYMENT, NO_ID = "cashfree:5114900000001 (GB)", {"cf_payment_id": None}


@pytest.mark.parametrize(
    ("table", "event", "what"),
    [
        (RAZORPAY, razorpay(currency="USD", amount=5000),
         "razorpay:pay_SYN0000000001 (UGRO): paid in USD: 50.00 USD is not posted as rupees"),
        (RAZORPAY, razorpay(currency="EUR", amount="x"),
         "razorpay:pay_SYN0000000001 (UGRO): paid in EUR: an unreadable amount of EUR is not posted"
         " as rupees"),
        (CASHFREE, cashfree(payment_currency="USD", payment_amount=50),
         f"{PAYMENT}: paid in USD: 50.00 USD is not posted as rupees"),
        (CASHFREE, link(link_currency="USD"),
         "cashfree-order:CFPay_synth_1 (GB): paid in USD: 2000.00 USD is not posted as rupees"),
        (CASHFREE, cashfree("PAYMENT_SUCCESS"),
         f"{PAYMENT}: a success of 12500.50 rupees is not posted: an event of a type that is not"
         " known: PAYMENT_SUCCESS"),
        (CASHFREE, cashfree("PAYMENT_SUCCESS", payment_amount=None),
         f"{PAYMENT}: a success of an unreadable amount of rupees is not posted: an event of a type"
         " that is not known: PAYMENT_SUCCESS"),
        (CASHFREE, subscription() | {"type": None},
         "cashfree:5114900000100 (GB): a success of an unreadable amount of rupees is not posted:"
         " an event of a type that is not known: none"),
        (CASHFREE, cashfree(**NO_ID),
         "a payment (GB): a success of 12500.50 rupees is not posted: an event that names no"
         " payment"),
        (RAZORPAY, razorpay(id=None),
         "a payment (UGRO): a success of 12500.50 rupees is not posted: an event that names no"
         " payment"),
    ],
)  # fmt: skip
def test_a_success_that_no_run_will_post_is_told(
    platform: Platform, table: str, event: Any, what: str
) -> None:
    assert told(platform, (table, event)) == [("no_repayment", what)]
    assert told(platform, (table, event))[:1] == [("no_repayment", what)]
    assert platform.table("CORE_OPEN_WORK") == []
    assert platform.ledger() == []


@pytest.mark.parametrize(
    ("table", "event"),
    [
        (RAZORPAY, razorpay(amount=0)),
        (RAZORPAY, razorpay(amount=0, currency="USD")),
        (RAZORPAY, razorpay(status="failed", currency="USD")),
        (RAZORPAY, razorpay(status="failed", id=None)),
        (CASHFREE, cashfree("MANDATE_REGISTERED", payment_amount=0)),
        (CASHFREE, cashfree("PAYMENT_PENDING", payment_status="PENDING")),
        (CASHFREE, subscription(payment_type="AUTH")),
        (CASHFREE, subscription(payment_type="AUTH") | {"type": "SUBSCRIPTION_AUTHORISED"}),
        (CASHFREE, sample("cashfree_settlement_success")),
        (CASHFREE, dispute("DISPUTE_CREATED")),
        (CASHFREE, refund("1", "10.00", "PENDING") | {"type": "REFUND_STATUS_WEBHOOK"}),
    ],
)
def test_a_mandate_and_what_is_no_success_are_not_told(
    platform: Platform, table: str, event: Any
) -> None:
    if event.get("type") == "REFUND_STATUS_WEBHOOK":
        event["data"]["refund"]["refund_type"] = "MERCHANT_INITIATED"
    assert told(platform, (table, event)) == []


def test_what_is_told_is_settled_when_the_payment_is_reported_as_one(platform: Platform) -> None:
    unknown, known = cashfree("PAYMENT_SUCCESS"), cashfree()
    assert [kind for kind, _ in told(platform, (CASHFREE, unknown))] == ["no_repayment"]
    assert told(platform, (CASHFREE, known)) == []
    [closed] = platform.table("CORE_EXCEPTION")
    assert (closed["closed_by"], closed["closed_why"]) == ("CORE", "its payment was found")
    [payment] = platform.models.core()
    assert (payment["is_success"], payment["observations"]) == (True, 2)
    assert told(platform, (CASHFREE, cashfree("PAYMENT_CHARGES_WEBHOOK"))) == []


@pytest.mark.parametrize(
    "unread", [cashfree("PAYMENT_SUCCESS"), cashfree(payment_time="19-11-2025")]
)
def test_it_is_settled_too_by_a_payment_whose_loan_nobody_knows(
    platform: Platform, unread: Any
) -> None:
    known = cashfree()
    for event in (unread, known):
        event["data"]["order"] |= {"order_id": "O-1", "order_tags": None}
    assert len(told(platform, (CASHFREE, unread))) == 1
    assert [kind for kind, _ in told(platform, (CASHFREE, known))] == ["loan_unknown"]
    [payment] = platform.models.core()
    assert (payment["is_success"], payment["loan_external_id"]) == (True, None)


def test_a_known_failure_does_not_silence_an_unknown_success(platform: Platform) -> None:
    failed = cashfree("PAYMENT_FAILED_WEBHOOK", payment_status="FAILED")
    delivered = ((CASHFREE, cashfree("PAYMENT_SUCCESS")), (CASHFREE, failed))
    assert [kind for kind, _ in told(platform, *delivered)] == ["no_repayment"]


def test_a_payment_that_waits_is_told_when_a_report_has_it_in_another_currency(
    platform: Platform,
) -> None:
    assert told(platform, (RAZORPAY, razorpay())) == []
    assert len(platform.table("CORE_OPEN_WORK")) == 1
    kinds = [kind for kind, _ in told(platform, (RAZORPAY, razorpay(currency="USD")))]
    assert (kinds, platform.table("CORE_OPEN_WORK")) == (["no_repayment"], [])


def test_a_negative_amount_is_no_mandate_but_unreadable(platform: Platform) -> None:
    told_of = told(platform, (CASHFREE, cashfree(payment_amount=-5)))
    assert [kind for kind, _ in told_of] == ["unreadable_payment"]
