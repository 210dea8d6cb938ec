"""The ledger holds what is recorded as posted, once, and nothing else of ours."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from repayment_platform_tests.faults.campaign.history import History, LedgerRow


def each_key_is_live_once(history: History) -> Iterator[str]:
    live = Counter(row.external_id for row in history.ledger if not row.reversed)
    for key, times in live.items():
        if times > 1:
            yield f"{key} stands {times} times in the ledger"


def ledger_and_record_agree(history: History) -> Iterator[str]:
    """Set against each other payment by payment; what an operator of Fineract's undid is undone."""
    rows = _rows(history)
    posted = {outcome.key: outcome for outcome in history.outcomes if outcome.status == "success"}
    for key, outcome in posted.items():
        row = rows.get(key)
        if row is None:
            yield f"{key} is recorded as posted and not in the ledger"
        elif (row.loan, row.amount, row.day) != (outcome.loan, outcome.amount, outcome.day):
            yield f"{key} stands in the ledger as {row}, and is recorded as {outcome}"
        elif row.reversed:
            yield f"{key} is recorded as posted and reversed in the ledger"
    for outcome in history.outcomes:
        row = rows.get(outcome.key)
        if outcome.status == "undone" and not (row and row.reversed):
            yield f"{outcome.key} is recorded as undone, and the ledger has {row}"
    for key, row in rows.items():
        if key not in posted and not row.reversed and key not in _not_by_a_live_run(history):
            yield f"{key} is in the ledger ({row.amount} on {row.loan}) and not recorded as posted"


def sums_agree(history: History) -> Iterator[str]:
    posted = [outcome for outcome in history.outcomes if outcome.status == "success"]
    keys = {outcome.key for outcome in posted}
    others = _not_by_a_live_run(history) - keys
    ledger = sum(
        (
            row.amount
            for row in history.ledger
            if not row.reversed and row.external_id not in others
        ),
        Decimal(0),
    )
    recorded = sum((outcome.amount for outcome in posted), Decimal(0))
    if ledger != recorded:
        yield f"the ledger holds {ledger}; recorded are {recorded}"


def everything_in_the_ledger_was_intended(history: History) -> Iterator[str]:
    before = {put.key for put in history.plan.already_there}
    intended = {(a.key, a.loan, a.amount, a.day) for a in history.attempts}
    for row in history.ledger:
        # One that Fineract itself replaced has lost its external id to the new one.
        is_replaced = row.reversed and row.external_id is None
        facts = (row.external_id, row.loan, row.amount, row.day)
        if not is_replaced and row.external_id not in before and facts not in intended:
            yield f"{row} was never intended"


def the_platforms_own_checks_agree(history: History) -> Iterator[str]:
    yield from history.proofs


def _rows(history: History) -> dict[str, LedgerRow]:
    """By external id; a row that is undone keeps its own."""
    return {row.external_id: row for row in history.ledger if row.external_id}


def _not_by_a_live_run(history: History) -> set[str]:
    """Keys in the ledger from before, or sent by a process that had been frozen for so long that
    its intent was settled as not sent: what no client can prevent, and `ledger_agrees` shows."""
    late = {
        post.external_id
        for post in history.posts
        if post.applied and history.is_late(post) and post.external_id
    }
    return late | {put.key for put in history.plan.already_there}
