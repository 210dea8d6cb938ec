"""What goes wrong, and how often.

What belongs here: the words of trouble and its odds: faults of the sandbox, runs that are killed,
stopped, frozen or overlap, databases and sandboxes that restart. What does not: doing it (`play`).
"""

import random
from dataclasses import dataclass, replace
from typing import Any, Literal

Rule = dict[str, Any]
"""A switch of the sandbox, as its side door takes it."""

SCALE = 1 / 40
"""A second of a real installation in seconds of the campaign."""
PATIENCE_SECONDS = 600 * SCALE
"""How long a run waits for a Fineract that is away."""

POINTS = (
    "before claim",
    "after claim",
    "before send",
    "in flight",
    "after reply",
    "before record",
    "after record",
)
"""Where a worker's process can be made to end or to freeze, by itself and exactly there."""


@dataclass(frozen=True)
class Doom:
    """The process is killed (or frozen) when it reaches a point for the n-th time."""

    point: str
    nth: int
    freeze: bool = False
    keeps_lock: bool = False
    """The frozen process counts as alive until the wave is over: nobody takes over its intents."""


@dataclass(frozen=True)
class RunOrder:
    """A posting run, started so many seconds after its wave began."""

    run_id: str
    start: float
    workers: int
    recon_keys: tuple[str, ...] | None = None
    limit: int | None = None
    doom: Doom | None = None
    patience: float = PATIENCE_SECONDS


EventKind = Literal[
    "kill -9 of a run",
    "SIGTERM to a run",
    "freeze of a run",
    "thaw of all runs",
    "lost lock of a run",
    "terminated backend",
    "PostgreSQL restart, immediate",
    "PostgreSQL restart, fast",
    "kill -9 of the sandbox",
    "Fineract dies for a while",
    "a third of the ways is lost",
    "the ways are found again",
    "connections are cut now and then",
]


@dataclass(frozen=True)
class Event:
    """What the campaign does to processes, so many seconds after the wave began."""

    at: float
    kind: EventKind
    run_id: str = ""
    seconds: float = 0.0
    """How long Fineract is away."""


_ODDS: dict[EventKind, float] = {
    "kill -9 of a run": 0.25,
    "SIGTERM to a run": 0.12,
    "freeze of a run": 0.1,
    "thaw of all runs": 0.4,
    "lost lock of a run": 0.1,
    "terminated backend": 0.12,
    "PostgreSQL restart, immediate": 0.08,
    "PostgreSQL restart, fast": 0.08,
    "kill -9 of the sandbox": 0.1,
}


def draw_events(rng: random.Random, run_ids: list[str]) -> tuple[Event, ...]:
    """Each kind with its odds, at a time when the wave's runs are likely to be busy."""
    return tuple(
        Event(rng.uniform(0.05, 1.3), kind, rng.choice(run_ids))
        for kind, odds in _ODDS.items()
        if rng.random() < odds
    )


def draw_runs(rng: random.Random, wave: int, recon: list[str]) -> tuple[RunOrder, ...]:
    """One to three overlapping runs; some are reconciliations of payments they name."""
    return tuple(
        RunOrder(
            run_id=f"run-{wave + 1}{'abc'[n]}",
            start=rng.choice((0.0, rng.uniform(0, 0.4))),
            workers=rng.randint(2, 6),
            recon_keys=_some(rng, recon) if recon and rng.random() < 0.3 else None,
            limit=rng.randint(1, 8) if rng.random() < 0.08 else None,
            doom=_draw_doom(rng),
        )
        for n in range(rng.choice((1, 2, 2, 3)))
    )


def around_a_loss(
    rng: random.Random, runs: tuple[RunOrder, ...], lost_at: float
) -> tuple[RunOrder, ...]:
    """The list of open work is lost at that time: a run has requests out and is frozen over them,
    another comes and reads the new list. It is frozen when all its workers may have one out; where
    it counts as alive, nothing but its intents tells the other what is under way."""
    point, nth = rng.choice((("after claim", 2), ("before send", 5), ("in flight", 5)))
    frozen = replace(
        runs[0],
        start=0.0,
        workers=6,
        recon_keys=None,
        limit=None,
        doom=Doom(point, nth, freeze=True, keeps_lock=rng.random() < 0.7),
    )
    reader = RunOrder(f"{frozen.run_id}-reader", lost_at + 0.3, workers=6)
    return frozen, *runs[1:], reader


