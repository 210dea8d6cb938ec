"""Doubt about what is posted again, and doubt that ends with an undone repayment."""

from datetime import timedelta
from decimal import Decimal

import pytest

from repayment_platform.display import at
from repayment_platform.exceptions.decisions import (
    NeedsRepost,
    decide,
)
from repayment_platform.exceptions.kinds import Decision
from repayment_platform.exceptions.queue import (
    open_holds,
)
from repayment_platform.exceptions.reposting import Reposted
from repayment_platform_tests.posting.conftest import DAY, Bench
from repayment_platform_tests.posting.test_kill import kill_amid_requests
from repayment_platform_tests.posting.undone import (
    again,
    every_proof_holds,
    ids_in_ledger,
    payment,
    post_again,
    put_back,
    some_time_passes,
    undone,
)

__all__ = ["undone"]

LOST_REPLY = {"kind": "reset_after_commit", "times": 1}
UNDONE_MEANWHILE = {"kind": "operator_undo", "times": 1}


def looked_up(bench: Bench, since: int = 0) -> list[str]:
    """External ids asked for, after the first requests."""
    asked = [r for r in bench.requests()[since:] if r["operation"] == "lookup"]
    return [
        request["path"].split("/")[-1] for request in asked if "transactions" in request["path"]
    ]


@pytest.fixture
def held(bench: Bench) -> str:
    """A payment whose reply was lost and that was undone before its look-up."""
    bench.loans("LN-1", "LN-2")
    key = payment(bench)
    bench.faults(LOST_REPLY, UNDONE_MEANWHILE)
    bench.post()
    bench.faults()
    assert bench.states() == {key: "held"}
    return key


def test_a_lost_reply_amid_a_repost_is_settled_by_the_new_external_id(
    bench: Bench, undone: str
) -> None:
    put_back(bench, undone)
    before = len(bench.requests())
    bench.faults(LOST_REPLY)

    bench.post()

    assert set(looked_up(bench, since=before)) == {again(1)}
    assert ids_in_ledger(bench) == {undone: False, again(1): True}
    assert bench.one(
        'SELECT settled_by FROM "CORE"."CORE_POSTING_ATTEMPT" ORDER BY id DESC LIMIT 1'
    ) == ("lookup",)
    every_proof_holds(bench)


@pytest.mark.faults
def test_a_kill_amid_a_repost_is_settled_by_the_new_external_id(bench: Bench, undone: str) -> None:
    put_back(bench, undone)
    before, sent = len(bench.requests()), len(bench.posts())
    bench.faults({"kind": "latency", "ms": 700})
    kill_amid_requests(bench, after=sent + 1)
    bench.faults()

    bench.post()

    assert set(looked_up(bench, since=before)) == {again(1)}
    assert ids_in_ledger(bench) == {undone: False, again(1): True}
    every_proof_holds(bench)


def test_doubt_is_settled_by_the_external_id_that_was_sent_whatever_the_payment_has_now(
    bench: Bench,
) -> None:
    bench.loans("LN-1")
    key = payment(bench)
    bench.faults(LOST_REPLY, {"kind": "gateway", "on": "lookup"})
    bench.post_stopped(fineract_patience_seconds=1)
    assert bench.states() == {key: "unknown"}
    bench.faults()
    bench.connection.execute(
        'INSERT INTO "CORE"."CORE_TRANSACTION_DATA_PROCESSED" (source_key, source_lender, status, '
        "loan_external_id, payment_date, amount, external_id, run_id) "
        "VALUES (%s, 'ARTHMATE', 'failed', 'LN-1', %s, 100, 'another', 'import')",
        (key, DAY),
    )

    bench.post()

    assert ids_in_ledger(bench) == {key: True}
    every_proof_holds(bench)


def test_a_payment_held_as_undone_is_not_released_but_posted_again(bench: Bench, held: str) -> None:
    (hold,) = open_holds(bench.connection)
    with pytest.raises(NeedsRepost, match=held):
        decide(bench.connection, hold.id, Decision.RELEASE, "asha", "post it")
    (posted_at,) = bench.one('SELECT processed_at FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"')
    when = at(posted_at + timedelta(seconds=bench.settings.settle_seconds))
    too_soon = f"it was posted only just now: ask again from {when}"
    assert str(post_again(bench, held)) == too_soon

    assert put_back(bench, held) == Reposted(again(1), True, False)
    for _ in range(2):
        bench.post()

    assert ids_in_ledger(bench) == {held: False, again(1): True}
    assert bench.states() == {held: "success"}
    every_proof_holds(bench)
    audited = 'SELECT action FROM "CORE"."CORE_AUDIT_LOG" ORDER BY id'
    assert bench.connection.execute(audited).fetchall() == [("payment.repost",)]
    marks = 'SELECT outcome, undone_at IS NOT NULL FROM "CORE"."CORE_POSTING_ATTEMPT" ORDER BY id'
    assert bench.connection.execute(marks).fetchall() == [("held", True), ("success", False)]


def test_a_payment_held_as_undone_may_still_be_ruled_out(bench: Bench, held: str) -> None:
    (hold,) = open_holds(bench.connection)
    decide(bench.connection, hold.id, Decision.NOT_A_REPAYMENT, "asha", "the bank was right")
    some_time_passes(bench)

    assert "no repayment any more" in str(post_again(bench, held))


def test_a_repost_is_good_for_the_facts_that_were_held(bench: Bench, held: str) -> None:
    put_back(bench, held)
    bench.payment(source_key=held, loan_external_id="LN-2", amount=Decimal("60.00"))
    bench.post()
    assert bench.states() == {held: "held"}

    assert put_back(bench, held) == Reposted(again(1), False, False)
    bench.post()

    assert bench.ledger() == [(again(1), "LN-2", "60.00")]
    every_proof_holds(bench)
