"""Payments: only what may be posted is intended, and each ends in one state with a reason."""

from collections.abc import Iterator

from repayment_platform.ledger.differences import REPORT_DAYS
from repayment_platform_tests.faults.campaign.history import Attempt, History
from repayment_platform_tests.faults.campaign.plan import LIMIT, Facts, Hold, MakeLoan, Pause

STALE = 0.2
"""Seconds between the look at a payment and its intent that a busy machine may take."""


def only_postable_payments_are_intended(history: History) -> Iterator[str]:
    for attempt in history.attempts:
        for why in _objections(history, attempt):
            yield f"intent {attempt.id} for {attempt.key} ({attempt.loan}): {why}"


def _objections(history: History, attempt: Attempt) -> Iterator[str]:
    run = history.runs[history.intended_by[attempt.id]]
    named = run.order.recon_keys
    known = list(_facts_then(history, attempt))
    if not any(_is_of(facts, attempt) for facts in known):
        yield f"its facts then were {known}"
    if not any((facts.recon_source is None) == (named is None) for facts in known):
        yield f"it is not of the path of {run.run_id}"
    if named is not None and attempt.key not in named:
        yield f"{run.run_id} was not asked to post it"
    if attempt.lender == history.plan.limited and attempt.amount > LIMIT:
        yield f"{attempt.amount} is over the limit"
    holds = [(deed, not hold.released) for deed, hold in history.changes_of(Hold)
             if hold.key == attempt.key]  # fmt: skip
    pauses = [(deed, pause.paused) for deed, pause in history.changes_of(Pause)
              if pause.lender == attempt.lender]  # fmt: skip
    for what, switches in (("held", holds), ("paused", pauses)):
        if _was_on(switches, attempt.intended_at):
            yield f"it was {what}"


def _facts_then(history: History, attempt: Attempt) -> Iterator[Facts]:
    """All that CORE may have said in the moments before the intent."""
    versions = history.versions.get(attempt.key, [])
    for number, (deed, put) in enumerate(versions):
        replaced = versions[number + 1][0].done if number + 1 < len(versions) else float("inf")
        if deed.at <= attempt.intended_at and replaced >= attempt.intended_at - STALE:
            yield put.facts


def _is_of(facts: Facts, attempt: Attempt) -> bool:
    return facts.is_success and (facts.loan, facts.amount, facts.day, facts.lender) == (
        attempt.loan,
        attempt.amount,
        attempt.day,
        attempt.lender,
    )


def _was_on(switches: list, moment: float) -> bool:
    """Whether the last switch before was 'on', for long enough, and none came since."""
    on = False
    for deed, turned_on in switches:
        if turned_on and deed.done <= moment - STALE:
            on = True
        elif not turned_on and deed.at <= moment:
            on = False
    return on


def only_rows_at_fault_fail(history: History) -> Iterator[str]:
    made = {change.loan: deed.done for deed, change in history.changes_of(MakeLoan)}
    for attempt in history.attempts:
        not_yet = attempt.intended_at < made.get(attempt.loan, 0)
        if attempt.outcome == "failed" and not history.plan.is_bad(attempt.loan) and not not_yet:
            yield f"{attempt.key} failed, and its loan takes repayments: {attempt.reason}"


def every_eligible_payment_is_in_one_state(history: History) -> Iterator[str]:
    posted = {outcome.key for outcome in history.outcomes if outcome.status == "success"}
    listed = {work.key for work in history.open_work}
    # A person in Fineract has the say; the payment stays open until it is known what became of it.
    in_approval = {work.key for work in history.open_work if work.state == "awaiting_approval"}
    for key, versions in history.versions.items():
        facts = versions[-1][1].facts
        if key in posted and key in listed:
            yield f"{key} is posted and still open"
        elif facts.is_success and key not in posted | listed:
            yield f"{key} is lost: neither posted nor open"
        elif not facts.is_success and key in listed - in_approval:
            yield f"{key} is no repayment any more and still open"


def what_rests_has_a_reason(history: History) -> Iterator[str]:
    """When it is quiet nothing waits, is being sent or unknown without a lawful reason."""
    for what in history.restless:
        yield f"it did not come to rest: {what}"
    # An intent keeps back its loan, its reference, and its payment, whose loan may have changed.
    open_intents = [attempt for attempt in history.attempts if attempt.settled_at is None]
    awaited = {name for attempt in open_intents for name in (attempt.loan, attempt.key)}
    awaited |= {attempt.payment_ref for attempt in open_intents if attempt.payment_ref}
    for attempt in history.attempts:
        if attempt.settled_at is None and attempt.error_code != "awaiting_approval":
            yield f"intent {attempt.id} for {attempt.key} is still open"
    for work in history.open_work:
        payment_ref = history.versions[work.key][-1][1].facts.payment_ref
        is_awaited = bool(awaited & {work.loan, work.key, payment_ref})
        lawful = {
            "held": work.key in history.holds,
            "deferred": work.lender == history.plan.still_paused,
            "failed": work.is_recon or history.plan.is_bad(work.loan) or is_awaited,
            "awaiting_approval": is_awaited,
            "waiting": work.is_recon or is_awaited,
        }
        if not lawful.get(work.state) or not work.reason:
            yield f"{work.key} ({work.loan}, {work.lender}) rests as {work.state}: {work.reason}"


def changes_after_posting_are_raised(history: History) -> Iterator[str]:
    for outcome in history.outcomes:
        facts = history.versions[outcome.key][-1][1].facts
        same = (facts.loan, facts.amount) == (outcome.loan, outcome.amount)
        same_day = abs(facts.day - outcome.day).days <= REPORT_DAYS
        changed = not (same and same_day and facts.is_success)
        if outcome.status == "success" and changed and outcome.key not in history.exceptions:
            yield f"{outcome.key} changed after it was posted, and nobody is told"
