"""The bodies of Cashfree's webhooks: payments, links, subscriptions, refunds, settlements.

What belongs here: the `data` objects in Cashfree's form, amounts in rupees. What does not:
which events make a story (`cashfree_stories`), signing (`signing`).
"""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

from repayment_platform.sample_data.model import Due, Event

Json = dict[str, Any]

CURRENT_VERSION = "2025-01-01"
OLD_VERSION = "2022-09-01"
"""Sends no x-idempotency-key, and payment ids as numbers."""
FEE, TAX = Decimal("2.00"), Decimal("0.36")
"""What Cashfree keeps of a payment."""


def rupees(amount: Decimal) -> str:
    """Marks an amount that `event` writes as a number with both decimals.

    Cashfree sends `170.00`, which json would write as `170.0`; whoever parses and writes the
    body again before checking its signature is to fail.
    """
    return f"<{amount:.2f}>"


def stamp(due: Due, seconds: int = 0) -> str:
    """The moment `seconds` after the payment, on the same day in India, with its offset."""
    second = min(due.at.hour * 3600 + due.at.minute * 60 + due.at.second + seconds, 86_399)
    clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return f"{due.on.isoformat()}T{clock}+05:30"


def payment(due: Due, payment_id: int, order_id: str, tags: Json | None, status: str) -> Json:
    """`data` of a payment webhook; `status` is SUCCESS, FAILED or USER_DROPPED."""
    data = {
        "order": {
            "order_id": order_id,
            "order_amount": rupees(due.amount),
            "order_currency": "INR",
            "order_tags": tags,
        },
        "payment": {
            "cf_payment_id": str(payment_id),
            "payment_status": status,
            "payment_amount": rupees(due.amount),
            "payment_currency": "INR",
            "payment_message": "00::Transaction success" if status == "SUCCESS" else "ZM::Failed",
            "payment_time": stamp(due),
            "bank_reference": f"{payment_id % 10**12:012d}",
            "auth_id": None,
            "payment_method": {"upi": {"channel": None, "upi_id": "borrower@okbank"}},
            "payment_group": "upi",
        },
        "customer_details": {
            "customer_name": due.borrower,
            "customer_id": f"CUST{payment_id % 10**6:06d}",
            "customer_email": "borrower@example.invalid",
            "customer_phone": "9000000001",
        },
        "payment_gateway_details": {"gateway_name": "CASHFREE"},
        "payment_offers": None,
        "terminal_details": None,
    }
    if status != "SUCCESS":
        error = {"error_code": "TRANSACTION_DECLINED", "error_reason": "auth_declined"}
        data["error_details"] = error
    return data


def link(due: Due, number: int, order_id: str, still_due: Decimal) -> Json:
    """`data` of a link event: link amounts are texts and cumulative, the order is this payment."""
    paid_before = Decimal(1000) if still_due else Decimal(0)
    return {
        "cf_link_id": number,
        "link_id": f"{due.loan}-{due.on:%b}".upper(),
        "link_status": "PARTIALLY_PAID" if still_due else "PAID",
        "link_currency": "INR",
        "link_amount": f"{due.amount + paid_before + still_due:.2f}",
        "link_amount_paid": f"{due.amount + paid_before:.2f}",
        "link_partial_payments": bool(still_due),
        "link_purpose": f"EMI {due.instalment}",
        "link_created_at": f"{due.on.isoformat()}T00:00:00",
        "customer_details": {"customer_phone": "9000000001", "customer_name": due.borrower},
        "link_notes": {"loan_id": due.loan},
        "order": {
            "order_amount": f"{due.amount:.2f}",
            "order_id": order_id,
            "transaction_id": number,
            "transaction_status": "SUCCESS",
        },
    }


def subscription(due: Due, payment_id: int, kind: str, status: str) -> Json:
    """`data` of a mandate's payment: a CHARGE is an instalment, an AUTH a registration."""
    return {
        "payment_id": f"{due.loan}-EMI{due.instalment}",
        "cf_payment_id": str(payment_id),
        "cf_txn_id": str(payment_id + 1),
        "cf_order_id": str(payment_id + 2),
        "subscription_id": due.loan,
        "cf_subscription_id": str(payment_id + 3),
        "payment_type": kind,
        "authorization_details": {
            "authorization_amount": 1,
            "authorization_status": "ACTIVE",
            "payment_method": {"enach": {"channel": "enach", "account_type": "SAVINGS"}},
            "payment_group": "enach",
        },
        "payment_amount": rupees(due.amount),
        "payment_currency": "INR",
        "payment_schedule_date": f"{due.on.isoformat()}T00:00:00+05:30",
        "payment_initiated_date": stamp(due),
        "payment_remarks": f"EMI {due.instalment}",
        "retry_attempts": 0,
        "failure_details": {
            "failure_reason": None if status == "SUCCESS" else "BALANCE INSUFFICIENT"
        },
        "payment_status": status,
    }


def refund(due: Due, payment_id: int, order_id: str) -> Json:
    """`data` of a refund of the whole payment."""
    return {
        "refund": {
            "cf_refund_id": str(payment_id + 1),
            "cf_payment_id": str(payment_id),
            "refund_id": f"refund_{payment_id}",
            "order_id": order_id,
            "refund_amount": rupees(due.amount),
            "refund_currency": "INR",
            "refund_type": "MERCHANT_INITIATED",
            "refund_arn": f"{payment_id % 10**12:012d}",
            "refund_status": "SUCCESS",
        }
    }


def utr(number: int) -> int:
    """Of the payout of one payment; a number, as in Cashfree's own example."""
    return 1_644_822_000_000_000 + number


def settlement(due: Due, number: int) -> Json:
    """`data` of the payout of one payment to the lender."""
    return {
        "settlement": {
            "settlement_id": number,
            "status": "SUCCESS",
            "amount_settled": rupees(due.amount - FEE - TAX),
            "payment_amount": rupees(due.amount),
            "service_charge": rupees(FEE),
            "service_tax": rupees(TAX),
            "payment_from": f"{due.on.isoformat()} 00:00:00",
            "payment_till": f"{due.on.isoformat()} 23:59:59",
            "settled_on": f"{due.on + timedelta(days=1)}T15:35:50+05:30",
            "utr": utr(number),
        }
    }


def event(table: str, kind: str, data: Json, due: Due, version: str = CURRENT_VERSION) -> Event:
    """The envelope around `data`; older versions have no idempotency key and numeric ids."""
    body: Json = {"data": data, "event_time": stamp(due, 5), "type": kind}
    if kind == "PAYMENT_LINK_EVENT":
        body["version"] = 1
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    text = text.replace('"<', "").replace('>"', "")
    headers = {"x-webhook-version": version}
    key = f"idem_{kind}_{_first_id(data)}"
    if version == OLD_VERSION:
        text = text.replace(
            f'"cf_payment_id":"{_first_id(data)}"', f'"cf_payment_id":{_first_id(data)}'
        )
        key = ""
    return Event(table, kind, text, key, headers)


def _first_id(data: Json) -> object:
    about = next((data[part] for part in ("payment", "refund", "settlement") if part in data), data)
    names = ("cf_refund_id", "cf_payment_id", "cf_link_id", "settlement_id")
    return next(about[name] for name in names if name in about)
