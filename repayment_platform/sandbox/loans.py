"""Lending rules: when a repayment is taken, what it does to the loan, and taking it back.

What belongs here: everything that needs the ledger to be decided. What does not: checks of the
body alone (`validation`), idempotency keys (`commands`), printing (`views`).
"""

import sqlite3
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from repayment_platform.sandbox.config import Flavour
from repayment_platform.sandbox.ledger import Ledger, Loan, Transaction
from repayment_platform.sandbox.replies import (
    FineractError,
    data_integrity,
    domain_rule,
    external_id_argument,
    invalid,
    item,
    not_found,
)
from repayment_platform.sandbox.validation import Entry

ACTIVE, CLOSED, OVERPAID = 300, 600, 700
LIVE = frozenset({ACTIVE, CLOSED, OVERPAID})
"""Statuses that take repayments; which of them a loan is in follows from its balance."""

DIGITS = {"INR": 2, "USD": 2, "JPY": 0, "KWD": 3}
PAYMENT_TYPES = {1: "Money Transfer", 2: "NACH", 3: "Payment Gateway"}
_AMOUNT_LIMIT = Decimal(10) ** 13
"""DECIMAL(19,6) holds thirteen digits before the point."""


@dataclass(frozen=True)
class Circumstances:
    """What a command depends on besides its body: the business date, the database, the request."""

    today: date
    flavour: Flavour
    request_id: int


def rounded(amount: Decimal, currency: str) -> Decimal:
    """To the currency's digits, half to even: the tenant's default rounding mode."""
    return amount.quantize(Decimal(1).scaleb(-DIGITS[currency]), ROUND_HALF_EVEN)


def status_for(balance: Decimal) -> int:
    return ACTIVE if balance > 0 else CLOSED if balance == 0 else OVERPAID


def require_loan(ledger: Ledger, id: int | None, external_id: str | None) -> Loan:
    loan = ledger.loan(id=id, external_id=external_id)
    if loan is None and external_id is not None:
        message = f"Loan with external identifier {external_id} does not exist"
        argument = external_id_argument(external_id)
        raise not_found("error.msg.loan.external.id.invalid", message, argument)
    if loan is None:
        raise not_found(
            "error.msg.loan.id.invalid", f"Loan with identifier {id} does not exist", id
        )
    return loan


def require_transaction(
    ledger: Ledger, loan: Loan, id: int | None, external_id: str | None
) -> Transaction:
    """Found in the whole tenant first, then compared with the loan: two different 404s."""
    found = ledger.find(id=id, external_id=external_id)
    if found is None and external_id is not None:
        message = f"Transaction with external identifier {external_id} does not exist"
        argument = external_id_argument(external_id)
        raise not_found("error.msg.loan.transaction.external.id.invalid", message, argument)
    if found is None or found.loan_id != loan.id:
        number = id if found is None else found.id
        message = (
            f"Transaction with identifier {number} does not exist for loan with identifier "
            f"{loan.id}."
        )
        raise not_found("error.msg.loan.transaction.id.invalid", message, number, loan.id)
    return found


def repay(ledger: Ledger, loan: Loan, entry: Entry, now: Circumstances) -> dict[str, Any]:
    """Post a repayment and return the answer's body; call inside a ledger transaction."""
    _refuse_unknown_payment_type(entry)
    _refuse_state(loan)
    _refuse_date(loan, entry.date, now.today)
    number = _post(ledger, loan, entry, now)
    return _result(loan, number, entry.external_id, entry)


def adjust(
    ledger: Ledger, loan: Loan, old: Transaction, entry: Entry, now: Circumstances
) -> dict[str, Any]:
    """Undo a transaction and, for an amount above zero, post another in its place."""
    _refuse_unknown_payment_type(entry)
    _refuse_date(loan, entry.date, now.today)
    try:
        undo(ledger, old, now.today, entry.reversal_external_id)
    except sqlite3.IntegrityError:
        raise _unknown_integrity_issue() from None
    if entry.amount == 0:
        return _result(loan, old.id, old.external_id, entry)
    number = _post(ledger, require_loan(ledger, loan.id, None), entry, now)
    return _result(loan, number, entry.external_id, entry)


