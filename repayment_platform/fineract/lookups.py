"""What an answer to a question proves: transactions and loans as Fineract's ledger holds them.

What belongs here: from a whole HTTP answer to a GET to what was learned. What does not: answers
to repayments (`replies`), whether a transaction found is the one meant (`posting`).
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from repayment_platform.fineract.contract import (
    Absent,
    Elsewhere,
    Found,
    LedgerTransaction,
    Listing,
    Loan,
    LoanLookup,
    Lookup,
    LookupFailed,
    UnknownLoan,
)
from repayment_platform.fineract.errors import (
    LOAN_UNKNOWN,
    NOT_FOUND,
    TRANSACTION_ON_OTHER_LOAN,
    TRANSACTION_UNKNOWN,
    FineractError,
    Meaning,
    meaning_of,
    read_error,
)
from repayment_platform.fineract.replies import foreign_fault, is_id
from repayment_platform.fineract.wire import Answer


class MalformedError(ValueError):
    """A success that does not look as Fineract writes it."""


def read_transaction_lookup(answer: Answer, external_id: str) -> Lookup:
    """What is known of the transaction `external_id` that was asked for."""
    body = _body_of_success(answer)
    if body is not None:
        try:
            transaction = _transaction(body)
        except MalformedError as malformed:
            return LookupFailed(str(malformed))
        if transaction.external_id != external_id:
            return LookupFailed("the answer is about another transaction")
        return Found(transaction)
    if _says(answer, TRANSACTION_UNKNOWN) is not None:
        return Absent()
    other_loan = _says(answer, TRANSACTION_ON_OTHER_LOAN)
    if other_loan is not None:
        return Elsewhere(TRANSACTION_ON_OTHER_LOAN, other_loan.text)
    return _no_loan(answer)


def read_loan_lookup(answer: Answer, external_id: str) -> LoanLookup:
    """The loan that was asked for."""
    body = _body_of_success(answer)
    if body is None:
        return _no_loan(answer)
    try:
        return _loan(body, external_id)
    except MalformedError as error:
        return LookupFailed(str(error))


def read_listing(answer: Answer, external_id: str) -> Listing:
    """All transactions of a loan that was asked for with them, in Fineract's order.

    Those that a person undid are among them; those that Fineract replaced are not.
    """
    body = _body_of_success(answer)
    if body is None:
        return _no_loan(answer)
    try:
        _loan(body, external_id)
        transactions = body.get("transactions", [])
        if not isinstance(transactions, list):
            raise MalformedError("transactions are no list")
        return tuple(map(_transaction, transactions))
    except MalformedError as error:
        return LookupFailed(str(error))


def _body_of_success(answer: Answer) -> Mapping[str, Any] | None:
    if answer.status != 200 or answer.from_cache or answer.content_type != "application/json":
        return None
    body = answer.json()
    return body if isinstance(body, Mapping) else None


def _says(answer: Answer, code: str) -> FineractError | None:
    """The error, where a fresh 404 of Fineract's says exactly this."""
    if answer.status != 404 or answer.from_cache:
        return None
    error = read_error(answer.status, answer.json())
    if error is None or (error.top_code, error.codes) != (NOT_FOUND, (code,)):
        return None
    return error


def _no_loan(answer: Answer) -> UnknownLoan | LookupFailed:
    error = _says(answer, LOAN_UNKNOWN)
    return UnknownLoan(error.text) if error is not None else failed(answer)


def failed(answer: Answer) -> LookupFailed:
    """Why an answer taught nothing."""
    if answer.from_cache:
        return LookupFailed(f"HTTP {answer.status} from a cache proves nothing")
    error = read_error(answer.status, answer.json())
    if error is not None:
        meaning = meaning_of(answer.status, error)
        is_system = meaning is not None and meaning[0] is Meaning.SYSTEM
        why = f"{error.codes[0]}: {error.text}"
        return LookupFailed(why, is_system, server_trouble=answer.status >= 500 and not is_system)
    fault = foreign_fault(answer)
    if fault is not None:
        why = f"{fault.code}: {fault.text}"
        return LookupFailed(why, system_fault=True, is_elsewhere=fault.is_elsewhere)
    why = f"HTTP {answer.status} ({answer.content_type or 'no content type'}) not from Fineract"
    return LookupFailed(why, server_trouble=True)


def _transaction(body: Any) -> LedgerTransaction:
    if not isinstance(body, Mapping):
        raise MalformedError("a transaction is no object")
    kind = field_of(body, "type", Mapping)
    resource_id = body.get("id")
    external_id = body.get("externalId")
    if not is_id(resource_id):
        raise MalformedError("id is not as Fineract writes it")
    if not isinstance(external_id, str | None):
        raise MalformedError("externalId is not as Fineract writes it")
    return LedgerTransaction(
        resource_id=resource_id,
        loan_external_id=field_of(body, "externalLoanId", str),
        external_id=external_id,
        amount=_amount(body.get("amount")),
        date=_date(body.get("date")),
        reversed=field_of(body, "manuallyReversed", bool),
        is_repayment=field_of(kind, "repayment", bool),
        submitted_on=_date_or_none(body, "submittedOnDate"),
        reversed_on=_date_or_none(body, "reversedOnDate"),
    )


def _loan(body: Mapping[str, Any], external_id: str) -> Loan:
    status_id = field_of(body, "status", Mapping).get("id")
    if not is_id(status_id):
        raise MalformedError("status.id is not as Fineract writes it")
    if body.get("externalId") != external_id:
        raise MalformedError("the answer is about another loan")
    timeline = field_of(body, "timeline", Mapping) if "timeline" in body else {}
    return Loan(external_id, status_id, _date_or_none(timeline, "actualDisbursementDate"))


def field_of(body: Any, name: str, kind: type) -> Any:
    """A field of an object of Fineract's; raises `MalformedError` where it is not of this type."""
    value = body.get(name) if isinstance(body, Mapping) else None
    if not isinstance(value, kind):
        raise MalformedError(f"{name} is not as Fineract writes it")
    return value


def _amount(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise MalformedError("amount is no number")
    return Decimal(value)


def _date_or_none(body: Mapping[str, Any], name: str) -> date | None:
    """None where Fineract leaves it out, as it does with what is null."""
    return None if body.get(name) is None else _date(body[name])


def _date(value: Any) -> date:
    """Fineract writes dates as [year, month, day]."""
    try:
        year, month, day = value
        return date(year, month, day)
    except (TypeError, ValueError):
        raise MalformedError("date is not [year, month, day]") from None
