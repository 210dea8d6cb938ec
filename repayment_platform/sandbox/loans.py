"""Lending rules: when a repayment is taken, and when it may be taken back.

What belongs here: everything that needs the ledger to be decided. What does not: checks of the
body alone (`validation`), what a change does to the books (`bookings`), idempotency keys
(`commands`), printing (`views`).
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from repayment_platform.sandbox import bookings
from repayment_platform.sandbox.bookings import LIVE
from repayment_platform.sandbox.config import Flavour
from repayment_platform.sandbox.ledger import Ledger, Loan, Transaction
from repayment_platform.sandbox.replies import (
    FineractError,
    data_integrity,
    domain_rule,
    invalid,
    item,
    not_found,
)
from repayment_platform.sandbox.validation import Entry

PAYMENT_TYPES = {1: "Money Transfer", 2: "NACH", 3: "Payment Gateway"}
_ONLY_REPAYMENTS = (
    "error.msg.loan.transaction.adjustment.is.only.allowed.to.repayment.or.waiver."
    "or.creditbalancerefund.or.capitalizedIncome.or.capitalizedIncomeAdjustment."
    "or.buyDownFee.or.buyDownFeeAdjustment.transactions"
)
"""What Fineract says of a transaction that is reversed already."""
_AMOUNT_LIMIT = Decimal(10) ** 13
"""DECIMAL(19,6) holds thirteen digits before the point."""


@dataclass(frozen=True)
class Circumstances:
    """What a command depends on besides its body: the business date, the database, the request."""

    today: date
    flavour: Flavour
    request_id: int


def require_loan(ledger: Ledger, id: int | None, external_id: str | None) -> Loan:
    loan = ledger.loan(id=id, external_id=external_id)
    if loan is None and external_id is not None:
        message = f"Loan with external identifier {external_id} does not exist"
        raise not_found("error.msg.loan.external.id.invalid", message, external_id)
    if loan is None:
        raise not_found(
            "error.msg.loan.id.invalid", f"Loan with identifier {id} does not exist", id
        )
    return loan


def require_transaction(
    ledger: Ledger,
    loan: Loan,
    id: int | None,
    external_id: str | None,
    *,
    changing: bool = False,
) -> Transaction:
    """Found in the whole tenant first, then compared with the loan: two different 404s.

    The second names the loan only to who wants to change the transaction.
    """
    found = ledger.find(id=id, external_id=external_id)
    if found is None and external_id is not None:
        message = f"Transaction with external identifier {external_id} does not exist"
        raise not_found("error.msg.loan.transaction.external.id.invalid", message, external_id)
    if found is None or found.loan_id != loan.id:
        number = id if found is None else found.id
        message = (
            f"Transaction with identifier {number} does not exist for loan with identifier "
            f"{loan.id}."
        )
        arguments = (number, loan.id) if changing else (number,)
        raise not_found("error.msg.loan.transaction.id.invalid", message, *arguments)
    return found


def repay(ledger: Ledger, loan: Loan, entry: Entry, now: Circumstances) -> dict[str, Any]:
    """Post a repayment and return the answer's body; call inside a ledger transaction."""
    _refuse_unknown_payment_type(entry)
    _refuse_state(loan)
    if loan.schedule == "recalculated":
        _refuse_before_last(ledger, loan, entry.date)
    _refuse_before_disbursement(loan, entry.date)
    _refuse_future(entry.date, now.today)
    number = _post(ledger, loan, entry, now)
    return _result(loan, number, entry.external_id, entry)


def adjust(
    ledger: Ledger, loan: Loan, old: Transaction, entry: Entry, now: Circumstances
) -> dict[str, Any]:
    """Undo a transaction and, for an amount above zero, post another in its place.

    Nothing relates the two. The date of an undo must not lie ahead, and is not used.
    """
    _refuse_unknown_payment_type(entry)
    if loan.status == bookings.WRITTEN_OFF:
        code = "error.msg.loan.written.off.update.not.allowed"
        raise domain_rule(code, "Loan is written off; no update is allowed.", old.id)
    if entry.amount > 0:
        _refuse_before_disbursement(loan, entry.date)
    _refuse_future(entry.date, now.today)
    undo(ledger, old, now.today, entry.reversal_external_id)
    if entry.amount == 0:
        return _result(loan, old.id, old.external_id, entry)
    number = _post(ledger, require_loan(ledger, loan.id, None), entry, now)
    return _result(loan, number, entry.external_id, entry)


def undo(
    ledger: Ledger, old: Transaction, today: date, reversal_external_id: str | None = None
) -> None:
    """Reverse a transaction; a second time is refused, as is a reversal id that is in use."""
    if old.reversed_on is not None:
        raise domain_rule(_ONLY_REPAYMENTS, "Only (non-reversed) repayments can be adjusted.")
    try:
        bookings.undo(ledger, old, today, reversal_external_id)
    except bookings.TakenError:
        code = "error.msg.data.integrity.issue"
        raise data_integrity(code, "Data integrity issue with resource.") from None


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


def _refuse_before_last(ledger: Ledger, loan: Loan, when: date) -> None:
    """With interest recalculation, what was booked is not calculated again from an earlier day."""
    last = max(loan.disbursed_on, ledger.last_day_of(loan.id) or loan.disbursed_on)
    if when < last:
        raise domain_rule(
            "error.msg.loan.repayment.or.waiver.cannot.be.made.before.last.transaction.date",
            "The transaction date cannot be before the last transaction date",
            last,
        )


def _refuse_before_disbursement(loan: Loan, when: date) -> None:
    if when < loan.disbursed_on:
        raise domain_rule(
            "error.msg.loan.transaction.cannot.be.before.disbursement.date",
            "The transaction date cannot be before the loan disbursement date: "
            f"{loan.disbursed_on}",
            *(when, loan.disbursed_on),
        )


def _refuse_future(when: date, today: date) -> None:
    if when > today:
        raise domain_rule(
            "error.msg.loan.transaction.cannot.be.a.future.date",
            "The transaction date cannot be in the future.",
            when,
        )


def _post(ledger: Ledger, loan: Loan, entry: Entry, now: Circumstances) -> int:
    if entry.amount >= _AMOUNT_LIMIT or len(entry.external_id or "") > 100:
        raise _unknown_integrity_issue()
    detail = {"paymentType": entry.payment_type, **entry.details} if entry.payment_type else None
    try:
        return bookings.book(
            ledger,
            loan,
            entry.amount,
            entry.date,
            now.today,
            external_id=entry.external_id,
            payment_detail=detail,
            request_id=now.request_id,
        )
    except bookings.TakenError:
        raise _duplicate(entry.external_id or "", now.flavour) from None


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


def _result(loan: Loan, number: int, external_id: str | None, entry: Entry) -> dict[str, Any]:
    result = {
        "officeId": 1,
        "clientId": loan.id,
        "loanId": loan.id,
        "resourceId": number,
        "changes": entry.changes,
    }
    return result if external_id is None else result | {"resourceExternalId": external_id}