def undo(
    ledger: Ledger, old: Transaction, today: date, reversal_external_id: str | None = None
) -> None:
    """Reverse a transaction. It keeps its externalId, which stays used up for ever.

    A second undo is refused; the code of that refusal is the sandbox's own.
    """
    if old.reversed_on is not None:
        code = "error.msg.loan.transaction.already.reversed"
        raise domain_rule(code, "The transaction is already reversed.", old.id)
    ledger.update(
        old.id,
        reversed_on=today,
        manually_reversed=True,
        reversal_external_id=reversal_external_id,
    )
    loan = require_loan(ledger, old.loan_id, None)
    _settle(ledger, loan, loan.balance + old.amount, today)


def replay(ledger: Ledger, old: Transaction, today: date) -> int:
    """Reverse a transaction and post it again: the externalId moves to a new row and id."""
    ledger.update(old.id, reversed_on=today, external_id=None)
    return ledger.insert(
        loan_id=old.loan_id,
        external_id=old.external_id,
        date=old.date,
        amount=old.amount,
        principal_portion=old.principal_portion,
        balance=old.balance,
        submitted_on=today,
        payment_detail=old.payment_detail,
        replays=old.id,
    )


def _refuse_unknown_payment_type(entry: Entry) -> None:
    if entry.payment_type is not None and entry.payment_type not in PAYMENT_TYPES:
        raise not_found(
            "error.msg.payment.type.invalid",
            f"PaymentType with {entry.payment_type} does not exist",
            entry.payment_type,
        )


def _refuse_state(loan: Loan) -> None:
    if not loan.client_active:
        raise domain_rule(
            "error.msg.client.not.active.exception",
            f"The Client with id `{loan.id}` is not active",
            loan.id,
        )
    if loan.status not in LIVE:
        raise invalid(
            item(
                "error.msg.loan.must.be.active.fully.paid.or.overpaid",
                "Loan must be Active, Fully Paid or Overpaid",
            )
        )


def _refuse_date(loan: Loan, when: date, today: date) -> None:
    if when < loan.disbursed_on:
        raise domain_rule(
            "error.msg.loan.transaction.cannot.be.before.disbursement.date",
            "The transaction date cannot be before the loan disbursement date: "
            f"{loan.disbursed_on}",
            *(when, loan.disbursed_on),
        )
    if when > today:
        raise domain_rule(
            "error.msg.loan.transaction.cannot.be.a.future.date",
            "The transaction date cannot be in the future.",
            when,
        )


def _post(ledger: Ledger, loan: Loan, entry: Entry, now: Circumstances) -> int:
    if entry.amount >= _AMOUNT_LIMIT or len(entry.external_id or "") > 100:
        raise _unknown_integrity_issue()
    amount = rounded(entry.amount, loan.currency)
    balance = loan.balance - amount
    detail = {"paymentType": entry.payment_type, **entry.details} if entry.payment_type else None
    try:
        number = ledger.insert(
            loan_id=loan.id,
            external_id=entry.external_id,
            date=entry.date,
            amount=amount,
            principal_portion=min(amount, max(loan.balance, Decimal(0))),
            balance=balance,
            submitted_on=now.today,
            payment_detail=detail,
            request_id=now.request_id,
        )
    except sqlite3.IntegrityError:
        raise _duplicate(entry.external_id or "", now.flavour) from None
    _settle(ledger, loan, balance, entry.date)
    return number


def _unknown_integrity_issue() -> FineractError:
    code = "error.msg.loan.repayment.unknown.data.integrity.issue"
    return data_integrity(code, "Unknown data integrity issue with resource.")


def _duplicate(external_id: str, flavour: Flavour) -> FineractError:
    if flavour == "mysql":
        return data_integrity(
            "error.msg.loan.repayment.duplicate.externalId",
            f"Repayment: externalId `{external_id}` already exists",
            *("externalId", external_id),
        )
    message = "Failed data validation due to: value.must.be.unique."
    code = "validation.msg.loan.transaction.externalId.value.must.be.unique"
    return invalid(item(code, message, "externalId", None, []))


def _settle(ledger: Ledger, loan: Loan, balance: Decimal, on: date) -> None:
    status = status_for(balance) if loan.status in LIVE else loan.status
    settled_on = None if status == ACTIVE else on
    ledger.update_loan(loan.id, balance=balance, status=status, settled_on=settled_on)


def _result(loan: Loan, number: int, external_id: str | None, entry: Entry) -> dict[str, Any]:
    result = {
        "officeId": 1,
        "clientId": loan.id,
        "loanId": loan.id,
        "resourceId": number,
        "changes": entry.changes,
    }
    return result if external_id is None else result | {"resourceExternalId": external_id}
