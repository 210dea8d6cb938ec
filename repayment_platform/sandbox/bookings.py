"""The books of one loan: a repayment comes in or is taken back, and what follows from it.

What belongs here: rows, balances, statuses, and the replay of what lies after a change. What does
not: whether the change is allowed (`loans`).

Fineract replays those later repayments whose split a change alters: it reverses each row and
books it again under a new id, to which the external id moves. The sandbox knows no interest, so
it takes each later one as altered.
"""

import sqlite3
from collections.abc import Iterable
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

from repayment_platform.sandbox.ledger import Ledger, Loan, Transaction

ACTIVE, CLOSED, OVERPAID = 300, 600, 700
LIVE = frozenset({ACTIVE, CLOSED, OVERPAID})
"""Statuses that take repayments; which of them a loan is in follows from its balance."""
WRITTEN_OFF = 601

DIGITS = {"INR": 2, "USD": 2, "JPY": 0, "KWD": 3}


class TakenError(ValueError):
    """An external id that the books have already."""


def rounded(amount: Decimal, currency: str) -> Decimal:
    """To the currency's digits, half to even: the tenant's default rounding mode."""
    return amount.quantize(Decimal(1).scaleb(-DIGITS[currency]), ROUND_HALF_EVEN)


def status_for(balance: Decimal) -> int:
    return ACTIVE if balance > 0 else CLOSED if balance == 0 else OVERPAID


def book(
    ledger: Ledger,
    loan: Loan,
    amount: Decimal,
    on: date,
    today: date,
    *,
    external_id: str | None,
    payment_detail: dict[str, object] | None,
    request_id: int,
) -> int:
    """Add a repayment of that day, behind what the day has already; returns its id.

    Raises `TakenError` for an external id that is in use, on whatever loan.
    """
    amount = rounded(amount, loan.currency)
    later = ledger.live_after(loan.id, on)
    owed = loan.balance + _sum(later)
    try:
        number = ledger.insert(
            loan_id=loan.id,
            external_id=external_id,
            date=on,
            amount=amount,
            principal_portion=_principal(amount, owed),
            balance=owed - amount,
            submitted_on=today,
            payment_detail=payment_detail,
            request_id=request_id,
        )
    except sqlite3.IntegrityError:
        raise TakenError(external_id) from None
    _replay_all(ledger, later, owed - amount, today)
    _settle(ledger, loan, loan.balance - amount, later[-1].date if later else on)
    return number


def undo(
    ledger: Ledger, old: Transaction, today: date, reversal_external_id: str | None = None
) -> None:
    """Reverse a live repayment. It keeps its externalId, which stays used up for ever.

    Raises `TakenError` for a reversal id that is in use.
    """
    loan = ledger.loan(id=old.loan_id)
    if loan is None:
        raise LookupError(f"no loan {old.loan_id}")
    later = ledger.live_after(loan.id, old.date, old.id)
    try:
        ledger.update(
            old.id,
            reversed_on=today,
            manually_reversed=True,
            reversal_external_id=reversal_external_id,
        )
    except sqlite3.IntegrityError:
        raise TakenError(reversal_external_id) from None
    balance = loan.balance + old.amount
    _replay_all(ledger, later, balance + _sum(later), today)
    _settle(ledger, loan, balance, ledger.last_day_of(loan.id) or today)


def replay(ledger: Ledger, old: Transaction, today: date) -> int:
    """Replay one repayment as it is; returns its new id."""
    return _replay(ledger, old, old.principal_portion, old.balance, today)


def _replay_all(ledger: Ledger, rows: Iterable[Transaction], owed: Decimal, today: date) -> None:
    """Replay rows in their order; `owed` is what the loan owes before the first."""
    for row in rows:
        principal = _principal(row.amount, owed)
        owed -= row.amount
        _replay(ledger, row, principal, owed, today)


def _replay(
    ledger: Ledger, old: Transaction, principal: Decimal, balance: Decimal, today: date
) -> int:
    ledger.update(old.id, reversed_on=today, external_id=None)
    return ledger.insert(
        loan_id=old.loan_id,
        external_id=old.external_id,
        date=old.date,
        amount=old.amount,
        principal_portion=principal,
        balance=balance,
        submitted_on=today,
        payment_detail=old.payment_detail,
        replays=[*old.replays, old.id],
    )


def _principal(amount: Decimal, owed: Decimal) -> Decimal:
    return min(amount, max(owed, Decimal(0)))


def _sum(rows: Iterable[Transaction]) -> Decimal:
    return sum((row.amount for row in rows), Decimal(0))


def _settle(ledger: Ledger, loan: Loan, balance: Decimal, on: date) -> None:
    status = status_for(balance) if loan.status in LIVE else loan.status
    settled_on = None if status == ACTIVE else on
    ledger.update_loan(loan.id, balance=balance, status=status, settled_on=settled_on)
