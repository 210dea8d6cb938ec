"""What went over the wire: one request at a time, none again without proof, in date order."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise

from repayment_platform_tests.faults.campaign.history import (
    ON_THE_WAY,
    Attempt,
    History,
    Request,
)
from repayment_platform_tests.faults.campaign.plan import Hold, LoseWorkList, Pause, Put

CLOCK = 0.02
"""Seconds by which two readings of the machine's clock may seem out of order."""
_REFUSALS = {400, 401, 403, 404, 409, 429, 503}


def an_intent_stands_before_its_request(history: History) -> Iterator[str]:
    for post in history.posts:
        attempt = history.by_idempotency_key.get(post.idempotency_key or "")
        if attempt is None:
            yield f"request {post.id} for {post.external_id} bears the key of no intent"
        elif (post.external_id, post.loan) != (attempt.key, attempt.loan):
            yield f"request {post.id} is for {post.external_id}, its intent for {attempt.key}"
        elif post.started < attempt.intended_at - CLOCK:
            yield f"request {post.id} for {attempt.key} left before its intent was committed"


def an_intent_is_sent_once(history: History) -> Iterator[str]:
    for key, times in Counter(post.idempotency_key for post in history.posts).items():
        if times > 1:
            yield f"{times} requests bear the idempotency key {key}"


def one_request_in_flight(history: History) -> Iterator[str]:
    """Of one loan and of one payment, by what the sandbox saw."""
    posts = [post for post in history.posts if not history.is_late(post)]
    for name in ("loan", "external_id"):
        busy: dict[str, Request] = {}
        for post in posts:
            what = getattr(post, name)
            former = busy.get(what)
            if former and post.started < (former.ended or former.started):
                yield f"requests {former.id} and {post.id} for {what} were in work together"
            busy[what] = post


def one_intent_open(history: History) -> Iterator[str]:
    """Of one loan and of one payment, by our own record.

    An intent that had to wait for the end of another at an index bears the time before its wait.
    """
    for name in ("loan", "key"):
        for what, attempts in _grouped(history.attempts, name).items():
            for former, later in pairwise(attempts):
                stood_from = history.stood_from.get(later.id, later.intended_at)
                if former.settled_at is None or former.settled_at > stood_from:
                    yield f"intents {former.id} and {later.id} for {what} were open together"


def nothing_is_sent_again_without_proof(history: History) -> Iterator[str]:
    """What is settled as not posted is so by a refusal, or by a look-up after the settle time."""
    for attempt in history.attempts:
        if attempt.outcome not in ("not_applied", "failed"):
            continue
        post = history.post_of.get(attempt.id)
        if post and history.is_late(post):
            post = None
        if post and post.applied:
            yield f"intent {attempt.id} for {attempt.key} is {attempt.outcome}, but it was posted"
        elif attempt.settled_by == "reply":
            if post and not _is_refusal(post):
                yield f"intent {attempt.id} for {attempt.key} was given up on {post.status}"
        elif not _absent_after_settle_time(history, attempt, post):
            yield f"intent {attempt.id} for {attempt.key} was given up without a settled look-up"


def _is_refusal(post: Request) -> bool:
    return post.status in _REFUSALS and "gateway" not in post.faults


def _absent_after_settle_time(history: History, attempt: Attempt, post: Request | None) -> bool:
    sent = post.started if post else attempt.intended_at
    due = sent + history.settle_seconds - ON_THE_WAY
    return any(
        look_up.status == 404 and due <= look_up.started <= (attempt.settled_at or 0) + CLOCK
        for look_up in history.look_ups_of.get(attempt.key, ())
    )


def a_look_up_stands_behind_what_it_settled(history: History) -> Iterator[str]:
    for attempt in history.attempts:
        if attempt.settled_by == "lookup" and attempt.outcome in ("success", "held"):
            begin, end = attempt.intended_at - CLOCK, (attempt.settled_at or 0) + CLOCK
            seen = history.look_ups_of.get(attempt.key, ())
            if not any(begin <= look_up.started <= end for look_up in seen):
                yield f"intent {attempt.id} for {attempt.key} was settled by no look-up"


def a_loan_is_posted_in_date_order(history: History) -> Iterator[str]:
    """Within a run, for payments that stood so when it began and were not refused."""
    unsteady = _became_due(history)
    refused = {a.key for a in history.attempts if a.outcome in ("failed", "held")}
    groups: dict[tuple[str, str], list[Attempt]] = defaultdict(list)
    for attempt in history.attempts:
        run_id = history.intended_by.get(attempt.id, attempt.run_id)
        run = history.runs.get(run_id)
        steady = run and unsteady.get(attempt.key, 0) < run.started
        if steady and attempt.key not in refused:
            groups[run_id, attempt.loan].append(attempt)
    for (run_id, loan), attempts in groups.items():
        for former, later in pairwise(attempts):
            if later.day < former.day:
                yield f"{run_id} sent {later.key} of {later.day} after {former.day} for {loan}"


def _became_due(history: History) -> dict[str, float]:
    """By key: when it last changed, was released, or its lender was paused or unpaused; of one
    whose loan changed while its request was in doubt, also when that was settled."""
    last: dict[str, float] = {}
    lenders = {attempt.key: attempt.lender for attempt in history.attempts}
    for deed in history.deeds:
        match deed.change:
            case Put(key=key) | Hold(key=key):
                last[key] = deed.done
            case Pause(lender=lender):
                last |= {key: deed.done for key, of in lenders.items() if of == lender}
            case LoseWorkList():
                last |= dict.fromkeys(lenders, deed.done)
    for key, attempts in _grouped(history.attempts, "key").items():
        for former, later in pairwise(attempts):
            if former.loan != later.loan:
                last[key] = max(last.get(key, 0), former.settled_at or 0)
    return last


def _grouped(attempts: Iterable[Attempt], name: str) -> dict[str, list[Attempt]]:
    groups: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in sorted(attempts, key=lambda a: a.intended_at):
        groups[getattr(attempt, name)].append(attempt)
    return groups
