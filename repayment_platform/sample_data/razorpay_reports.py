"""Razorpay's payments report and settlement report, as UGRO downloads them.

What belongs here: lines of the two reports, and stories that only they tell. What does not:
webhooks (`razorpay_stories`). Reports count rupees where webhooks count paise.
"""

import json
from datetime import timedelta
from decimal import Decimal

from repayment_platform.sample_data.layouts import SETTLEMENTS
from repayment_platform.sample_data.model import Sink, State
from repayment_platform.sample_data.nach import lender_of
from repayment_platform.sample_data.razorpay import Paid
from repayment_platform.sample_data.world import World

PAYMENTS = "RAW_UGRO_PAYMENT_RAZORPAY"
FEE_AND_TAX = Decimal("2.36")


def report(sink: Sink, paid: Paid, status: str = "paid") -> None:
    """A line of the payments report; failed payments have notes `[]` and an error."""
    failed = status != "paid"
    line = {
        "id": paid.id,
        "amount": paid.due.amount,
        "currency": "INR",
        "status": status,
        "order_id": paid.order_id,
        "international": "0",
        "method": paid.method,
        "amount_refunded": "0",
        "amount_transferred": "0",
        "captured": "0" if failed else "1",
        "description": f"EMI {paid.due.instalment}",
        "contact": "+919000000001",
        "notes": "[]" if failed else json.dumps(paid.notes, separators=(",", ":")),
        "fee": "" if failed else "2.36",
        "tax": "" if failed else "0.36",
        "error_code": "BAD_REQUEST_ERROR" if failed else "",
        "error_description": "Payment failed, insufficient balance" if failed else "",
        "created_at": paid.due.at,
    }
    sink.row(PAYMENTS, paid.due.period, line)


def settle(sink: Sink, paid: Paid) -> None:
    """A line of the settlement report: paid out to the lender the day after, less fees."""
    settled = (paid.due.at + timedelta(days=1)).replace(hour=10, minute=15, second=0)
    line = {
        "transaction_entity": "payment",
        "entity_id": paid.id,
        "amount": paid.due.amount,
        "currency": "INR",
        "fee (exclusive tax)": "2.0",
        "tax": "0.36",
        "debit": "0.0",
        "credit": paid.due.amount - FEE_AND_TAX,
        "payment_method": paid.method,
        "entity_created_at": paid.due.at,
        "payment_captured_at": paid.due.at,
        "payment_notes": json.dumps(paid.notes, separators=(",", ":")),
        "entity_description": f"EMI {paid.due.instalment}",
        "order_id": paid.order_id,
        "order_receipt": paid.receipt,
        "settlement_id": f"setl_{settled:%Y%m%d}",
        "settled_at": settled,
        "settlement_utr": f"AXISCN{settled:%Y%m%d}",
        "settled_by": "Razorpay",
    }
    sink.row(SETTLEMENTS, paid.due.period, line)


def only_reported(world: World, sink: Sink, table: str) -> None:
    """The webhook was lost; the report is the only word of the payment."""
    due = world.due(lender_of(table))
    report(sink, Paid(due, world.code(), {"loan_id": due.loan}))
    sink.payment(due, due.paid)


def only_settled(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    settle(sink, Paid(due, world.code(), {"loan_id": due.loan}))
    sink.payment(due, due.paid)


def reported_as_failed(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    report(sink, Paid(due, world.code(), {}), status="bounced")
    sink.payment(due, State.NOT_A_PAYMENT)


def reported_without_loan(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    report(sink, Paid(due, world.code(), []))
    sink.payment(due, State.NO_LOAN)
