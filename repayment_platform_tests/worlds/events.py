"""The JSON of gateways' events, as Razorpay and Cashfree send it.

What belongs here: from a report to its body, by way of the sample data's builders. What does not:
signing and landing (`landing`).
"""

from datetime import datetime, time
from typing import Any

from repayment_platform.sample_data import cashfree, razorpay
from repayment_platform.sample_data.model import Due, Event
from repayment_platform_tests.worlds.calendar import Calendar
from repayment_platform_tests.worlds.truth import Report

Json = dict[str, Any]


def event_of(report: Report, calendar: Calendar) -> Event:
    """The event of a report, with an event id of its own."""
    assert report.day is not None
    moment = time(*report.more.get("clock", (10, 15)))
    due = Due(
        lender=report.story.lender,
        loan=report.loan or "",
        amount=report.amount,
        at=datetime.combine(calendar.date(report.day), moment),
        period=0,
        borrower="A B",
        umrn=report.umrn or "",
        instalment=1,
    )
    event = _razorpay(report, due) if "RAZORPAY" in report.table else _cashfree(report, due)
    key = f"evt-{report.story.prefix}-{report.story.number}-{report.number}"
    return Event(report.table, event.name, event.body, key, event.headers)


def _razorpay(report: Report, due: Due) -> Event:
    notes = {"loan_id": report.loan} if report.loan else {}
    paid = razorpay.Paid(due, report.ref or "", notes, report.mode or "upi")
    entity = razorpay.payment(paid, "failed" if report.name == "payment.failed" else "captured")
    entity["acquirer_data"] = {"rrn": report.utr}
    entity |= {
        name: report.more[name] for name in ("currency", "amount_refunded") if name in report.more
    }
    if report.more.get("amount_refunded"):
        entity["refund_status"] = "partial"
    payload: Json = {"payment": {"entity": entity}}
    if report.name == "order.paid":
        payload = {"payment": {"entity": entity}, "order": {"entity": razorpay.order(paid)}}
        if not report.loan:
            payload["order"]["entity"]["receipt"] = None
    if report.name.startswith("refund."):
        payload |= {"refund": razorpay.refund(paid)["refund"]}
    if report.name.startswith("payment.dispute."):
        payload["dispute"] = {"entity": {"id": f"disp_{report.ref}", "amount_deducted": due.paise}}
    return razorpay.event(report.table, report.name, payload, due.epoch)


def _cashfree(report: Report, due: Due) -> Event:
    number = int(report.ref or 0)
    order_id = report.more.get("order") or f"order_{report.ref}"
    tags = {"loan_id": report.loan} if report.loan else None
    if report.name == "PAYMENT_LINK_EVENT":
        data = cashfree.link(due, number, order_id, still_due=due.amount * 0)
        data["order"]["transaction_id"] = number % 10**9
        return cashfree.event(report.table, report.name, data, _told_later(due, report))
    if report.name == "REFUND_STATUS_WEBHOOK":
        data = cashfree.refund(due, number, order_id)
        data["refund"] |= report.more.get("refund", {})
        data["refund"]["refund_amount"] = cashfree.rupees(report.more.get("rupees", due.amount))
        return cashfree.event(report.table, report.name, data, due)
    if report.name.startswith("DISPUTE_"):
        data = {
            "dispute": {
                "dispute_id": str(number),
                "dispute_status": report.more["dispute"],
                "dispute_amount": cashfree.rupees(due.amount),
                "reason_description": "not theirs",
            },
            "order_details": {"order_id": order_id, "cf_payment_id": str(number)},
            "cf_payment_id": str(number),
        }
        return cashfree.event(report.table, report.name, data, due)
    if report.name.startswith("SUBSCRIPTION_"):
        kind = "AUTH" if report.name == "SUBSCRIPTION_AUTH_STATUS" else "CHARGE"
        data = cashfree.subscription(due, number, kind, "SUCCESS")
        data["authorization_details"]["authorization_reference"] = report.umrn
        return cashfree.event(report.table, report.name, data, due)
    status = "SUCCESS" if report.name == "PAYMENT_SUCCESS_WEBHOOK" else "FAILED"
    data = cashfree.payment(due, number, order_id, tags, status)
    if "currency" in report.more:
        data["payment"]["payment_currency"] = report.more["currency"]
    data["payment"]["bank_reference"] = report.utr or data["payment"]["bank_reference"]
    return cashfree.event(report.table, report.name, data, due)


def _told_later(due: Due, report: Report) -> Due:
    """The moment of the event about it, which may be of the next day."""
    from dataclasses import replace
    from datetime import timedelta

    return replace(due, at=due.at + timedelta(days=report.more.get("told_after", 0)))
