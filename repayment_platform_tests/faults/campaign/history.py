"""What happened: all that the rules judge, gathered when a seed has been played.

What belongs here: plain data and looking things up in it. What does not: judging (`rules`),
gathering (`play`). Times are seconds since the epoch by the one clock of the machine, which the
database, the campaign and the sandbox share.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any

from repayment_platform_tests.faults.campaign.plan import Change, Plan, Put
from repayment_platform_tests.faults.campaign.trouble import RunOrder

ON_THE_WAY = 0.15
"""Seconds that a request may take to a busy sandbox."""


@dataclass(frozen=True)
class Deed:
    """Something that the campaign did; it took effect between `at` and `done`."""

    at: float
    done: float
    what: str
    change: Change | None = None
    run_id: str = ""


@dataclass(frozen=True)
class Write:
    """One version of a row, and the run that wrote it."""

    at: float
    writer: str
    table: str
    old: dict[str, Any] | None
    new: dict[str, Any] | None


@dataclass(frozen=True)
class Attempt:
    id: int
    key: str
    loan: str
    day: date
    amount: Decimal
    idempotency_key: str
    run_id: str
    """The run it belongs to now."""
    intended_at: float
    lender: str = ""
    payment_ref: str | None = None
    outcome: str | None = None
    settled_by: str | None = None
    settled_at: float | None = None
    error_code: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Request:
    """One line of the sandbox's wire log."""

    id: int
    operation: str
    loan: str
    external_id: str | None
    idempotency_key: str | None
    started: float
    ended: float | None
    """None: the sandbox died over it."""
    status: int | None
    """None: no reply left."""
    applied: bool = False
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class LedgerRow:
    external_id: str | None
    loan: str
    amount: Decimal
    day: date
    reversed: bool = False


@dataclass(frozen=True)
class OpenWork:
    """A payment on the engine's list, or its outcome in the operators' table."""

    key: str
    lender: str
    loan: str
    state: str
    reason: str
    is_recon: bool = False


@dataclass(frozen=True)
class Outcome:
    key: str
    loan: str
    day: date
    amount: Decimal
    status: str


@dataclass
class Outage:
    """The sandbox was away."""

    died: float
    back: float | None = None
    """None: not yet."""


@dataclass
class Run:
    """A posting run as the campaign saw it."""

    order: RunOrder
    started: float
    ended: float = 0.0
    code: int | None = None
    """None: it had to be killed, because it did not end."""
    output: str = ""
    lost_lock_at: float | None = None
    """When its hold on the database was broken, if it was."""
    was_frozen: bool = False
    was_asked_to_stop: bool = False
    left: tuple[str, ...] = ()
    """What it should have posted and did not, where it was alone with a Fineract that was away."""

    @property
    def run_id(self) -> str:
        return self.order.run_id


@dataclass
class History:
    plan: Plan
    settle_seconds: float
    begin_within_seconds: float
    deeds: list[Deed] = field(default_factory=list)
    runs: dict[str, Run] = field(default_factory=dict)
    writes: list[Write] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    ledger: list[LedgerRow] = field(default_factory=list)
    open_work: list[OpenWork] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    holds: set[str] = field(default_factory=set)
    """Payments with an open question."""
    exceptions: set[str] = field(default_factory=set)
    """Payments with an open exception."""
    proofs: list[str] = field(default_factory=list)
    """What the platform's own checks found wrong at the end."""
    outages: list[Outage] = field(default_factory=list)
    restless: tuple[str, ...] = ()
    """What had not come to rest when the last run ended."""
    seconds: float = 0.0

    @cached_property
    def by_idempotency_key(self) -> dict[str, Attempt]:
        return {attempt.idempotency_key: attempt for attempt in self.attempts}

    @cached_property
    def posts(self) -> list[Request]:
        """Repayments sent by runs, in order of arrival."""
        return [r for r in self.requests if r.operation == "repayment" and r.idempotency_key]

    @cached_property
    def post_of(self) -> dict[int, Request]:
        """By attempt id: the request that left for it, if one arrived."""
        found = {}
        for post in self.posts:
            attempt = self.by_idempotency_key.get(post.idempotency_key or "")
            if attempt:
                found.setdefault(attempt.id, post)
        return found

    @cached_property
    def intended_by(self) -> dict[int, str]:
        """By attempt id: the run that wrote the intent, whoever it belongs to now."""
        return {number: write.writer for number, write in self._intents.items()}

    @cached_property
    def stood_from(self) -> dict[int, float]:
        """By attempt id: when the intent had come past the unique indexes."""
        return {number: write.at for number, write in self._intents.items()}

    @cached_property
    def results(self) -> dict[int, list[Write]]:
        """By attempt id: the results written for it, an unknown one too."""
        found = defaultdict[int, list[Write]](list)
        for write in self._of_attempts:
            if write.old and write.new and write.old["run_id"] == write.new["run_id"]:
                found[write.new["id"]].append(write)
        return dict(found)

    @cached_property
    def look_ups_of(self) -> dict[str, list[Request]]:
        """By external id."""
        found = defaultdict[str, list[Request]](list)
        for request in self.requests:
            if request.operation == "lookup" and request.external_id:
                found[request.external_id].append(request)
        return dict(found)

    def is_late(self, post: Request) -> bool:
        """Sent, or sent to the end, by a process that was frozen on the way and thawed later."""
        attempt = self.by_idempotency_key.get(post.idempotency_key or "")
        if attempt is None:
            return False
        run = self.runs.get(self.intended_by.get(attempt.id, ""))
        latest = attempt.intended_at + self.begin_within_seconds + ON_THE_WAY
        settled_at = attempt.settled_at or float("inf")
        is_late = post.started > latest or (post.ended or 0) > settled_at
        return bool(run and run.was_frozen and is_late)

    def in_doubt_after(self, run: Run) -> list[Attempt]:
        """What the run intended and had written no result for when it ended."""
        return [
            attempt
            for attempt in self.attempts
            if self.intended_by.get(attempt.id) == run.run_id
            and not any(w.writer == run.run_id for w in self.results.get(attempt.id, ()))
        ]

    @cached_property
    def take_overs(self) -> list[Write]:
        return [
            w for w in self._of_attempts if w.old and w.new and w.old["run_id"] != w.new["run_id"]
        ]

    @cached_property
    def _intents(self) -> dict[int, Write]:
        return {w.new["id"]: w for w in self._of_attempts if w.old is None and w.new}

    @cached_property
    def _of_attempts(self) -> list[Write]:
        return [w for w in self.writes if w.table == "CORE_POSTING_ATTEMPT"]

    @cached_property
    def versions(self) -> dict[str, list[tuple[Deed, Put]]]:
        """By key: the facts that CORE held one after another."""
        found = defaultdict[str, list[tuple[Deed, Put]]](list)
        for deed in self.deeds:
            if isinstance(deed.change, Put):
                found[deed.change.key].append((deed, deed.change))
        return dict(found)

    def changes_of(self, kind: type) -> list[tuple[Deed, Any]]:
        return [(deed, deed.change) for deed in self.deeds if isinstance(deed.change, kind)]
