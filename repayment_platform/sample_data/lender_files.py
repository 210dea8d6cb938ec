"""Stories of the payment files that DMI, Shivalik and Vivriti send beside NACH and gateway.

What belongs here: rows of lenders' payment files, alone and together with the other report of
the same money. What does not: Razorpay's reports (`razorpay_reports`).
"""

from typing import Any

from repayment_platform.sample_data import nach
from repayment_platform.sample_data.model import (
    LOAN_REFUSES,
    LOAN_UNKNOWN,
    Due,
    LoanStatus,
    Sink,
    State,
)
from repayment_platform.sample_data.nach import lender_of, refused, spelled, within
from repayment_platform.sample_data.world import World

METHODS = ("UPI", "NEFT", "IMPS", "RTGS")


def collection(world: World, due: Due, status: str = "paid", **changes: Any) -> dict[str, Any]:
    """One row; the UTR is that of a transfer to the lender, which covers many payments."""
    utr = f"AXISCN{due.on:%y%m%d}{due.period:04d}" if status != "bounced" else ""
    return {
        "loan": spelled(world, due),
        "borrower": due.borrower,
        "reported": due.on,
        "paid_on": due.on,
        "amount": due.amount,
        "emi": due.amount,
        "zero": "0",
        "one": "1",
        "partner": "SAMPLE LSP",
        "payment_type": "EMI",
        "status": status,
        "method": world.pick(METHODS),
        "channel": "Payment Link",
        "umrn": "",
        "utr": utr,
        "reference": f"UTN{world.serial():012d}",
        "reason": "Declined by bank" if status == "bounced" else "",
    } | changes


def paid(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    sink.row(table, due.period, collection(world, due))
    sink.payment(due, due.paid)


def bounced(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    sink.row(table, due.period, collection(world, due, "bounced"))
    sink.payment(due, State.NOT_A_PAYMENT)


def pending(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    sink.row(table, due.period, collection(world, due, "pending"))
    sink.payment(due, State.NOT_A_PAYMENT)


def paid_back(world: World, sink: Sink, table: str) -> None:
    """Vivriti's file names money that went back to a borrower on a line of its own."""
    due = world.due(lender_of(table))
    sink.row(table, due.period, collection(world, due, "taken back"))
    sink.payment(due, State.NOT_A_PAYMENT)


def also_by_nach(world: World, sink: Sink, table: str) -> None:
    """The NACH file reports the same money, dated the same day or up to two days earlier."""
    due = world.due(lender_of(table))
    later = within(due, world, 2)
    sink.row(table.replace("PAYMENT", "NACH"), due.period, _debit(world, due, "paid"))
    row = collection(world, due, paid_on=later, method="NACH", channel="NACH", umrn=due.umrn)
    sink.row(table, due.period, row)
    sink.payment(due, due.paid, dates=(due.on, later), key_dates=(due.on, later))


def bounced_then_paid(world: World, sink: Sink, table: str) -> None:
    """The debit bounced and the borrower paid the instalment otherwise, up to two days later."""
    due = world.due(lender_of(table))
    later = within(due, world, 2)
    sink.row(table.replace("PAYMENT", "NACH"), due.period, _debit(world, due, "bounced"))
    sink.row(table, due.period, collection(world, due, paid_on=later))
    sink.payment(due, due.paid, dates=(later,), key_dates=(due.on, later))


def two_equal(world: World, sink: Sink, table: str) -> None:
    """Two payments of one day and amount under different tokens: both are payments. A UTR that no
    other loan has would say that they are one."""
    due = world.due(lender_of(table))
    for _ in range(2):
        utr = f"AXISCN{due.on:%y%m%d}{world.serial():08d}"
        sink.row(table, due.period, collection(world, due, utr=utr))
        sink.payment(due, due.paid)


def two_equal_without_reference(world: World, sink: Sink, table: str) -> None:
    """Two lines that nothing tells apart: one is a payment, for the other a person decides."""
    due = world.due(lender_of(table))
    for state in (due.paid, State.HELD):
        sink.row(table, due.period, collection(world, due))
        sink.payment(due, state)


def loan_refuses(world: World, sink: Sink, table: str) -> None:
    due = world.due_on_loan(lender_of(table), LoanStatus.WRITTEN_OFF)
    sink.row(table, due.period, collection(world, due))
    sink.payment(due, *refused(due, LOAN_REFUSES))


def loan_unknown(world: World, sink: Sink, table: str) -> None:
    due = world.due_on_loan(lender_of(table), None)
    sink.row(table, due.period, collection(world, due))
    sink.payment(due, *refused(due, LOAN_UNKNOWN))


def no_loan(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    sink.row(table, due.period, collection(world, due, loan=""))
    sink.payment(due, State.NO_LOAN)


def _debit(world: World, due: Due, status: str) -> dict[str, Any]:
    reason = nach.RETURNS[0] if status == "bounced" else nach.NO_REASON
    return nach.result(nach.presentation(world, due), status, reason)
