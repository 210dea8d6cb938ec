"""Drawing a plan from a seed.

What belongs here: the odds of payments and of what becomes of them. What does not: the odds of
trouble (`trouble`), the words (`plan`).
"""

import hashlib
import random
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from repayment_platform_tests.faults.campaign import trouble
from repayment_platform_tests.faults.campaign.plan import (
    LENDERS,
    RECON_LENDER,
    Change,
    Facts,
    Hold,
    LoseWorkList,
    MakeLoan,
    Pause,
    Plan,
    Put,
    Wave,
)

_KINDS = {
    "active": 70,
    "closed": 4,
    "overpaid": 4,
    "late": 5,
    "unknown": 5,
    "written_off": 5,
    "inactive": 3,
    "young": 4,
}
"""Kinds of loans and how often they come; a young one is disbursed after its payments."""
OWN = "LN-own-"
"""How the names of loans begin whose payments one run has to post through an outage."""
CHANGES_WITHIN = 1.2
"""Seconds of a wave in which facts change while runs are under way."""


@dataclass
class _Calendar:
    """When what changes."""

    rng: random.Random
    waves: int
    before: list[list[Change]] = field(init=False)
    during: list[list[tuple[float, Change]]] = field(init=False)

    def __post_init__(self) -> None:
        self.before = [[] for _ in range(self.waves)]
        self.during = [[] for _ in range(self.waves)]

    def some_time(self, change: Change, first: int = 0) -> int:
        """Let it happen in a wave from `first` on, before its runs or among them; which wave."""
        wave = self.rng.randint(first, self.waves - 1)
        if self.rng.random() < 0.5:
            self.before[wave].append(change)
        else:
            self.during[wave].append((self.rng.uniform(0, CHANGES_WITHIN), change))
        return wave

    def perhaps_later(self, change: Change, after: int) -> None:
        if after + 1 < self.waves and self.rng.random() < 0.5:
            self.some_time(change, after + 1)


def plan_of(seed: int, today: date | None = None) -> Plan:
    """The plan of a seed; `today` is the calendar date in Asia/Kolkata unless given."""
    rng = random.Random(f"plan {seed}")
    names = [f"LN-{n}" for n in range(1, rng.randint(6, 11))]
    kinds = rng.choices(list(_KINDS), list(_KINDS.values()), k=len(names))
    loans = dict(zip(names, kinds, strict=True))
    today = today or datetime.now(ZoneInfo("Asia/Kolkata")).date()
    payments = _payments(rng, loans, today)
    calendar = _Calendar(rng, rng.choice((2, 2, 3)))
    for key, facts in payments.items():
        _story(calendar, key, facts, names)
    still_paused = _controls(calendar, loans)
    lost = _lose_work_list(calendar, payments, names) if rng.random() < 0.6 else None
    recon = [key for key, facts in payments.items() if facts.recon_source]
    plan = Plan(
        seed=seed,
        loans=loans,
        already_there=_already_there(rng, payments, loans),
        limited=rng.choice(LENDERS) if rng.random() < 0.3 else None,
        run_limited=rng.choice(LENDERS) if rng.random() < 0.15 else None,
        still_paused=still_paused,
        waves=tuple(
            _wave(rng, number, changes, meanwhile, recon, lost)
            for number, (changes, meanwhile) in enumerate(
                zip(calendar.before, calendar.during, strict=True)
            )
        ),
    )
    return _with_outages(plan, today)


def _with_outages(plan: Plan, today: date) -> Plan:
    """Fineract, or the way to it, is away for a while in some waves; in half of the plans a wave
    more has one run through it, with nothing else in its way."""
    rng = random.Random(f"outages {plan.seed}")
    balanced = rng.random() < 0.4
    waves = [
        replace(
            wave,
            events=(*wave.events, *trouble.draw_outages(rng, balanced=balanced)),
            conflicts=rng.random() < 0.3,
        )
        for wave in plan.waves
    ]
    loans = {}
    if rng.random() < 0.5:
        loans = {f"{OWN}{n}": "active" for n in range(1, rng.randint(10, 25))}
        waves.append(_wave_through_an_outage(rng, len(waves), loans, today, balanced=balanced))
    return replace(plan, balanced=balanced, loans=plan.loans | loans, waves=tuple(waves))


def _wave_through_an_outage(
    rng: random.Random, number: int, loans: dict[str, str], today: date, *, balanced: bool
) -> Wave:
    payments = _payments(rng, loans, today)
    latency: trouble.Rule = {"kind": "latency", "ms": 40, "jitter_ms": 40}
    lost_answer: trouble.Rule = {"kind": "server_error_after_commit", "rate": 0.02}
    return Wave(
        changes=tuple(Put(key, facts) for key, facts in payments.items()),
        meanwhile=(),
        rules=(latency, lost_answer),
        runs=(trouble.draw_run_through_an_outage(rng, number),),
        events=trouble.draw_outages(rng, balanced=balanced, surely=True),
        conflicts=True,
        own_loans=OWN,
    )


