"""A history as text: the plan, then everything that happened, in order.

What belongs here: words. What does not: judging.
"""

from collections.abc import Iterator
from typing import Any

from repayment_platform_tests.faults.campaign.history import History, Request, Write
from repayment_platform_tests.faults.campaign.plan import Plan

_TOLD = ("state", "outcome", "status", "run_id", "settled_by", "error_code", "error_text", "reason")


def timeline(history: History) -> str:
    """The whole story; times are seconds since the first deed of the campaign."""
    begin = min((deed.at for deed in history.deeds), default=0.0)
    entries = sorted(_entries(history), key=lambda entry: entry[0])
    lines = [f"{at - begin:9.3f}  {who:<12} {what}" for at, who, what in entries]
    return "\n".join([*_plan(history.plan), "", *lines])


def _plan(plan: Plan) -> Iterator[str]:
    yield f"seed {plan.seed}"
    yield "loans: " + ", ".join(f"{name} {kind}" for name, kind in plan.loans.items())
    yield f"limits: payment {plan.limited}, run {plan.run_limited}; paused: {plan.still_paused}"
    for put in plan.already_there:
        yield f"in Fineract before: {put}"
    for number, wave in enumerate(plan.waves, 1):
        yield f"wave {number}:"
        for part in (wave.rules, wave.runs, wave.events):
            yield from (f"    {entry}" for entry in part)


def _entries(history: History) -> Iterator[tuple[float, str, str]]:
    for deed in history.deeds:
        took = f" (took {deed.done - deed.at:.3f} s)" if deed.done - deed.at > 0.1 else ""
        yield deed.at, "campaign", deed.what + took
    for write in history.writes:
        yield write.at, write.writer, _of_write(write)
    for request in history.requests:
        yield request.started, "→ Fineract", _asked(request)
        if request.ended is not None:
            yield request.ended, "← Fineract", _answered(request)


def _of_write(write: Write) -> str:
    row = write.new or write.old or {}
    what = f"{write.table.removeprefix('CORE_')} {row['source_key'][:8]}"
    number = f" #{row['id']}" if "id" in row else ""
    if write.new is None:
        return f"{what}{number} removed"
    facts = f" {row['loan_external_id']} {row['payment_date']} {row['amount']}"
    told = {name: row.get(name) for name in _TOLD if _differs(write.old, row, name)}
    words = ", ".join(f"{name}: {value}" for name, value in told.items())
    return f"{what}{number}{'' if write.old else facts} {words}"


def _differs(old: dict[str, Any] | None, new: dict[str, Any], name: str) -> bool:
    return new.get(name) is not None if old is None else old.get(name) != new.get(name)


def _asked(request: Request) -> str:
    key = (request.external_id or "-")[:8]
    return f"{request.operation} {key} {request.loan} (request {request.id})"


def _answered(request: Request) -> str:
    key = (request.external_id or "-")[:8]
    status = request.status or "no reply"
    applied = ", POSTED" if request.applied else ""
    faults = f" {list(request.faults)}" if request.faults else ""
    return f"{request.operation} {key} {status}{applied}{faults} (request {request.id})"
