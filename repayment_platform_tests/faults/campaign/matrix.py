"""What trouble there was and what became of the payments it hit.

What belongs here: counting, and the table. What does not: judging (`rules`).
"""

from collections import Counter
from collections.abc import Iterator

from repayment_platform_tests.faults.campaign.history import Attempt, History, Request

Tally = Counter[tuple[str, str]]
"""How often (a trouble, what became of a payment that it hit)."""

HITS = "hits"
OUTCOMES = (
    HITS,
    "posted",
    "found by look-up",
    "absent, sent again",
    "refused for now",
    "failed",
    "held",
    "awaiting approval",
    "asked again",
    "nothing in doubt",
)
"""Columns: hits counts the trouble, the others the payments that it hit."""


def tally_of(history: History) -> Tally:
    """What came of each trouble of one seed."""
    tally: Tally = Counter()
    for trouble, outcomes in (*_of_requests(history), *_of_runs(history), *_of_sandbox(history)):
        tally[trouble, HITS] += 1
        tally.update((trouble, outcome) for outcome in outcomes)
    return tally


def _of_requests(history: History) -> Iterator[tuple[str, list[str]]]:
    """The sandbox's faults, each hit counted once."""
    for request in history.requests:
        for fault in request.faults:
            yield f"{_name(fault, request)}", [_outcome_of_request(history, request)]
        if history.is_late(request):
            yield "request of a frozen run, late", [_outcome_of_request(history, request)]


def _of_runs(history: History) -> Iterator[tuple[str, list[str]]]:
    """What ended, froze or disturbed a run, with the payments that it left in doubt."""
    for run in history.runs.values():
        doom = run.order.doom
        in_doubt = [_outcome(a) for a in history.in_doubt_after(run)] or ["nothing in doubt"]
        if doom and (run.code == -9 or (doom.freeze and run.was_frozen)):
            yield f"{'frozen' if doom.freeze else 'kill -9'} {doom.point}", in_doubt
        for deed in history.deeds:
            mine = deed.run_id in ("", run.run_id) and run.started <= deed.at <= run.ended
            if mine and deed.what in _EVENTS:
                yield deed.what, in_doubt
        others = [o for o in history.runs.values() if o.started < run.started < o.ended]
        if others:
            yield "overlapping runs", in_doubt


def _of_sandbox(history: History) -> Iterator[tuple[str, list[str]]]:
    for request in history.requests:
        if request.ended is None:
            yield "request that the sandbox died over", [_outcome_of_request(history, request)]


_EVENTS = (
    "kill -9 of a run",
    "SIGTERM to a run",
    "freeze of a run",
    "lost lock of a run",
    "terminated backend",
    "PostgreSQL restart, immediate",
    "PostgreSQL restart, fast",
    "kill -9 of the sandbox",
    "Fineract dies for a while",
    "a third of the ways is lost",
    "connections are cut now and then",
)


def _name(fault: str, request: Request) -> str:
    return fault if request.operation == "repayment" else f"{fault}, on a look-up"


def _outcome_of_request(history: History, request: Request) -> str:
    if request.operation != "repayment":
        return "asked again"
    attempt = history.by_idempotency_key.get(request.idempotency_key or "")
    return _outcome(attempt) if attempt else "failed"


def _outcome(attempt: Attempt) -> str:
    return {
        ("success", "reply"): "posted",
        ("success", "lookup"): "found by look-up",
        ("not_applied", "lookup"): "absent, sent again",
        ("not_applied", "reply"): "refused for now",
        ("failed", "reply"): "failed",
        ("held", "lookup"): "held",
    }.get((attempt.outcome or "", attempt.settled_by or ""), "awaiting approval")


def rows_of(tally: Tally) -> list[tuple[str, ...]]:
    """A row for each trouble; nothing where nothing was counted."""
    return [
        (trouble, *(str(tally[trouble, outcome] or "") for outcome in OUTCOMES))
        for trouble in sorted({trouble for trouble, _ in tally})
    ]


def as_markdown(tally: Tally, head: str) -> str:
    rows = [("trouble", *OUTCOMES), ("---", *["--:"] * len(OUTCOMES)), *rows_of(tally)]
    return head + "\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)
