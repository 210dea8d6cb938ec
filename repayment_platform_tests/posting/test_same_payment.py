"""Money given back of a payment that a person ruled the same as another is told of the other."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from repayment_platform.exceptions.decisions import (
    decide,
)
from repayment_platform.exceptions.kinds import Decision
from repayment_platform.exceptions.ledger_proof import ledger_agrees
from repayment_platform.exceptions.queue import (
    OpenException,
    open_exceptions,
    open_holds,
)
from repayment_platform.ledger.scope import LedgerScope
from repayment_platform.posting.guards import set_guards
from repayment_platform_tests.posting.conftest import DAY, Bench

SAME = {"is_success": False, "not_repayment_reason": "an operator says: same payment"}
REFUND = SAME | {"outcome": "refund", "refunded_amount": Decimal("40.00")}
RETURN = SAME | {"outcome": "late_return"}


def ruled_same(bench: Bench, n: int, other: str | None) -> str:
    """A payment that was held as a possible duplicate and ruled the same as another."""
    key = bench.payment("LN-1", n=f"#{n}")
    hold = bench.one(
        'INSERT INTO "CORE"."CORE_HOLD" (source_key, reason_code, reason, facts) '
        "VALUES (%s, 'possible_duplicate', 'equal', "
        "        jsonb_strip_nulls(jsonb_build_object('other_key', %s::text))) RETURNING id",
        key,
        other,
    )[0]
    decide(bench.connection, hold, Decision.SAME_PAYMENT, "asha", "the gateway's report")
    return bench.payment("LN-1", n=f"#{n}", **SAME)


def only_hold(bench: Bench) -> OpenException:
    (hold,) = open_holds(bench.connection)
    return hold


def pause(bench: Bench, *, paused: bool) -> None:
    set_guards(bench.connection, "ARTHMATE", {"paused": paused}, "asha")


@pytest.mark.parametrize(
    ("given_back", "kind", "refunded", "what"),
    [
        (REFUND, "refunded_after_posting", "40.00", "had 40.00 rupees refunded"),
        (RETURN, "returned_after_posting", "100.00", "is to be undone: the same payment {} had a "
         "late return"),
    ],
)  # fmt: skip
def test_a_posted_payment_is_an_exception_until_it_is_undone(
    bench: Bench, given_back: dict[str, Any], kind: str, refunded: str, what: str
) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1")
    same = ruled_same(bench, 1, key)
    bench.post()
    assert bench.states() == {key: "success"}

    bench.payment("LN-1", n="#1", **given_back)
    for _ in range(2):
        bench.post()

    (found,) = open_exceptions(bench.connection)
    assert (found.source_key, found.kind) == (key, kind)
    assert f"{found.detail['refunded']:.2f}" == refunded
    assert found.what.endswith(what.format(same))
    bench.sandbox.post(f"undo/{key}")
    asyncio.run(ledger_agrees(bench.settings, bench.conninfo, LedgerScope()))
    assert open_exceptions(bench.connection) == []


@pytest.mark.parametrize("given_back", [REFUND, RETURN])
def test_a_payment_not_posted_yet_is_held_and_posted_only_when_released(
    bench: Bench, given_back: dict[str, Any]
) -> None:
    bench.loans("LN-1")
    pause(bench, paused=True)
    key = bench.payment("LN-1")
    same = ruled_same(bench, 1, key)
    bench.payment("LN-1", n="#1", **given_back)
    bench.post()
    pause(bench, paused=False)
    bench.post()

    hold = only_hold(bench)
    assert hold.source_key == key
    assert f"the same payment {same} had a " in hold.what
    assert (bench.states(), bench.ledger()) == ({key: "held"}, [])
    decide(bench.connection, hold.id, Decision.RELEASE, "asha", "paid once more by hand")
    bench.payment("LN-1", n="#1", **given_back)
    bench.post()
    assert bench.states() == {key: "success"}


def test_a_further_refund_holds_a_released_payment_again(bench: Bench) -> None:
    pause(bench, paused=True)
    key = bench.payment("LN-1")
    ruled_same(bench, 1, key)
    bench.payment("LN-1", n="#1", **REFUND)
    bench.post()
    decide(bench.connection, only_hold(bench).id, Decision.RELEASE, "asha", "a discount")

    bench.payment("LN-1", n="#1", **REFUND | {"refunded_amount": Decimal("60.00")})
    bench.post()

    assert "60.00 of 100.00 rupees were refunded" in only_hold(bench).what


def test_a_payment_in_doubt_is_held_too_so_that_nothing_is_lost(bench: Bench) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1")
    ruled_same(bench, 1, key)
    bench.faults({"kind": "reset_before_work"})
    bench.post(fineract_timeout_seconds=0.3, fineract_settle_seconds=0.4)
    assert bench.states() == {key: "unknown"}
    bench.faults()

    bench.payment("LN-1", n="#1", **REFUND)
    bench.post()

    assert only_hold(bench).source_key == key
    assert (bench.states(), bench.ledger()) == ({key: "held"}, [])


@pytest.mark.parametrize("is_posted", [True, False])
def test_a_payment_of_which_several_reports_tell_at_once_is_told_of_once(
    bench: Bench, is_posted: bool
) -> None:
    bench.loans("LN-1")
    pause(bench, paused=not is_posted)
    key = bench.payment("LN-1")
    for n in (1, 2):
        ruled_same(bench, n, key)
    bench.post()

    bench.payment("LN-1", is_success=False, outcome="refund", refunded_amount=Decimal("40.00"))
    for n in (1, 2):
        bench.payment("LN-1", n=f"#{n}", **REFUND)
    bench.post()

    found = [(each.source_key, each.kind) for each in open_exceptions(bench.connection)]
    held = [(each.source_key, each.kind) for each in open_holds(bench.connection)]
    assert (found, held) == (
        ([(key, "refunded_after_posting")], []) if is_posted else ([], [(key, "refunded")])
    )


@pytest.mark.parametrize("is_named", [True, False])
def test_where_nobody_knows_the_other_payment_a_person_looks_for_it(
    bench: Bench, is_named: bool
) -> None:
    other = ruled_same(bench, 1, None) if is_named else None
    same = ruled_same(bench, 2, other)

    bench.payment("LN-1", n="#2", **RETURN)
    bench.post()

    (found,) = open_exceptions(bench.connection)
    assert (found.source_key, found.kind) == (same, "return_without_payment")
    assert found.what == (
        f"late return of 100.00 rupees on {DAY} for loan LN-1: of which payment is not clear"
    )
