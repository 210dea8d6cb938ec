"""Switches for the ways a Fineract goes wrong: seeded rules, drawn once per request.

What belongs here: the plan, its rules and their counts. What does not: what a fault does, which
happens where the real one would (`commands`, `api`).
"""

import random
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from repayment_platform.sandbox.replies import not_authorized

Kind = Literal[
    "latency",
    "reset_before_work",
    "reset_after_commit",
    "hang_before_work",
    "hang_after_commit",
    "server_error_after_commit",
    "crash",
    "stuck_key",
    "lock_conflict",
    "loan_locked",
    "job_running",
    "too_many_requests",
    "gateway",
    "unauthorized",
    "not_authorized",
    "mysql_duplicate",
    "maker_checker",
    "cached_error_empty",
    "replay",
    "operator_undo",
    "business_date_behind",
]
ALL_FUNCTIONS = "ALL_FUNCTIONS"
NEEDED = ("READ_LOAN", "REPAYMENT_LOAN", "ADJUST_LOAN")
RIGHTS = (*NEEDED, "READ_CONFIGURATION", "READ_PERMISSION", "READ_BUSINESS_DATE")
"""Of a user made as docs/fineract.md says."""
Operation = Literal["repayment", "adjustment", "lookup", "other"]


class Rule(BaseModel):
    """One switch. Without `rate`, `times` or a match it hits every repayment.

    Which requests: `on` an operation (or any), optionally only those of one `loan` or
    `external_id`; `skip` the first so many of them; then with probability `rate`, at most `times`.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    on: Operation | Literal["any"] = "repayment"
    loan: str | None = None
    external_id: str | None = None
    skip: int = Field(0, ge=0)
    rate: float = Field(1, ge=0, le=1)
    times: int | None = Field(None, ge=0)

    ms: float = Field(0, ge=0)
    """latency, and how long a hang or a stuck key keeps the client (0 hang: until it gives up)."""
    jitter_ms: float = Field(0, ge=0)
    """latency: up to so much more, evenly spread."""
    status: Literal[500, 502, 503, 504] = 502
    """gateway: what the page says."""
    applied: bool = False
    """gateway, stuck_key: whether the money is posted."""
    retry_after: int = 1
    """too_many_requests: seconds in Retry-After."""
    days: int = 1
    """business_date_behind: by how many days."""
    when: Literal["before_work", "after_commit"] = "after_commit"
    """crash: on which side of the commit of the money the process dies."""


class Plan(BaseModel):
    """All switches in force; posting another plan replaces it, a restart clears it."""

    model_config = ConfigDict(extra="forbid")

    seed: int = 0
    rules: list[Rule] = []
    retry_seconds: float = Field(1, ge=0)
    """First pause when a key is in work or a loan has changed; the second is twice as long, then
    425 or 409."""
    conflicts: bool = False
    """Commands of one loan that are under way at once conflict; they need a latency to meet."""
    rights: list[str] = list(RIGHTS)
    """What the user may do; `ALL_FUNCTIONS` passes checkers and locks too, as in Fineract."""
    password_expired: bool = False
    """Whether the user has to renew the password; what is asked is answered all the same."""
    version: str | None = None
    """What `/actuator/info` tells; usually nothing."""

    def may(self, right: str) -> bool:
        reads = {"ALL_FUNCTIONS_READ"} if right.startswith("READ_") else set()
        return not {ALL_FUNCTIONS, right, *reads}.isdisjoint(self.rights)

    def require(self, right: str) -> None:
        """Raise Fineract's refusal unless the user has this right."""
        if not self.may(right):
            raise not_authorized(right)

    def rules_of(self, kind: Kind) -> list[Rule]:
        return [rule for rule in self.rules if rule.kind == kind]


class Hits:
    """The rules that one request has drawn; a rule counts as hit when its fault happens."""

    def __init__(self, rules: list["_Switch"]) -> None:
        self._drawn = rules
        self.taken: list[Kind] = []

    def take(
        self, kind: Kind, *, applied: bool | None = None, when: str | None = None
    ) -> Rule | None:
        """The drawn rule of this kind, counted as hit; None when the request has none."""
        for switch in self._drawn:
            rule = switch.rule
            fits = applied in (None, rule.applied) and when in (None, rule.when)
            if rule.kind == kind and fits:
                self._drawn.remove(switch)
                switch.hits += 1
                self.taken.append(kind)
                return rule
        return None

    def latency(self, rng: random.Random) -> float:
        """Seconds to wait by all latency rules drawn."""
        seconds = 0.0
        while rule := self.take("latency"):
            seconds += (rule.ms + rng.uniform(0, rule.jitter_ms)) / 1000
        return seconds


class _Switch:
    """A rule with its own random numbers, so that adding a rule does not move the others."""

    def __init__(self, rule: Rule, seed: str) -> None:
        self.rule = rule
        self.rng = random.Random(seed)  # noqa: S311 -- to be repeatable is the point
        self.matched = self.drawn = self.hits = 0

    def draws(self, operation: Operation, loan: str | None, external_id: str | None) -> bool:
        rule = self.rule
        if rule.on not in (operation, "any"):
            return False
        if rule.loan not in (None, loan) or rule.external_id not in (None, external_id):
            return False
        self.matched += 1
        lucky = self.rng.random() < rule.rate
        if self.matched <= rule.skip or not lucky or self.drawn == rule.times:
            return False
        self.drawn += 1
        return True


class Faults:
    """The plan in force and what it has done so far."""

    def __init__(self, plan: Plan) -> None:
        self.install(plan)

    def install(self, plan: Plan) -> None:
        self.plan = plan
        self.rng = random.Random(plan.seed)  # noqa: S311
        self._switches = [
            _Switch(rule, f"{plan.seed}:{index}") for index, rule in enumerate(plan.rules)
        ]

    def draw(self, operation: Operation, loan: str | None, external_id: str | None) -> Hits:
        """The rules this request falls under, decided on arrival."""
        return Hits([s for s in self._switches if s.draws(operation, loan, external_id)])

    def report(self) -> dict[str, object]:
        """The plan with, for each rule, how many requests it matched and how many it hit."""
        rules = [
            rule.model_dump(exclude_defaults=True)
            | {"kind": rule.kind, "matched": switch.matched, "hits": switch.hits}
            for switch in self._switches
            for rule in [switch.rule]
        ]
        return self.plan.model_dump(exclude={"rules"}) | {"rules": rules}
