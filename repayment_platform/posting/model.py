"""The words of posting: states, what a run is asked to do, and what it reports.

What belongs here: plain data shared by the parts of the engine and by those who start it.
What does not: SQL, HTTP, decisions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum

from repayment_platform.posting.pace import Standing

FAILURES_SHOWN = 200
"""How many failures a summary lists; the rest stand in the database."""


class State(StrEnum):
    """The one published list of states a payment can be in."""

    WAITING = "waiting"
    DEFERRED = "deferred"
    """Not now, though nothing is wrong with it: paused, over a run's limit, before POST_FROM."""
    HELD = "held"
    """A person must decide."""
    SENDING = "sending"
    UNKNOWN = "unknown"
    """A request left and nobody knows what came of it; a look-up will tell."""
    AWAITING_APPROVAL = "awaiting_approval"
    """Fineract took it into its maker-checker queue."""
    SUCCESS = "success"
    FAILED = "failed"
    UNDONE = "undone"
    """Posted, and seen reversed in the ledger; held where it is still a repayment."""


@dataclass(frozen=True)
class Selection:
    """What a run may post.

    Without `recon_keys` it is an automated run: lenders of automated posting, rows without a
    `recon_source`. With them it posts exactly these keys, and only rows with a `recon_source`.
    """

    lenders: tuple[str, ...]
    limit: int | None = None
    """Most payments to pick up in this run."""
    recon_keys: tuple[str, ...] | None = None
    recon_request: int | None = None
    """The reconciliation request that this run has taken: only what was approved in it, with the
    facts it was approved for, and only while the request is this run's."""

    @property
    def is_recon(self) -> bool:
        return self.recon_keys is not None


@dataclass(frozen=True)
class Payment:
    """A payment that is due, with the facts it will be posted with (rupees, Kolkata date)."""

    source_key: str
    lender: str
    loan: str
    date: date
    amount: Decimal
    tries: int = 0
    """How often it was sent before without an end."""
    refusal: str | None = None
    """Fineract's code, where Fineract refused it and nobody has said since to send it again."""


@dataclass(frozen=True)
class Failure:
    """A payment that Fineract refused, or that a person must look at, with the words why."""

    payment: Payment
    state: State
    code: str
    text: str


@dataclass
class LenderCount:
    """What a run did for one lender; amounts in rupees."""

    picked_up: int = 0
    posted: int = 0
    posted_rupees: Decimal = Decimal(0)
    settled: int = 0
    """Of `posted`: requests of an earlier run that a look-up found in the ledger."""
    failed: int = 0
    held: int = 0
    deferred: int = 0
    unknown: int = 0
    retry_later: int = 0
    awaiting_approval: int = 0


@dataclass
class Summary:
    """What a run did."""

    run_id: str
    lenders: dict[str, LenderCount] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0
    not_ended: dict[str, str] = field(default_factory=dict)
    """Payments sent without an end so far, by key: the count each stands in."""
    pace: Standing | None = None
    """How many requests Fineract took at once; None when the run sent none."""
    stopped: str | None = None
    """Why the run ended before its queue was empty; None when it was not cut short."""
    was_told_to_stop: bool = False
    """A person or the system ended it, through no fault of Fineract."""
    has_answered: bool = False
    """Fineract answered the run at least once."""

    def of(self, lender: str) -> LenderCount:
        return self.lenders.setdefault(lender, LenderCount())

    def total(self, name: str) -> int:
        return sum(getattr(count, name) for count in self.lenders.values())

    @property
    def posted_rupees(self) -> Decimal:
        return sum((count.posted_rupees for count in self.lenders.values()), Decimal(0))

    def add_failure(self, failure: Failure) -> None:
        if len(self.failures) < FAILURES_SHOWN:
            self.failures.append(failure)


@dataclass(frozen=True)
class QueueLine:
    """How many payments of a lender are in a state, and for how many rupees."""

    lender: str
    path: str
    """`automated` or `recon`."""
    state: State
    reason: str
    payments: int
    rupees: Decimal
    due: bool
    """An automated run starting now would pick these up."""


class PostingStopped(Exception):
    """A run ended early: the fault is the system's, not the payments'; they stay open."""

    def __init__(self, summary: Summary) -> None:
        super().__init__(summary.stopped)
        self.summary = summary


def lenders_or_all(asked: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The lenders asked for in capitals, or all known; raises ValueError naming a stranger."""
    wanted = tuple(code.strip().upper() for code in asked)
    strangers = sorted(set(wanted) - set(known))
    if strangers:
        raise ValueError(
            f"not lenders of this path: {', '.join(strangers)}; known: {', '.join(known)}"
        )
    return wanted or tuple(known)
