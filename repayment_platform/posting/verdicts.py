"""What a reply or a look-up means for a payment.

What belongs here: the mapping from what Fineract said to the result that is written, and to what
the run does next; pure. What does not: sending, writing.
"""

import random
from dataclasses import dataclass
from enum import Enum, auto

from repayment_platform.exceptions.kinds import UNDONE
from repayment_platform.fineract import contract as fineract
from repayment_platform.ledger import instead
from repayment_platform.posting.claims import Attempt
from repayment_platform.posting.model import Payment, State
from repayment_platform.posting.results import Result, Settled

LONGEST_BACK_OFF_SECONDS = 300.0


class Then(Enum):
    """What a worker does after a payment."""

    NEXT = auto()
    """Go on with the loan's next payment."""
    AGAIN = auto()
    """Trouble that passes: try the same payment again shortly."""
    WHEN_ANSWERED = auto()
    """It was not sent: try again as soon as Fineract answers."""
    LEAVE_LOAN = auto()
    """Nothing more may be sent for this loan now."""
    STOP = auto()
    """The fault is the system's: end the run."""


@dataclass(frozen=True)
class Verdict:
    result: Result
    then: Then


def of_reply(attempt: Attempt, reply: fineract.Reply) -> Verdict:
    """What the answer to a POST means; anything that may have been applied stays unknown."""
    match reply:
        case fineract.Posted(resource_id=resource_id):
            result = Result(
                attempt.id,
                Settled.SUCCESS,
                State.SUCCESS,
                "posted",
                http_status=200,
                resource_id=resource_id,
            )
            return Verdict(result, Then.NEXT)
        case fineract.Refused():
            return _refused(attempt, reply, by="reply")
        case fineract.Transient(code=code, text=text, retry_after_seconds=asked):
            result = Result(
                attempt.id,
                Settled.NOT_APPLIED,
                State.WAITING,
                text,
                code=code,
                back_off_seconds=back_off(attempt.payment.tries, asked),
            )
            return Verdict(result, Then.AGAIN)
        case fineract.Unreached(code=code, text=text):
            result = Result(attempt.id, Settled.NOT_APPLIED, State.WAITING, text, code=code)
            return Verdict(result, Then.WHEN_ANSWERED)
        case fineract.SystemFault(code=code, text=text):
            result = Result(attempt.id, Settled.NOT_APPLIED, State.WAITING, text, code=code)
            return Verdict(result, Then.STOP)
        case fineract.AwaitingApproval():
            text = (
                "Fineract put the repayment into its maker-checker queue; "
                "switch maker-checker off for REPAYMENT_LOAN"
            )
            result = Result(
                attempt.id,
                None,
                State.AWAITING_APPROVAL,
                text,
                http_status=200,
                code=State.AWAITING_APPROVAL,
            )
            return Verdict(result, Then.STOP)
        case fineract.Unknown(refused=fineract.Refused(code=code, text=text, http_status=status)):
            result = Result(attempt.id, None, State.UNKNOWN, text, http_status=status, code=code)
            return Verdict(result, Then.LEAVE_LOAN)
        case fineract.Unknown(why=why):
            result = Result(attempt.id, None, State.UNKNOWN, why)
            return Verdict(result, Then.LEAVE_LOAN)


def of_lookup(
    attempt: Attempt,
    state: State,
    answer: fineract.Lookup,
    *,
    due: bool,
    refused: fineract.Refused | None = None,
    undone: str | None = None,
) -> Verdict:
    """What asking for the transaction by its external id means for a doubtful attempt.

    Args:
        state: the payment's state so far: unknown, or awaiting approval.
        due: the question was asked after the settle time; only then is absence proof.
        refused: how Fineract seemed to refuse it; that it did, absence proves too.
        undone: what became of one that was reversed there, in words.
    """
    match answer:
        case fineract.Found(transaction=transaction):
            return _of_found(attempt, transaction, undone)
        case fineract.Elsewhere(text=text):
            return _held(attempt, "ledger_differs", f"Fineract has it on another loan: {text}")
        case fineract.Absent() | fineract.UnknownLoan():
            if due and refused:
                return _refused(attempt, refused, by="lookup")
            return _of_absence(attempt, state, isinstance(answer, fineract.UnknownLoan), due)
        case fineract.LookupFailed(why=why, system_fault=system_fault):
            then = Then.STOP if system_fault else Then.LEAVE_LOAN
            return Verdict(_still_open(attempt, state, f"look-up failed: {why}"), then)


