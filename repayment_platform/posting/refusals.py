"""What Fineract refused: asked about first, and sent again only where what refused it has changed.

What belongs here: which refusals a look-up of the loan can tell about, the comparison, and a
person's word that a payment is to be sent again. What does not: asking (`engine`), when the others
are due (`work`).

A refused request leaves a row and a burnt idempotency key in Fineract each time; a question leaves
nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from psycopg import Connection

from repayment_platform.fineract.client import today_in_india
from repayment_platform.fineract.contract import Loan, LoanLookup, LookupFailed
from repayment_platform.fineract.errors import (
    BEFORE_DISBURSEMENT,
    FUTURE_DATE,
    LOAN_STATE,
    LOAN_UNKNOWN,
)
from repayment_platform.posting.model import Payment
from repayment_platform.warehouse import audit


def _may_exist(_payment: Payment, _loan: Loan) -> bool:
    return True


def _takes_repayments(_payment: Payment, loan: Loan) -> bool:
    return loan.takes_repayments


def _was_disbursed(payment: Payment, loan: Loan) -> bool:
    return loan.disbursed_on is not None and loan.disbursed_on <= payment.date


def _has_come(payment: Payment, _loan: Loan) -> bool:
    return payment.date <= today_in_india()


SHOWN: Mapping[str, Callable[[Payment, Loan], bool]] = {
    LOAN_UNKNOWN: _may_exist,
    LOAN_STATE: _takes_repayments,
    BEFORE_DISBURSEMENT: _was_disbursed,
    FUTURE_DATE: _has_come,
}
"""By Fineract's code, what of a loan that is found says that it refuses no more. Of any other code
(the client is not active, a holiday, before the last transaction, …) a look-up shows nothing."""


def stands(payment: Payment, answer: LoanLookup) -> str | None:
    """Why a refused payment is not to be sent now; None where what refused it has changed.

    Its code must be one of `SHOWN`.
    """
    if isinstance(answer, LookupFailed):
        return f"refused before, and Fineract could not be asked about its loan: {answer.why}"
    if isinstance(answer, Loan) and SHOWN[payment.refusal or ""](payment, answer):
        return None
    return "refused before, and what refused it has not changed since"


_SEND_AGAIN = """
UPDATE "CORE"."CORE_OPEN_WORK"
SET state = 'waiting', reason = 'to be sent again: ' || %(why)s, updated_at = now()
WHERE source_key = %(key)s AND state = 'failed' RETURNING recon_source
"""


class NotRefused(Exception):
    """Fineract has not refused the payment, or the payment is none that a run would send now."""

    def __init__(self) -> None:
        super().__init__("it is none that Fineract refused, or is held, deferred or sent just now")


def send_again(
    connection: Connection[Any], keys: Sequence[str], who: str, why: str
) -> dict[str, str | NotRefused]:
    """Have the next run send refused payments without asking first, each with an audit row; what
    came of each."""
    came: dict[str, str | NotRefused] = {}
    for key in dict.fromkeys(keys):
        with connection.transaction():
            row = connection.execute(_SEND_AGAIN, {"key": key, "why": why}).fetchone()
            if row is None:
                came[key] = NotRefused()
                continue
            audit.record(connection, who, "payment.send_again", key, why=why)
            when = "by the next run" if row[0] is None else "once it is reconciled again"
            came[key] = f"to be sent again {when}"
    return came