def draw_outages(rng: random.Random, *, balanced: bool, surely: bool = False) -> tuple[Event, ...]:
    """Fineract is away for 2 to 90 s of real time; behind a balancer also a third of its servers,
    or connections are cut."""
    events = []
    if surely or rng.random() < 0.3:
        away = rng.uniform(2, 90) * SCALE
        events.append(Event(rng.uniform(0.05, 0.8), "Fineract dies for a while", seconds=away))
    if balanced and rng.random() < 0.6:
        lost = rng.uniform(0, 0.8)
        found = lost + rng.uniform(5, 60) * SCALE
        events.append(Event(lost, "a third of the ways is lost"))
        events.append(Event(found, "the ways are found again"))
    if balanced and rng.random() < 0.6:
        events.append(Event(rng.uniform(0, 0.5), "connections are cut now and then"))
    return tuple(events)


def draw_run_through_an_outage(rng: random.Random, wave: int) -> RunOrder:
    """One run alone; of some the patience is shorter than most outages are."""
    patience = 1.0 if rng.random() < 0.2 else PATIENCE_SECONDS
    return RunOrder(f"run-{wave + 1}-through", 0.0, rng.randint(2, 6), patience=patience)


def _some(rng: random.Random, keys: list[str]) -> tuple[str, ...]:
    return tuple(rng.sample(keys, rng.randint(1, len(keys))))


def _draw_doom(rng: random.Random) -> Doom | None:
    if rng.random() > 0.4:
        return None
    return Doom(rng.choice(POINTS), rng.choice((1, 1, 2, 3, 5, 8)), freeze=rng.random() < 0.4)


def draw_rules(rng: random.Random) -> tuple[Rule, ...]:
    """A few faults at once, over an honest latency that lets runs overlap."""
    latency: Rule = {"kind": "latency", "ms": rng.choice((5, 15, 40)), "jitter_ms": 20}
    return (latency, *(_draw_fault(rng) for _ in range(rng.choice((0, 1, 2, 3, 4)))))


def _draw_fault(rng: random.Random) -> Rule:
    """Hangs and spikes straddle the client's time-out and stay well below the settle time."""
    some = rng.choice((0.05, 0.15, 0.4))
    applied = rng.random() < 0.5
    hang = rng.choice((0, 100, 400))
    on = rng.choice(("repayment", "any", "lookup"))
    faults: tuple[Rule, ...] = (
        {"kind": "latency", "rate": some, "ms": 50, "jitter_ms": 400, "on": on},
        {"kind": "reset_before_work", "rate": some, "on": on},
        {"kind": "reset_after_commit", "rate": some},
        {"kind": "hang_before_work", "rate": some, "ms": hang, "on": on},
        {"kind": "hang_after_commit", "rate": some, "ms": hang},
        {"kind": "server_error_after_commit", "rate": some},
        {"kind": "crash", "rate": 0.1, "times": 1, "when": "before_work"},
        {"kind": "crash", "rate": 0.1, "times": 1, "when": "after_commit"},
        {"kind": "stuck_key", "rate": some, "ms": hang, "applied": applied},
        {"kind": "lock_conflict", "rate": some / 2},
        {"kind": "loan_locked", "rate": some / 2},
        {"kind": "job_running", "rate": 0.1, "times": 1},
        {"kind": "too_many_requests", "rate": some / 2, "retry_after": rng.choice((0, 1))},
        {
            "kind": "gateway",
            "rate": some,
            "status": rng.choice((500, 502, 503, 504)),
            "applied": applied,
            "on": "repayment" if applied else on,
        },
        {"kind": "unauthorized", "rate": 0.4, "times": 1, "on": on},
        {"kind": "not_authorized", "rate": 0.1, "times": 1},
        {"kind": "mysql_duplicate", "rate": 1},
        {"kind": "maker_checker", "rate": 0.1, "times": 1},
        {"kind": "cached_error_empty", "rate": 1},
        {"kind": "replay", "rate": some},
        {"kind": "operator_undo", "rate": 0.1},
        {"kind": "business_date_behind", "rate": some},
    )
    return rng.choice(faults)
