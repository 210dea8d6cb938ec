"""Stories of payments through Cashfree, as GB's and UGRO's webhooks tell them.

What belongs here: which events one payment sends. What does not: what is in an event
(`cashfree`), the settlement report by itself (`cashfree_reports`).
"""

from dataclasses import replace
from decimal import Decimal

from repayment_platform.sample_data import cashfree, cashfree_reports, nach
from repayment_platform.sample_data.cashfree_reports import order_of, payment_id
from repayment_platform.sample_data.model import Due, Sink, State
from repayment_platform.sample_data.nach import lender_of
from repayment_platform.sample_data.world import World


def attempt(
    sink: Sink,
    table: str,
    due: Due,
    number: int,
    status: str,
    *,
    loan_known: bool = True,
    version: str = cashfree.CURRENT_VERSION,
    copies: int = 1,
) -> None:
    """One attempt at an order. Its loan is in the order's tags and in the order's id."""
    order_id = order_of(due) if loan_known else f"walkin_{number}"
    tags = {"loan_id": due.loan} if loan_known else None
    data = cashfree.payment(due, number, order_id, tags, status)
    kind = f"PAYMENT_{status}_WEBHOOK"
    sink.event(cashfree.event(table, kind, data, due, version), copies)


def paid(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    number = payment_id(world)
    attempt(sink, table, due, number, "SUCCESS")
    if world.chance(0.05):
        data = cashfree.settlement(due, number)
        sink.event(cashfree.event(table, "SETTLEMENT_SUCCESS", data, due))
    sink.payment(due, due.paid)


def also_settled(world: World, sink: Sink, table: str) -> None:
    """The settlement report has its line, and the payout was announced."""
    due = world.due(lender_of(table))
    number = payment_id(world)
    attempt(sink, table, due, number, "SUCCESS")
    cashfree_reports.settle(sink, due, number, order_of(due))
    data = cashfree.settlement(due, number)
    sink.event(cashfree.event(table, "SETTLEMENT_SUCCESS", data, due))
    sink.payment(due, due.paid)


def refunded(world: World, sink: Sink, table: str) -> None:
    """By its own webhook, and in the settlement report under another id."""
    due = world.due(lender_of(table))
    number = payment_id(world)
    attempt(sink, table, due, number, "SUCCESS")
    data = cashfree.refund(due, number, order_of(due))
    sink.event(cashfree.event(table, "REFUND_STATUS_WEBHOOK", data, due))
    cashfree_reports.settle(sink, due, number, order_of(due))
    cashfree_reports.take_back(sink, due, number, order_of(due), "REFUND")
    sink.payment(due, State.NOT_A_PAYMENT)


def delivered_twice_in_two_versions(world: World, sink: Sink, table: str) -> None:
    """Two subscribed versions of one webhook, one with the id as a number; one came twice."""
    due = world.due(lender_of(table))
    number = payment_id(world)
    attempt(sink, table, due, number, "SUCCESS", copies=2)
    attempt(sink, table, due, number, "SUCCESS", version=cashfree.OLD_VERSION)
    sink.payment(due, due.paid)


def failed_then_paid(world: World, sink: Sink, table: str) -> None:
    """Each attempt at an order has an id of its own; the first one is no payment."""
    due = world.due(lender_of(table))
    attempt(sink, table, due, payment_id(world), "FAILED")
    attempt(sink, table, due, payment_id(world), "SUCCESS")
    sink.payment(due, due.paid)


def dropped(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    attempt(sink, table, due, payment_id(world), "USER_DROPPED")
    sink.payment(due, State.NOT_A_PAYMENT)


def partly_by_link(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    number = payment_id(world)
    data = cashfree.link(due, number, f"CFPay_{number}", still_due=Decimal(2500))
    sink.event(cashfree.event(table, "PAYMENT_LINK_EVENT", data, due))
    sink.payment(due, due.paid)


def by_link_and_settled(world: World, sink: Sink, table: str) -> None:
    """The link's event, the payment's own and the settlement's line have its order in common."""
    due = world.due(lender_of(table))
    number = payment_id(world)
    order_id = f"CFPay_{number}"
    link = cashfree.link(due, number, order_id, still_due=Decimal(0))
    sink.event(cashfree.event(table, "PAYMENT_LINK_EVENT", link, due))
    paid = cashfree.payment(due, number, order_id, None, "SUCCESS")
    sink.event(cashfree.event(table, "PAYMENT_SUCCESS_WEBHOOK", paid, due))
    cashfree_reports.settle(sink, due, number, order_id)
    sink.payment(due, due.paid)


def charged(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    data = cashfree.subscription(due, payment_id(world), "CHARGE", "SUCCESS")
    sink.event(cashfree.event(table, "SUBSCRIPTION_PAYMENT_SUCCESS", data, due))
    sink.payment(due, due.paid)


def charge_failed(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    data = cashfree.subscription(due, payment_id(world), "CHARGE", "FAILED")
    sink.event(cashfree.event(table, "SUBSCRIPTION_PAYMENT_FAILED", data, due))
    sink.payment(due, State.NOT_A_PAYMENT)


def mandate_registered(world: World, sink: Sink, table: str) -> None:
    """The rupee that proves an account is a successful payment of the kind AUTH."""
    due = replace(world.due(lender_of(table)), amount=Decimal(1))
    data = cashfree.subscription(due, payment_id(world), "AUTH", "SUCCESS")
    sink.event(cashfree.event(table, "SUBSCRIPTION_PAYMENT_SUCCESS", data, due))
    sink.payment(due, State.NOT_A_PAYMENT)


def two_equal(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    for _ in range(2):
        attempt(sink, table, due, payment_id(world), "SUCCESS")
        sink.payment(due, due.paid)


def no_loan(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    attempt(sink, table, due, payment_id(world), "SUCCESS", loan_known=False)
    sink.payment(due, State.NO_LOAN)


def also_by_nach(world: World, sink: Sink, table: str) -> None:
    """By eNACH, and a debit of the same day and amount: nothing says whether it is the same."""
    due = world.due(lender_of(table))
    data = cashfree.subscription(due, payment_id(world), "CHARGE", "SUCCESS")
    sink.event(cashfree.event(table, "SUBSCRIPTION_PAYMENT_SUCCESS", data, due))
    debit = nach.result(nach.presentation(world, due), "paid")
    sink.row(f"RAW_{due.lender}_NACH_CSV", due.period, debit)
    sink.payment(due, due.paid)
    sink.payment(due, State.HELD)