def _refused(attempt: Attempt, refused: fineract.Refused, by: str) -> Verdict:
    result = Result(
        attempt.id,
        Settled.FAILED,
        State.FAILED,
        refused.text,
        by=by,
        http_status=refused.http_status,
        code=refused.code,
    )
    return Verdict(result, Then.NEXT)


def _of_absence(attempt: Attempt, state: State, no_loan: bool, due: bool) -> Verdict:
    """Absence proves something only after the settle time, and nothing where a person in Fineract
    has yet to approve. A loan that Fineract does not have holds no repayment either; sending again
    then ends in its refusal, and could not post twice even if the loan had only been renamed."""
    where = "Fineract has no such loan" if no_loan else "not in the ledger"
    if due and state is not State.AWAITING_APPROVAL:
        result = Result(
            attempt.id,
            Settled.NOT_APPLIED,
            State.WAITING,
            f"{where}; to be sent again",
            by="lookup",
            http_status=404,
        )
        return Verdict(result, Then.NEXT)
    why = f"{where} yet; too early to be sure"
    if state is State.AWAITING_APPROVAL:
        why = "awaiting approval in Fineract"
    return Verdict(_still_open(attempt, state, why), Then.LEAVE_LOAN)


def _still_open(attempt: Attempt, state: State, why: str) -> Result:
    """Unknown as before, or awaiting approval; the attempt bears the mark of the latter."""
    code = state if state is State.AWAITING_APPROVAL else None
    return Result(attempt.id, None, state, why, code=code)


def not_sendable(attempt: Attempt, error: fineract.InvalidRequestError) -> Verdict:
    """The payment cannot be put to Fineract as it is: the row's own fault."""
    result = Result(attempt.id, Settled.FAILED, State.FAILED, str(error), code="not_sendable")
    return Verdict(result, Then.NEXT)


def never_sent(attempt: Attempt) -> Verdict:
    """The worker was held up for so long after its intent that sending would no longer be safe."""
    result = Result(
        attempt.id, Settled.NOT_APPLIED, State.WAITING, "not sent: the worker was held up"
    )
    return Verdict(result, Then.AGAIN)


def back_off(tries: int, asked_seconds: float | None) -> float:
    """Seconds to leave a payment alone: what Fineract asked for, else doubling with jitter."""
    if asked_seconds is not None:
        return min(asked_seconds, LONGEST_BACK_OFF_SECONDS)
    return min(2.0 ** min(tries, 9), LONGEST_BACK_OFF_SECONDS) * random.uniform(0.5, 1.0)  # noqa: S311


def _of_found(attempt: Attempt, found: fineract.LedgerTransaction, undone: str | None) -> Verdict:
    payment = attempt.payment
    if found.reversed:
        return _held(attempt, UNDONE, undone or instead.UNDONE, found.resource_id)
    differences = differing(found, payment)
    if differences:
        return _held(attempt, "ledger_differs", "Fineract has it, but " + "; ".join(differences))
    result = Result(
        attempt.id,
        Settled.SUCCESS,
        State.SUCCESS,
        "found in the ledger",
        by="lookup",
        http_status=200,
        resource_id=found.resource_id,
    )
    return Verdict(result, Then.NEXT)


def differing(found: fineract.LedgerTransaction, payment: Payment) -> list[str]:
    """In what a transaction is not the payment, in words."""
    return [
        f"{name} is {theirs} there and {ours} here"
        for name, theirs, ours in (
            ("loan", found.loan_external_id, payment.loan),
            ("amount", found.amount, payment.amount),
            ("date", found.date, payment.date),
        )
        if theirs != ours
    ]


def _held(attempt: Attempt, kind: str, why: str, resource_id: int | None = None) -> Verdict:
    """A person is asked; the kind of the question is the attempt's code."""
    result = Result(
        attempt.id, Settled.HELD, State.HELD, why, by="lookup", code=kind, resource_id=resource_id
    )
    return Verdict(result, Then.NEXT)
