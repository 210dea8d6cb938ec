"""A decision on a hold is about what the person saw."""

import asyncio
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from repayment_platform.exceptions.decisions import (
    HasChanged,
    RuledOut,
    decide,
    hold,
)
from repayment_platform.exceptions.kinds import Decision
from repayment_platform.exceptions.queue import (
    open_holds,
)
from repayment_platform.posting.feed import refresh
from repayment_platform_tests.command import Commands
from repayment_platform_tests.posting.conftest import DAY, Bench
from repayment_platform_tests.posting.test_conflicting_reports import THREE, TWO

PART = {"is_success": False, "outcome": "refund", "refunded_amount": Decimal("40.00")}
ALL = PART | {"refunded_amount": Decimal("100.00")}


@pytest.mark.parametrize(("then", "now"), [({"conflict": TWO}, {"conflict": THREE}), (PART, ALL)])
def test_a_release_is_for_the_reason_that_the_person_saw(
    bench: Bench, then: dict[str, Any], now: dict[str, Any]
) -> None:
    bench.loans("LN-1")
    bench.payment("LN-1", **then)
    bench.post()
    [hold] = open_holds(bench.connection)
    bench.payment("LN-1", **now)
    bench.post()
    [changed] = open_holds(bench.connection)
    assert (changed.id, changed.what == hold.what) == (hold.id, False)
    with pytest.raises(HasChanged):
        decide(bench.connection, hold.id, Decision.RELEASE, "asha", "paid", hold.seen)
    decide(bench.connection, hold.id, Decision.RELEASE, "asha", "paid", changed.seen)
    assert open_holds(bench.connection) == []


def test_the_commands_hold_a_payment_list_it_and_release_it(bench: Bench, run: Commands) -> None:
    key = bench.payment("LN-1")
    held = run("hold", key, "--why", "the bank is asked", "--by", "asha")
    assert (held.code, held.stdout) == (0, f"{key}: held, see `./run holds`\n")
    assert "asha says: the bank is asked" in run("holds").words
    again = run("hold", key, "--why", "once more")
    assert again.code == 1
    assert "held by hand already" in again.stderr
    bench.loans("LN-1")
    bench.post()
    assert bench.ledger() == []
    [hold] = open_holds(bench.connection)
    shown = f"{hold.id}-{hold.seen[:4]}"
    assert shown in run("holds").stdout
    unseen = run("decide", str(hold.id), "release", "--why", "in order")
    assert (unseen.code, "such as 17-a3f2" in unseen.stderr) == (2, True)
    bench.payment("LN-1", payment_date=DAY.replace(day=1))
    changed = run("decide", shown, "release", "--why", "in order")
    assert changed.code == 1
    assert f"exception {hold.id} has changed" in changed.stderr
    [hold] = open_holds(bench.connection)
    seen = f"{hold.id}-{hold.seen[:4]}"
    assert run("decide", seen, "release", "--why", "in order").code == 0
    bench.post()
    assert bench.ledger() == [(key, "LN-1", "100.00")]


def test_a_release_of_what_was_ruled_out_on_another_hold_meanwhile_is_refused(bench: Bench) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1", conflict=TWO)
    bench.post()
    hold(bench.connection, key, "asha", "I ask the bank")
    [conflict, by_hand] = open_holds(bench.connection)
    decide(bench.connection, conflict.id, Decision.NOT_A_REPAYMENT, "ben", "it is a fee")
    with pytest.raises(RuledOut, match="ben decided not_a_repayment on another hold"):
        decide(bench.connection, by_hand.id, Decision.RELEASE, "asha", "the bank says it is paid")
    assert [each.id for each in open_holds(bench.connection)] == [by_hand.id]


def test_a_hold_made_while_a_person_ruled_is_later_than_the_ruling(bench: Bench) -> None:
    bench.loans("LN-1")
    bench.payment("LN-1", conflict=TWO)
    bench.post()
    [hold] = open_holds(bench.connection)

    async def feed_beside_the_ruling() -> None:
        async with await psycopg.AsyncConnection.connect(bench.conninfo) as feeding:
            await feeding.execute("SELECT now()")  # its transaction begins, and waits for the lock
            bench.payment("LN-1", conflict=THREE)
            decide(bench.connection, hold.id, Decision.NOT_A_REPAYMENT, "asha", "the bank is asked")
            await refresh(feeding)

    asyncio.run(feed_beside_the_ruling())
    [again] = open_holds(bench.connection)
    assert again.id != hold.id
    decide(bench.connection, again.id, Decision.RELEASE, "asha", "the first is right")
    decisions = bench.connection.execute('SELECT decision FROM "CORE"."CORE_HOLD"').fetchall()
    assert decisions == [("release",)] * 2
