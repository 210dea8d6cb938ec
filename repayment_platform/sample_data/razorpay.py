"""The bodies of Razorpay's webhooks: what one payment looks like in each kind of event.

What belongs here: entities and envelopes in Razorpay's form, amounts in paise, times in seconds
since 1970. What does not: which events make a story (`razorpay_stories`), signing (`signing`).
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

from repayment_platform.sample_data.model import Due, Event
from repayment_platform.sample_data.nach import lender_of

Json = dict[str, Any]
Status = Literal["captured", "failed"]


@dataclass(frozen=True, slots=True)
class Paid:
    """One Razorpay payment; `code` is what follows `pay_` and its kin."""

    due: Due
    code: str
    notes: Any
    method: str = "upi"

    @property
    def id(self) -> str:
        return f"pay_{self.code}"

    @property
    def order_id(self) -> str:
        return f"order_{self.code}"

    @property
    def receipt(self) -> str:
        return f"{self.due.loan}/EMI{self.due.instalment}"


def payment(paid: Paid, status: Status = "captured", **changes: Any) -> Json:
    """The payment entity. Fee and tax are null until the payment is captured."""
    failed = status == "failed"
    return {
        "id": paid.id,
        "entity": "payment",
        "amount": paid.due.paise,
        "currency": "INR",
        "base_amount": paid.due.paise,
        "status": status,
        "order_id": paid.order_id,
        "invoice_id": None,
        "international": False,
        "method": paid.method,
        "amount_refunded": 0,
        "amount_transferred": 0,
        "refund_status": None,
        "captured": not failed,
        "description": f"EMI {paid.due.instalment}",
        "card_id": None,
        "bank": None,
        "wallet": None,
        "vpa": "borrower@okbank" if paid.method == "upi" else None,
        "email": None,
        "contact": "+919000000001",
        "notes": paid.notes,
        "fee": None if failed else 236,
        "tax": None if failed else 36,
        "error_code": "BAD_REQUEST_ERROR" if failed else None,
        "error_description": "Payment was unsuccessful." if failed else None,
        "error_source": "customer" if failed else None,
        "error_step": "payment_authorization" if failed else None,
        "error_reason": "insufficient_funds" if failed else None,
        "acquirer_data": {"rrn": f"5301{paid.due.epoch % 10**8:08d}"},
        "created_at": paid.due.epoch,
        "reward": None,
    } | changes


def order(paid: Paid, amount_due: int = 0) -> Json:
    """The order of a payment, as order.paid carries it."""
    return {
        "id": paid.order_id,
        "entity": "order",
        "amount": paid.due.paise + amount_due,
        "amount_paid": paid.due.paise,
        "amount_due": amount_due,
        "currency": "INR",
        "receipt": paid.receipt,
        "offer_id": None,
        "status": "paid" if amount_due == 0 else "attempted",
        "attempts": 1,
        "notes": paid.notes,
        "created_at": paid.due.epoch - 300,
    }


def payment_link(paid: Paid, amount_due: int = 0) -> Json:
    """A link's payload: its embedded order has no `order_` before its id and no `entity`."""
    link = {
        "id": f"plink_{paid.code}",
        "accept_partial": True,
        "amount": paid.due.paise + amount_due,
        "amount_paid": paid.due.paise,
        "created_at": paid.due.epoch - 86_400,
        "currency": "INR",
        "customer": {"contact": "+919000000001", "email": ""},
        "description": "Overdue EMI",
        "expire_by": 0,
        "notes": None,
        "order_id": paid.order_id,
        "reference_id": paid.receipt,
        "reminders": [],
        "short_url": "https://rzp.io/i/sample",
        "status": "paid" if amount_due == 0 else "partially_paid",
        "updated_at": paid.due.epoch,
        "user_id": "",
    }
    inner = order(paid, amount_due) | {"id": paid.code, "product_type": "payment_link_v2"}
    del inner["entity"]
    return {
        "payment_link": {"entity": link},
        "order": {"entity": inner},
        "payment": {"entity": payment(paid)},
    }


def virtual_account(paid: Paid) -> Json:
    """A transfer to a borrower's own account number: the loan id is in the account's notes."""
    account = {
        "id": f"va_{paid.code}",
        "name": "Collections",
        "entity": "virtual_account",
        "status": "active",
        "description": paid.due.loan,
        "amount_expected": None,
        "notes": {"loan_id": paid.due.loan},
        "amount_paid": paid.due.paise,
        "receivers": [{"id": f"ba_{paid.code}", "entity": "bank_account", "notes": []}],
        "created_at": paid.due.epoch - 10**6,
    }
    transfer = {
        "id": f"bt_{paid.code}",
        "entity": "bank_transfer",
        "payment_id": paid.id,
        "mode": "NEFT",
        "bank_reference": f"N{paid.due.epoch:015d}",
        "amount": paid.due.paise,
        "virtual_account_id": f"va_{paid.code}",
    }
    entity = payment(paid, order_id=None, acquirer_data={})
    return {
        "payment": {"entity": entity},
        "virtual_account": {"entity": account},
        "bank_transfer": {"entity": transfer},
    }


def refund(paid: Paid) -> Json:
    """All of the payment was given back, two days later."""
    entity = {
        "id": f"rfnd_{paid.code}",
        "entity": "refund",
        "amount": paid.due.paise,
        "currency": "INR",
        "payment_id": paid.id,
        "notes": {"reason": "paid twice"},
        "created_at": paid.due.epoch + 2 * 86_400,
        "status": "processed",
    }
    returned = {"status": "refunded", "amount_refunded": paid.due.paise, "refund_status": "full"}
    return {
        "refund": {"entity": entity},
        "payment": {"entity": payment(paid) | returned},
    }


def token(paid: Paid) -> Json:
    entity = {
        "id": f"token_{paid.code}",
        "entity": "token",
        "method": "emandate",
        "recurring": True,
        "recurring_details": {"status": "confirmed", "failure_reason": None},
        "mrn": None,
        "max_amount": 5_000_000,
        "created_at": paid.due.epoch,
    }
    return {"token": {"entity": entity}}


def settlement(paid: Paid) -> Json:
    entity = {
        "id": f"setl_{paid.code}",
        "entity": "settlement",
        "amount": paid.due.paise - 236,
        "status": "processed",
        "fees": 236,
        "tax": 36,
        "utr": f"AXISCN{paid.due.epoch}",
        "created_at": paid.due.epoch + 86_400,
    }
    return {"settlement": {"entity": entity}}


def event(table: str, name: str, payload: Json, at: int, secret: int = 0) -> Event:
    """The envelope around `payload`, as Razorpay sends it: compact JSON, one id an event."""
    lender = lender_of(table)
    body = {
        "entity": "event",
        "account_id": f"acc_SAMPLE{lender}",
        "event": name,
        "contains": list(payload),
        "payload": payload,
        "created_at": at,
    }
    first = next(iter(payload.values()))["entity"]["id"]
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return Event(table, name, text, f"evt_{name}_{first}", {}, secret)
