"""Stories of NACH mandates, as sponsor banks and aggregators report them.

What belongs here: the rows of one presentation, one function for each story. What does not:
headers and formats (`layouts`), how often each story is told (`cases`).
"""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from repayment_platform.sample_data.model import (
    LOAN_REFUSES,
    LOAN_UNKNOWN,
    Due,
    LoanStatus,
    Sink,
    State,
)
from repayment_platform.sample_data.world import World

RETURNS = (
    ("04", "Balance Insufficient"),
    ("4", "Balance Insufficient"),
    ("05", "Not arranged for"),
    ("01", "Account closed"),
    ("54", "Dormant account"),
    ("", "BALANCE INSUFFICIENT"),
)
REJECTS = (
    ("21", "INVALID UMRN OR INACTIVE MANDATE"),
    ("75", "Transaction cancelled by user"),
    ("26", "Amount exceeds mandate maximum amount"),
)
EXTENDED = ("98", "Bank extension case")
LATE = ("", "Returned after settlement")
NO_REASON = ("", "")

Story = Callable[[World, Sink, str], None]
"""Tells one story of the source that fills the given RAW table: what is sent, and the truth."""


def lender_of(table: str) -> str:
    return table.split("_")[1]


def spelled(world: World, due: Due) -> str:
    """The loan id as people and systems write it: most often right."""
    if world.chance(0.9):
        return due.loan
    return world.pick((f"{due.loan}/EMI{due.instalment}", due.loan.lower(), f" {due.loan} "))


def presentation(world: World, due: Due, loan: str | None = None) -> dict[str, Any]:
    """The fields that stay the same whatever becomes of the debit; presented a day before."""
    return {
        "loan": spelled(world, due) if loan is None else loan,
        "borrower": due.borrower,
        "umrn": due.umrn,
        "sponsor": "ICICI",
        "utility": "NACH00000000000357",
        "reference": f"NPT{world.serial():012d}",
        "presented": due.on - timedelta(days=1),
        "paid_on": due.on,
        "amount": due.amount,
        "product": "DR1",
    }


def result(row: dict[str, Any], status: str, reason: tuple[str, str] = NO_REASON) -> dict[str, Any]:
    """The row with its status; the money of one day's debits arrives under one UTR."""
    paid = status == "paid"
    utr = f"ICIC{row['paid_on']:%y%m%d}00{row['paid_on'].day:04d}" if paid else ""
    return row | {"status": status, "code": reason[0], "reason": reason[1], "utr": utr}


def paid(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    sink.row(table, due.period, result(presentation(world, due), "paid"))
    sink.payment(due, due.paid)


def bounced(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    row = result(presentation(world, due), "bounced", world.pick(RETURNS))
    sink.row(table, due.period, row)
    sink.payment(due, State.NOT_A_PAYMENT)


def rejected(world: World, sink: Sink, table: str) -> None:
    """Never reached the borrower's bank, so it has no settlement date."""
    due = world.due(lender_of(table))
    row = presentation(world, due) | {"paid_on": None}
    sink.row(table, due.period, result(row, "rejected", world.pick(REJECTS)))
    sink.payment(due, State.NOT_A_PAYMENT)


def still_pending(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    row = presentation(world, due) | {"paid_on": None}
    sink.row(table, due.period, result(row, "pending", EXTENDED))
    sink.payment(due, State.NOT_A_PAYMENT)


def pending_then_paid(world: World, sink: Sink, table: str) -> None:
    """The next file says that it was paid, under the same reference."""
    due = world.due(lender_of(table))
    row = presentation(world, due)
    sink.row(table, due.period, result(row, "pending", EXTENDED))
    sink.row(table, due.period + 1, result(row, "paid"))
    sink.payment(due, due.paid)


def pending_then_paid_without_reference(world: World, sink: Sink, table: str) -> None:
    """Nothing but loan and amount ties the rows together: only the later one has a value date."""
    due = world.due(lender_of(table))
    row = presentation(world, due)
    sink.row(table, due.period, result(row | {"paid_on": None}, "pending", EXTENDED))
    sink.row(table, due.period + 1, result(row, "paid"))
    sink.payment(due, due.paid)


def paid_then_taken_back(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    row = presentation(world, due)
    sink.row(table, due.period, result(row, "paid"))
    sink.row(table, due.period + 1, result(row, "taken back", LATE))
    sink.payment(due, State.NOT_A_PAYMENT)


def two_equal(world: World, sink: Sink, table: str) -> None:
    """Two debits of one day and amount, each with its own reference: both are payments. A UTR that
    no other loan has would say that they are one."""
    due = world.due(lender_of(table))
    for _ in range(2):
        utr = f"ICIC{due.on:%y%m%d}{world.serial():08d}"
        sink.row(table, due.period, result(presentation(world, due), "paid") | {"utr": utr})
        sink.payment(due, due.paid)


def two_equal_without_reference(world: World, sink: Sink, table: str) -> None:
    """Two rows that nothing tells apart: one is a payment, for the other a person decides."""
    due = world.due(lender_of(table))
    for state in (due.paid, State.HELD):
        sink.row(table, due.period, result(presentation(world, due), "paid"))
        sink.payment(due, state)


def loan_refuses(world: World, sink: Sink, table: str) -> None:
    status = world.pick((LoanStatus.WRITTEN_OFF, LoanStatus.SUBMITTED))
    due = world.due_on_loan(lender_of(table), status)
    sink.row(table, due.period, result(presentation(world, due), "paid"))
    sink.payment(due, *refused(due, LOAN_REFUSES))


def loan_unknown(world: World, sink: Sink, table: str) -> None:
    due = world.due_on_loan(lender_of(table), None)
    sink.row(table, due.period, result(presentation(world, due), "paid"))
    sink.payment(due, *refused(due, LOAN_UNKNOWN))


def no_loan(world: World, sink: Sink, table: str) -> None:
    due = world.due(lender_of(table))
    sink.row(table, due.period, result(presentation(world, due, loan=""), "paid"))
    sink.payment(due, State.NO_LOAN)


def refused(due: Due, code: str) -> tuple[State, str | None]:
    """State and code of a payment that Fineract refuses; of a recon lender none is sent."""
    return (State.FAILED, code) if due.paid is State.SUCCESS else (State.RECON, None)


def within(due: Due, world: World, days: int) -> date:
    """A day on which another report may date the same payment."""
    return due.on + timedelta(days=world.below(days + 1))
