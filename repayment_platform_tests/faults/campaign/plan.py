"""The words of a plan: payments, what becomes of them, and the waves in which it happens.

What belongs here: plain data. What does not: drawing a plan from a seed (`draw`), the words of
trouble (`trouble`), doing any of it (`play`).
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from repayment_platform_tests.faults.campaign.trouble import Event, Rule, RunOrder

LENDERS = ("ARTHMATE", "DMI", "IKF", "SHIVALIK")
"""Those that are posted automatically."""
RECON_LENDER = "UGRO"
TAKES_REPAYMENTS = ("active", "closed", "overpaid", "late")
"""Kinds of loans; Fineract refuses repayments of all others."""
LIMIT = Decimal(5000)
"""Rupees; a larger payment is held where the plan sets a limit."""
RUN_LIMIT = 3
"""Payments of one lender that one run may post, where the plan sets that limit."""


@dataclass(frozen=True)
class Facts:
    """What CORE says of a payment."""

    lender: str
    loan: str
    day: date
    amount: Decimal
    payment_ref: str | None = None
    recon_source: str | None = None
    is_success: bool = True


@dataclass(frozen=True)
class Put:
    """CORE learns a payment or its new facts."""

    key: str
    facts: Facts


@dataclass(frozen=True)
class Hold:
    """A question about a payment is opened for an operator, or answered with a release."""

    key: str
    released: bool = False


@dataclass(frozen=True)
class Pause:
    lender: str
    paused: bool


@dataclass(frozen=True)
class MakeLoan:
    """Fineract learns a loan."""

    loan: str


@dataclass(frozen=True)
class LoseWorkList:
    """The list of open work, which is derived from CORE, is lost and fed anew."""


Change = Put | Hold | Pause | MakeLoan | LoseWorkList


@dataclass(frozen=True)
class Wave:
    """Changes, then runs amid faults and events; the next wave begins when the runs have ended."""

    changes: tuple[Change, ...]
    meanwhile: tuple[tuple[float, Change], ...]
    """Seconds from the start of the wave."""
    rules: tuple[Rule, ...]
    runs: tuple[RunOrder, ...]
    events: tuple[Event, ...]
    conflicts: bool = False
    """Fineract refuses commands of one loan that meet."""
    own_loans: str = ""
    """How the names of the loans begin whose payments its one run has to post, whatever Fineract
    is away for; empty: no such wave."""


@dataclass(frozen=True)
class Plan:
    seed: int
    loans: dict[str, str]
    """Each loan and its kind."""
    already_there: tuple[Put, ...] = ()
    """What Fineract holds from before, as after a restore of our database."""
    limited: str | None = None
    """The lender with a limit for one payment."""
    run_limited: str | None = None
    """The lender with a limit for one run."""
    still_paused: str | None = None
    """The lender that is paused to the end."""
    balanced: bool = False
    """Runs reach Fineract through a balancer."""
    waves: tuple[Wave, ...] = ()

    def is_bad(self, loan: str) -> bool:
        """Whether Fineract refuses repayments of this loan, whenever they come."""
        return self.loans.get(loan) not in TAKES_REPAYMENTS
