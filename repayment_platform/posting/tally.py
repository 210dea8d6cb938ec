"""Counting results into a run's summary.

What belongs here: which count a result raises. What does not: writing results.
"""

from repayment_platform.posting.model import Failure, Payment, State, Summary
from repayment_platform.posting.results import Result

_COUNTS = {
    State.SUCCESS: "posted",
    State.FAILED: "failed",
    State.HELD: "held",
    State.AWAITING_APPROVAL: "awaiting_approval",
    State.UNKNOWN: "unknown",
    State.WAITING: "retry_later",
}
_LISTED = (State.FAILED, State.HELD, State.AWAITING_APPROVAL)


def count(summary: Summary, payment: Payment, result: Result) -> None:
    """Count a written result for its lender; failures and holds are listed with their words.

    A payment in doubt or in passing trouble that a later result of the same run ends counts once,
    where it ended.
    """
    lender = summary.of(payment.lender)
    former = summary.not_ended.pop(payment.source_key, None)
    if former is not None:
        setattr(lender, former, getattr(lender, former) - 1)
    name = _COUNTS[result.state]
    setattr(lender, name, getattr(lender, name) + 1)
    if result.state is State.SUCCESS:
        lender.posted_rupees += payment.amount
        lender.settled += result.by == "lookup"
    elif result.state in (State.UNKNOWN, State.WAITING):
        summary.not_ended[payment.source_key] = name
    if result.state in _LISTED:
        summary.add_failure(Failure(payment, result.state, result.code or "", result.reason))
