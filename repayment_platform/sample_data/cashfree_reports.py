"""Cashfree's settlement report, as GB and UGRO download it.

What belongs here: its lines, and stories that only it tells. What does not: webhooks
(`cashfree_stories`), the table of settlements above the lines (`tables`).
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from repayment_platform.sample_data import cashfree
from repayment_platform.sample_data.model import Due, Sink, State
from repayment_platform.sample_data.nach import lender_of
from repayment_platform.sample_data.world import World

FIRST_PAYMENT_ID = 5_114_900_000_000
FIRST_EVENT_ID = 4_387_000_000


def payment_id(world: World) -> int:
    """Ten apart, so that the ids of a subscription's parts, and of a refund, fit between."""
    return FIRST_PAYMENT_ID + 10 * world.serial()


def settle(sink: Sink, due: Due, number: int, order_id: str, *, loan_known: bool = True) -> None:
    """A payment's line in the payout of the day after; gross, and net of what Cashfree keeps."""
    tags = {"Key_1": "loan_id", "Value_1": due.loan} if loan_known else {}
    fees = {"Transaction Service Charge": cashfree.FEE, "Txn ST/GST": cashfree.TAX}
    net = due.amount - cashfree.FEE - cashfree.TAX
    _line(sink, due, number, "PAYMENT", due.at, net, order_id, tags | fees)


def take_back(sink: Sink, due: Due, number: int, order_id: str, kind: str) -> None:
    """The line of a refund or chargeback of all of it, which names the payment."""
    about = {"Refund Type": "MERCHANT_INITIATED"} if kind == "REFUND" else {}
    _line(sink, due, number, kind, due.at + timedelta(hours=20), -due.amount, order_id, about)


def _line(
    sink: Sink,
    due: Due,
    number: int,
    kind: str,
    at: datetime,
    net: Decimal,
    order_id: str,
    about: dict[str, Any],
) -> None:
    settled = (due.at + timedelta(days=1)).replace(hour=15, minute=35, second=50)
    line = {
        "Event Id": str(FIRST_EVENT_ID + number - FIRST_PAYMENT_ID + (kind != "PAYMENT")),
        "Event Type": kind,
        "Sale Type": "CREDIT" if net > 0 else "DEBIT",
        "Event Currency": "INR",
        "Event Time": at,
        "Processed On": settled,
        "status": "paid",
        "amount": due.amount,
        "Event Settlement Amount": net,
        "Settlement Date": settled,
        "UTR": str(cashfree.utr(number)),
        "Merchant Reference Id": order_id,
        "CashFree Reference Id": str(number),
        "Customer Name": due.borrower,
        "Currency": "INR",
        "Transaction Amount": due.amount,
        "Net Settlement Amount": net,
        "Transaction Time": due.at,
        "Payment Mode": "UPI",
    }
    sink.row(f"RAW_{due.lender}_PAYMENT_CASHFREE", due.period, line | about)


def order_of(due: Due) -> str:
    return f"{due.loan}_EMI{due.instalment}_1"


def only_settled(world: World, sink: Sink, table: str) -> None:
    """The webhook was lost: Cashfree gives up after its third try."""
    due = world.due(lender_of(table))
    settle(sink, due, payment_id(world), order_of(due))
    sink.payment(due, due.paid)


def only_settled_by_link(world: World, sink: Sink, table: str) -> None:
    """Of a link's order the loan is in the tags alone."""
    due = world.due(lender_of(table))
    number = payment_id(world)
    settle(sink, due, number, f"CFPay_{number}")
    sink.payment(due, due.paid)


def charged_back(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    number = payment_id(world)
    settle(sink, due, number, order_of(due))
    take_back(sink, due, number, order_of(due), "CHARGEBACK")
    sink.payment(due, State.NOT_A_PAYMENT)


def settled_without_loan(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    number = payment_id(world)
    settle(sink, due, number, f"walkin_{number}", loan_known=False)
    sink.payment(due, State.NO_LOAN)
