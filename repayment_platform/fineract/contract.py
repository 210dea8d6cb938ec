"""What is asked of Fineract and what came of it, as values.

What belongs here: the request, the closed sets of outcomes, and the rules a request must meet
before it may leave. What does not: HTTP (`wire`), reading replies (`replies`), codes (`errors`).
Amounts are rupees; dates are calendar dates of the tenant (Asia/Kolkata).
"""

import datetime
from dataclasses import dataclass
from decimal import Decimal

MAX_EXTERNAL_ID = 100
"""Characters; the columns of Fineract's external ids."""
MAX_IDEMPOTENCY_KEY = 50
"""Characters; the column of Fineract's command table."""
AMOUNT_LIMIT = Decimal(10) ** 13
"""Rupees; Fineract keeps amounts as DECIMAL(19,6), which leaves 13 digits before the point."""
STATES_TAKING_REPAYMENTS = frozenset({300, 600, 700})
"""Active, closed with obligations met, overpaid."""


class InvalidRequestError(ValueError):
    """What was asked can not be put to Fineract safely; nothing has been sent."""


def check_external_id(name: str, value: str) -> None:
    """Refuse an id that Fineract would cut, drop or that would change the path of a URL.

    Slashes, spaces and letters of any script are fine: they are quoted.

    Raises:
        InvalidRequestError: empty, too long, outer spaces, unprintable, or a dot segment.
    """
    if not 0 < len(value) <= MAX_EXTERNAL_ID:
        raise InvalidRequestError(f"{name} must have 1 to {MAX_EXTERNAL_ID} characters")
    if value != value.strip() or not value.isprintable():
        raise InvalidRequestError(f"{name} must be printable, without spaces around it")
    if value in (".", ".."):
        raise InvalidRequestError(f"{name} must not be a dot segment")


def check_idempotency_key(key: str) -> None:
    """Raises `InvalidRequestError` unless the key is 1 to 50 visible ASCII characters."""
    if not 0 < len(key) <= MAX_IDEMPOTENCY_KEY:
        raise InvalidRequestError(
            f"idempotency key must have 1 to {MAX_IDEMPOTENCY_KEY} characters"
        )
    if not all("!" <= character <= "~" for character in key):
        raise InvalidRequestError("idempotency key must be visible ASCII")


@dataclass(frozen=True)
class Repayment:
    """One repayment to be posted on a loan.

    Fineract does not check the scale of an amount, it rounds: so the scale is checked here.

    Raises:
        InvalidRequestError: an id, the amount or its scale is not acceptable.
    """

    loan_external_id: str
    external_id: str
    transaction_date: datetime.date
    amount: Decimal

    def __post_init__(self) -> None:
        check_external_id("loan external id", self.loan_external_id)
        check_external_id("external id", self.external_id)
        if not isinstance(self.amount, Decimal) or not self.amount.is_finite():
            raise InvalidRequestError("amount must be a finite Decimal")
        if not 0 < self.amount < AMOUNT_LIMIT:
            raise InvalidRequestError(f"amount must be above 0 and below {AMOUNT_LIMIT:f} rupees")
        if self.amount != self.amount.quantize(Decimal("0.01")):
            raise InvalidRequestError("amount must have at most two decimals")


@dataclass(frozen=True)
class LedgerTransaction:
    """A transaction as Fineract's ledger holds it."""

    resource_id: int
    """Not stable: a backdated transaction can give later ones new ids. Match on `external_id`."""
    loan_external_id: str
    external_id: str | None
    amount: Decimal
    date: datetime.date
    reversed: bool
    """Undone by a person; it keeps its external id, which can not be used again."""
    is_repayment: bool
    submitted_on: datetime.date | None = None
    """When it was entered. One that a change of the loan replaced was entered again that day."""
    reversed_on: datetime.date | None = None


@dataclass(frozen=True)
class Loan:
    """A loan as Fineract knows it."""

    external_id: str
    status_id: int
    disbursed_on: datetime.date | None = None
    """None where it was not, or Fineract does not say."""

    @property
    def takes_repayments(self) -> bool:
        return self.status_id in STATES_TAKING_REPAYMENTS


# What came of posting a repayment ---------------------------------------------------------


@dataclass(frozen=True)
class Posted:
    """In the ledger, by this very request."""

    resource_id: int


@dataclass(frozen=True)
class AwaitingApproval:
    """Fineract's maker-checker took the request; a person there has to approve it. Not posted."""

    command_id: int | None


@dataclass(frozen=True)
class Refused:
    """Not posted, through the fault of this payment: code and text are Fineract's own."""

    code: str
    text: str
    http_status: int


@dataclass(frozen=True)
class Transient:
    """Not posted, for a reason of this loan or moment that passes. Nobody's fault."""

    code: str
    text: str
    retry_after_seconds: float | None = None
    """As the server asked; None where it did not say."""


@dataclass(frozen=True)
class Unreached:
    """Not posted: Fineract was not reached, or takes nothing from anybody at the moment. That
    passes by itself."""

    code: str
    text: str


@dataclass(frozen=True)
class SystemFault:
    """Not posted, and no other payment would be either until somebody puts it right."""

    code: str
    text: str
    is_elsewhere: bool = False
    """Something else answers at Fineract's address: a page that is not there, a redirect."""


@dataclass(frozen=True)
class Unknown:
    """May have been posted. Only a look-up by external id can tell."""

    why: str
    already_there: bool = False
    """Fineract says it has this external id: a look-up need not wait."""
    server_trouble: bool = False
    """No answer of Fineract's own: the server or the way to it seems unwell."""
    refused: Refused | None = None
    """Fineract says it refuses the payment, for a reason that is not documented. With a look-up
    that finds nothing, that is a refusal; alone it proves nothing."""


Reply = Posted | AwaitingApproval | Refused | Transient | Unreached | SystemFault | Unknown


# What came of asking ----------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """Fineract has a transaction of that external id; whether it is ours is for the caller."""

    transaction: LedgerTransaction


@dataclass(frozen=True)
class Absent:
    """Fineract had no transaction of that external id when it was asked.

    It may still come, if a request that carried it is still on its way.
    """


@dataclass(frozen=True)
class Elsewhere:
    """The external id is in use on another loan."""

    code: str
    text: str


@dataclass(frozen=True)
class UnknownLoan:
    """Fineract has no loan of that external id."""

    text: str


@dataclass(frozen=True)
class LookupFailed:
    """Nothing was learned."""

    why: str
    system_fault: bool = False
    """No look-up would work until somebody puts it right."""
    server_trouble: bool = False
    """As in `Unknown`."""
    is_elsewhere: bool = False
    """As in `SystemFault`."""


Lookup = Found | Absent | Elsewhere | UnknownLoan | LookupFailed
LoanLookup = Loan | UnknownLoan | LookupFailed
Listing = tuple[LedgerTransaction, ...] | UnknownLoan | LookupFailed
