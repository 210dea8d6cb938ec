"""Stories of payments through Razorpay, as UGRO's and Vivriti's webhooks tell them.

What belongs here: which events one payment sends, in which order and how often. What does not:
what is in an event (`razorpay`), Razorpay's reports by themselves (`razorpay_reports`).
"""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from repayment_platform.sample_data import nach, razorpay, razorpay_reports
from repayment_platform.sample_data.lender_files import collection
from repayment_platform.sample_data.model import Due, Sink, State
from repayment_platform.sample_data.nach import lender_of, within
from repayment_platform.sample_data.razorpay import Paid, event
from repayment_platform.sample_data.world import World

LOAN_KEYS = ("loan_id", "loan_id", "loan_account_number", "loanId")
METHODS = ("upi", "upi", "upi", "netbanking", "card")
OLD_SECRET = 1
"""Razorpay signs the retries of older events with the secret of their time."""


def pay(world: World, due: Due, notes: Any = None) -> Paid:
    """A payment of this sum; its loan id stands in the notes unless others are given."""
    written = {world.pick(LOAN_KEYS): nach.spelled(world, due)} if notes is None else notes
    return Paid(due, world.code(), written, world.pick(METHODS))


def send(sink: Sink, table: str, name: str, payload: Any, at: int, **how: Any) -> None:
    sink.event(event(table, name, payload, at, how.get("secret", 0)), how.get("copies", 1))


def captured_event(sink: Sink, table: str, paid: Paid, **how: Any) -> None:
    payload = {"payment": {"entity": razorpay.payment(paid)}}
    send(sink, table, "payment.captured", payload, paid.due.epoch + 5, **how)


def failed_event(sink: Sink, table: str, paid: Paid) -> None:
    payload = {"payment": {"entity": razorpay.payment(paid, "failed")}}
    send(sink, table, "payment.failed", payload, paid.due.epoch + 2)


def captured(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    paid = pay(world, due)
    captured_event(sink, table, paid)
    if world.chance(0.05):
        send(sink, table, "settlement.processed", razorpay.settlement(paid), due.epoch + 90_000)
    sink.payment(due, due.paid)


def seen_from_three_sides(world: World, sink: Sink, table: str) -> None:
    """One payment by link: captured, order paid and link paid, the first delivered twice."""
    due = world.due(lender_of(table))
    paid = pay(world, due)
    captured_event(sink, table, paid, copies=2)
    both = {
        "payment": {"entity": razorpay.payment(paid)},
        "order": {"entity": razorpay.order(paid)},
    }
    send(sink, table, "order.paid", both, due.epoch + 6)
    link = razorpay.payment_link(paid)
    send(sink, table, "payment_link.paid", link, due.epoch - 86_400, secret=OLD_SECRET)
    sink.payment(due, due.paid)


def captured_before_its_failure_arrives(world: World, sink: Sink, table: str) -> None:
    """The first try failed and a later one succeeded, and the news come in the wrong order."""
    due = world.due(lender_of(table))
    paid = pay(world, due)
    captured_event(sink, table, paid)
    failed_event(sink, table, paid)
    sink.payment(due, due.paid)


def failed(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    failed_event(sink, table, pay(world, due))
    sink.payment(due, State.NOT_A_PAYMENT)


def by_virtual_account(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    paid = Paid(due, world.code(), [], "bank_transfer")
    payload = razorpay.virtual_account(paid)
    send(sink, table, "virtual_account.credited", payload, due.epoch + 3)
    sink.payment(due, due.paid)


def partly_by_link(world: World, sink: Sink, table: str) -> None:
    """A part of what the link asks for; the loan id is in the link's reference alone."""
    due = world.due(lender_of(table))
    link = razorpay.payment_link(pay(world, due, notes=[]), amount_due=250_000)
    send(sink, table, "payment_link.partially_paid", link, due.epoch - 86_400)
    sink.payment(due, due.paid)


def mandate_registered(world: World, sink: Sink, table: str) -> None:
    """Registering an e-mandate is a captured payment of nothing."""
    due = replace(world.due(lender_of(table)), amount=Decimal(0))
    paid = pay(world, due)
    entity = razorpay.payment(paid, method="emandate", token_id=f"token_{paid.code}")
    payload = {"payment": {"entity": entity}}
    send(sink, table, "payment.captured", payload, due.epoch + 5)
    send(sink, table, "token.confirmed", razorpay.token(paid), due.epoch + 9)
    sink.payment(due, State.NOT_A_PAYMENT)


def refunded(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    paid = pay(world, due)
    captured_event(sink, table, paid)
    send(sink, table, "refund.processed", razorpay.refund(paid), due.epoch + 2 * 86_400)
    sink.payment(due, State.NOT_A_PAYMENT)


def two_equal(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    for _ in range(2):
        captured_event(sink, table, pay(world, due))
        sink.payment(due, due.paid)


def no_loan(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    captured_event(sink, table, pay(world, due, notes=[]))
    sink.payment(due, State.NO_LOAN)


def also_in_report(world: World, sink: Sink, table: str) -> None:
    """The payments report and the settlement report name the same payment, in rupees."""
    due = world.due(lender_of(table))
    paid = pay(world, due)
    captured_event(sink, table, paid)
    razorpay_reports.report(sink, paid)
    razorpay_reports.settle(sink, paid)
    sink.payment(due, due.paid)


def also_by_nach(world: World, sink: Sink, table: str) -> None:
    """By e-mandate, and a debit of the same day and amount: nothing says whether it is the same."""
    due = world.due(lender_of(table))
    captured_event(sink, table, replace(pay(world, due), method="emandate"))
    debit = nach.result(nach.presentation(world, due), "paid")
    sink.row(f"RAW_{due.lender}_NACH_CSV", due.period, debit)
    sink.payment(due, due.paid)
    sink.payment(due, State.HELD)


def also_in_lender_file(world: World, sink: Sink, table: str) -> None:
    """Vivriti's own file reports the same money, without the gateway's id, up to a day later."""
    due = world.due(lender_of(table))
    captured_event(sink, table, pay(world, due))
    later = within(due, world, 1)
    sink.row(f"RAW_{due.lender}_PAYMENT_CSV", due.period, collection(world, due, paid_on=later))
    sink.payment(due, due.paid, dates=(due.on, later), key_dates=(due.on, later))