def _payments(rng: random.Random, loans: dict[str, str], today: date) -> dict[str, Facts]:
    """By key: several of each loan, some that look the same, some for reconciliation."""
    payments: dict[str, Facts] = {}

    def add(facts: Facts) -> None:
        text = f"{facts.lender}{facts.loan}{facts.day}{facts.amount}"
        twins = sum(text == f"{f.lender}{f.loan}{f.day}{f.amount}" for f in payments.values())
        key = text + (f"#{twins}" if twins else "")
        payments[hashlib.md5(key.encode()).hexdigest()] = facts

    def new_ref() -> str:
        return f"test:pay_{rng.getrandbits(48):012x}"

    for loan in loans:
        lender = RECON_LENDER if rng.random() < 0.15 else rng.choice(LENDERS)
        for _ in range(rng.randint(1, 5)):
            is_recon = lender == RECON_LENDER or rng.random() < 0.12
            facts = Facts(
                lender=lender,
                loan=loan,
                day=today - timedelta(days=rng.choice((0, 0, 1, 2, 3, 5, 8))),
                # Neither by chance nor by a change is one 50 times what its loan pays.
                amount=Decimal(rng.randint(50_000, 900_000)) / 100,
                payment_ref=new_ref() if rng.random() < 0.6 else None,
                recon_source="RAZORPAY" if is_recon else None,
            )
            add(facts)
            if rng.random() < 0.1:
                add(replace(facts, payment_ref=new_ref()))
            if facts.payment_ref and rng.random() < 0.03:
                add(replace(facts, amount=facts.amount + 1))
    return payments


def _story(calendar: _Calendar, key: str, facts: Facts, loans: list[str]) -> None:
    """When a payment arrives, and what becomes of it."""
    rng = calendar.rng
    arrival = 0 if rng.random() < 0.7 else rng.randrange(calendar.waves)
    calendar.before[arrival].append(Put(key, facts))
    if rng.random() > 0.35:
        return
    match rng.choice(("amount", "date", "loan", "withdrawn", "withdrawn", "hold", "hold")):
        case "amount":
            calendar.some_time(Put(key, replace(facts, amount=facts.amount + 1)), arrival)
        case "date":
            calendar.some_time(Put(key, replace(facts, day=facts.day - timedelta(1))), arrival)
        case "loan":
            calendar.some_time(Put(key, replace(facts, loan=rng.choice(loans))), arrival)
        case "withdrawn":
            wave = calendar.some_time(Put(key, replace(facts, is_success=False)), arrival)
            calendar.perhaps_later(Put(key, facts), wave)
        case "hold":
            wave = calendar.some_time(Hold(key), arrival)
            calendar.perhaps_later(Hold(key, released=True), wave)


def _controls(calendar: _Calendar, loans: dict[str, str]) -> str | None:
    """Pauses, and loans that come late; returns the lender that stays paused."""
    rng = calendar.rng
    for loan, kind in loans.items():
        if kind == "late":
            calendar.some_time(MakeLoan(loan), 1)
    lender = rng.choice(LENDERS)
    if rng.random() > 0.3:
        return None
    wave = calendar.some_time(Pause(lender, paused=True))
    if wave + 1 == calendar.waves or rng.random() < 0.2:
        return lender
    calendar.some_time(Pause(lender, paused=False), wave + 1)
    return None


def _lose_work_list(
    calendar: _Calendar, payments: dict[str, Facts], loans: list[str]
) -> tuple[int, float] | None:
    """The list is fed anew, with new loans for many, above all for those without a reference: no
    intent stands in the way by its loan or reference.

    Between waves, beside what died before, or in the midst of one, beside what is in flight: then
    the wave and the seconds from its start are returned.
    """
    rng = calendar.rng
    wave = rng.randrange(1, calendar.waves)
    changes: list[Change] = [
        Put(key, replace(facts, loan=rng.choice(loans)))
        for key, facts in payments.items()
        if rng.random() < (0.5 if facts.payment_ref else 0.9)
    ]
    changes.append(LoseWorkList())
    if rng.random() < 0.3:
        calendar.before[wave] += changes
        return None
    at = rng.uniform(0.1, 0.4)
    calendar.during[wave] += [(at, change) for change in changes]
    return wave, at


def _already_there(
    rng: random.Random, payments: dict[str, Facts], loans: dict[str, str]
) -> tuple[Put, ...]:
    """Some with the facts of ours, some with another amount or on another loan."""
    there = []
    active = [loan for loan, kind in loans.items() if kind == "active"]
    for key, facts in payments.items():
        if facts.loan in active and rng.random() < 0.06:
            amount = replace(facts, amount=facts.amount + 1)
            loan = replace(facts, loan=rng.choice(active))
            there.append(Put(key, rng.choice((facts, facts, amount, loan))))
    return tuple(there)


def _wave(
    rng: random.Random,
    number: int,
    changes: list[Change],
    meanwhile: list[tuple[float, Change]],
    recon: list[str],
    lost: tuple[int, float] | None,
) -> Wave:
    runs = trouble.draw_runs(rng, number, recon)
    if lost and lost[0] == number:
        runs = trouble.around_a_loss(rng, runs, lost[1])
    return Wave(
        changes=tuple(changes),
        meanwhile=tuple(meanwhile),
        rules=trouble.draw_rules(rng),
        runs=runs,
        events=trouble.draw_events(rng, [run.run_id for run in runs]),
    )
