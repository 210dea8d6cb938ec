"""Guards before money moves: limits, pauses, the first day, holds and their release."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from repayment_platform.exceptions.decisions import (
    NoSuchException,
    decide,
)
from repayment_platform.exceptions.kinds import Decision
from repayment_platform.exceptions.queue import (
    open_holds,
)
from repayment_platform.posting.guards import Guards, set_guards
from repayment_platform_tests.posting.conftest import DAY, Bench


def guard(bench: Bench, **guards: object) -> None:
    set_guards(bench.connection, "ARTHMATE", Guards(**guards), "asha")  # type: ignore[typeddict-item]


def only_hold(bench: Bench) -> int:
    (hold,) = open_holds(bench.connection)
    return hold.id


def test_a_paused_lender_is_deferred_and_goes_on_by_itself_when_resumed(bench: Bench) -> None:
    bench.loans("LN-1", "LN-2")
    paused = bench.payment("LN-1")
    other = bench.payment("LN-2", lender="DMI")
    guard(bench, paused=True, paused_why="ledger migration")

    bench.post()
    assert bench.states() == {paused: "deferred", other: "success"}
    assert bench.one('SELECT reason FROM "CORE"."CORE_OPEN_WORK"') == (
        "lender paused: ledger migration",
    )

    guard(bench, paused=False)
    bench.post()
    assert bench.states() == {paused: "success", other: "success"}


def test_payments_before_the_first_day_posted_from_here_are_never_posted(bench: Bench) -> None:
    bench.loans("LN-1")
    before, on = bench.payment("LN-1", "1.00", DAY - timedelta(1)), bench.payment("LN-1", "2.00")
    guard(bench, post_from=DAY)

    bench.post()

    assert bench.states() == {before: "deferred", on: "success"}


@pytest.mark.parametrize(
    ("limit", "posted"), [({"max_run_count": 2}, 2), ({"max_run_amount": Decimal(35)}, 3)]
)
def test_what_is_over_a_runs_limit_is_deferred_to_the_next_run(
    bench: Bench, limit: dict[str, object], posted: int
) -> None:
    names = [f"LN-{n}" for n in range(4)]
    bench.loans(*names)
    for name in names:
        bench.payment(name, "10.00")
    guard(bench, **limit)

    first = bench.post()

    assert (first.total("posted"), first.total("deferred")) == (posted, 4 - posted)
    bench.post()
    assert len(bench.ledger()) == 4


def test_a_payment_over_the_limit_is_held_until_a_person_releases_it(bench: Bench) -> None:
    bench.loans("LN-1", "LN-2")
    large, small = bench.payment("LN-1", "500000.00"), bench.payment("LN-2", "50.00")
    guard(bench, max_payment=Decimal(100_000))

    bench.post()
    bench.post()
    assert bench.states() == {large: "held", small: "success"}

    decide(bench.connection, only_hold(bench), Decision.RELEASE, "asha", "seen the receipt")
    bench.post()
    assert bench.states() == {large: "success", small: "success"}
    assert bench.one('SELECT who, action, subject FROM "CORE"."CORE_AUDIT_LOG" WHERE id > 1') == (
        "asha",
        "hold.release",
        large,
    )


def test_a_release_is_good_only_for_the_facts_it_was_given_for(bench: Bench) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1", "500000.00")
    guard(bench, max_payment=Decimal(100_000))
    bench.post()
    decide(bench.connection, only_hold(bench), Decision.RELEASE, "asha", "fine")
    bench.connection.execute(
        'UPDATE "CORE"."CORE_TRANSACTION_DATA" SET amount = 900000, batch = batch + 1'
    )

    bench.post()

    assert bench.states() == {key: "held"}
    assert bench.ledger() == []
    assert "changed since it was released" in open_holds(bench.connection)[0].what


def test_a_hold_keeps_a_payment_from_being_posted_and_is_decided_once(bench: Bench) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1")
    bench.connection.execute(
        'INSERT INTO "CORE"."CORE_HOLD" (source_key, reason_code, reason, facts) '
        "VALUES (%s, 'possible_duplicate', 'equal to another', '{}')",
        (key,),
    )
    bench.post()
    assert bench.states() == {key: "held"}

    hold = only_hold(bench)
    decide(bench.connection, hold, Decision.SAME_PAYMENT, "asha", "same UTR")

    with pytest.raises(NoSuchException):
        decide(bench.connection, hold, Decision.RELEASE, "ravi", "no, post it")
    assert bench.one('SELECT source_key, batch FROM "CORE"."CORE_REFOLD"') == (key, 0)


@pytest.mark.parametrize("decision", [Decision.SAME_PAYMENT, Decision.NOT_A_REPAYMENT])
def test_what_a_person_has_ruled_out_is_not_posted_before_dbt_has_folded_it_again(
    bench: Bench, decision: Decision
) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1", "500000.00")
    guard(bench, max_payment=Decimal(100_000))
    bench.post()
    decide(bench.connection, only_hold(bench), decision, "asha", "same UTR")

    bench.post()

    assert bench.states() == {key: "held"}
    assert bench.ledger() == []


def test_guards_that_are_not_named_stay_as_they_are(bench: Bench) -> None:
    guard(bench, max_run_count=5)
    guard(bench, post_from=date(2026, 1, 1))
    guard(bench, max_run_count=None)
    assert bench.one('SELECT max_run_count, post_from FROM "CORE"."CORE_LENDER_SETTING"') == (
        None,
        date(2026, 1, 1),
    )
