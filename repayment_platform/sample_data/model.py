"""What the generator talks about: a sum that falls due, what becomes of it, who takes it all in.

What belongs here: the vocabulary shared by the cases and those who write. What does not: inventing
values (`world`), formats (`layouts`, `razorpay`, `cashfree`), writing (`folder`, `outlet`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any, Protocol

from repayment_platform.sources.registry import LENDERS, PostingMode

IST = timedelta(hours=5, minutes=30)


class State(StrEnum):
    """What must have become of a payment after the first automated run over everything."""

    SUCCESS = "success"
    """In the ledger, once."""
    FAILED = "failed"
    """Refused by Fineract with the code that the truth names."""
    HELD = "held"
    """Equal to another payment and nothing tells the two apart: a person decides."""
    RECON = "recon"
    """A payment of a lender whose payments only an operator posts."""
    NO_LOAN = "no_loan"
    """The money came, but no report says for which loan."""
    NOT_A_PAYMENT = "not_a_payment"
    """Failed, bounced, rejected, still pending, taken back or a registration."""


class LoanStatus(IntEnum):
    """Fineract's ids of loan statuses."""

    SUBMITTED = 100
    ACTIVE = 300
    CLOSED = 600
    WRITTEN_OFF = 601
    OVERPAID = 700


LOAN_UNKNOWN = "error.msg.loan.external.id.invalid"
LOAN_REFUSES = "error.msg.loan.must.be.active.fully.paid.or.overpaid"


@dataclass(frozen=True, slots=True)
class Due:
    """A sum of one borrower's loan and when it was paid, or was to be.

    `amount` is in rupees, `at` is India's time of day without a zone, `period` counts the
    months that the data covers, oldest first.
    """

    lender: str
    loan: str
    amount: Decimal
    at: datetime
    period: int
    borrower: str
    umrn: str
    instalment: int

    @property
    def on(self) -> date:
        return self.at.date()

    @property
    def epoch(self) -> int:
        """Seconds since 1970 in UTC, as gateways count."""
        return int((self.at - IST).replace(tzinfo=UTC).timestamp())

    @property
    def paise(self) -> int:
        return int(self.amount * 100)

    @property
    def paid(self) -> State:
        """What becomes of it once it is paid and nothing is in the way."""
        automated = LENDERS[self.lender].posting is PostingMode.AUTOMATED
        return State.SUCCESS if automated else State.RECON


@dataclass(frozen=True, slots=True)
class Event:
    """A webhook delivery before it is signed."""

    table: str
    name: str
    body: str
    event_id: str
    headers: Mapping[str, str]
    """Headers beside signature, time and event id."""
    secret: int = 0
    """Which of the merchant's secrets signs it, 0 = the newest."""


class Sink(Protocol):
    """Takes in what the cases make up: a folder, or a stream of deliveries."""

    def payment(
        self,
        due: Due,
        state: State,
        code: str | None = None,
        *,
        dates: tuple[date, ...] = (),
        key_dates: tuple[date, ...] = (),
    ) -> None:
        """Note the truth about one payment (see `truth` for `dates` and `key_dates`)."""

    def row(self, form: str, period: int, fields: Mapping[str, Any]) -> None:
        """Add a row to the file of a form (`layouts.FORMS`) for a period."""

    def event(self, event: Event, copies: int = 1) -> None:
        """Add a webhook, delivered `copies` times."""
