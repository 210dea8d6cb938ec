"""The list of open work stays true to CORE, to holds and to what was posted."""

import asyncio
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from repayment_platform.posting import feed, proof
from repayment_platform.posting.allowance import Allowance
from repayment_platform.posting.feed import READ_ANEW, refresh
from repayment_platform.posting.guards import set_guards
from repayment_platform.posting.model import Selection
from repayment_platform.posting.work import POST_NEW, due_loans, look_up_by_key
from repayment_platform.warehouse.advisory import LockNotHad, held
from repayment_platform_tests.posting.conftest import DAY, Bench
from repayment_platform_tests.waiting import wait_until

QUICK = {"fineract_timeout_seconds": 0.3, "fineract_settle_seconds": 0.4}


def leave_in_doubt(bench: Bench) -> None:
    """A run whose every request is lost on the way; nothing reaches the ledger."""
    bench.faults({"kind": "reset_before_work"})
    bench.post(**QUICK)
    bench.faults()


def test_new_facts_that_came_while_a_request_was_in_doubt_are_posted(bench: Bench) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1", "100.00")
    leave_in_doubt(bench)
    assert bench.states() == {key: "unknown"}
    bench.payment("LN-1", "100.00", payment_date=DAY.replace(day=1))

    bench.post(**QUICK)

    assert bench.one(
        'SELECT status, payment_date FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"'
    ) == ("success", DAY.replace(day=1))
    assert len(bench.ledger()) == 1


def test_a_payment_withdrawn_while_it_was_in_doubt_leaves_the_list(bench: Bench) -> None:
    bench.loans("LN-1")
    bench.payment("LN-1", "100.00")
    other = bench.payment("LN-1", "50.00")
    leave_in_doubt(bench)
    bench.payment("LN-1", "100.00", is_success=False)

    bench.post(**QUICK)

    assert bench.states() == {other: "success"}


def test_what_was_posted_under_another_key_is_held_and_keeps_nothing_back(bench: Bench) -> None:
    bench.loans("LN-1")
    first = bench.payment("LN-1", "100.00", payment_ref="razorpay:pay_1")
    again = bench.payment("LN-1", "101.00", payment_ref="razorpay:pay_1")
    other = bench.payment("LN-1", "102.00")

    bench.post()
    bench.post()

    posted, held = sorted((first, again))  # of one day: in order of their keys
    assert bench.states() == {posted: "success", held: "held", other: "success"}
    assert bench.one('SELECT reason FROM "CORE"."CORE_HOLD"') == (
        f"payment razorpay:pay_1 was posted under the key {posted}",
    )


def test_a_list_that_was_lost_is_fed_anew_and_nothing_is_sent_twice(bench: Bench) -> None:
    bench.loans("LN-1", "LN-2")
    posted, awaiting = bench.payment("LN-1"), bench.payment("LN-2")
    bench.faults({"kind": "maker_checker", "loan": "LN-2"})
    bench.post_stopped(posting_workers=1)
    bench.connection.execute('DELETE FROM "CORE"."CORE_OPEN_WORK"')
    bench.connection.execute('UPDATE "CORE"."CORE_WORK_FEED" SET batch = 0')
    bench.faults()

    time.sleep(bench.settings.settle_seconds + bench.settings.timeout_seconds)
    bench.post()

    assert bench.states() == {posted: "success", awaiting: "awaiting_approval"}
    assert len(bench.posts()) == 2


def test_a_payment_kept_back_by_one_that_awaits_approval_says_so_and_goes_when_it_is_settled(
    bench: Bench,
) -> None:
    bench.loans("LN-1")
    awaiting = bench.payment("LN-1")
    bench.faults({"kind": "maker_checker", "loan": "LN-1"})
    bench.post_stopped()
    bench.faults()
    kept_back = bench.payment("LN-1", day=DAY + timedelta(1))

    bench.post()

    why = 'SELECT reason FROM "CORE"."CORE_OPEN_WORK" WHERE source_key = %s'
    assert bench.states() == {awaiting: "awaiting_approval", kept_back: "waiting"}
    assert bench.one(why, kept_back) == (
        "a payment of its loan or reference awaits approval in Fineract",
    )
    settle = 'UPDATE "CORE"."CORE_POSTING_ATTEMPT" SET settled_at = now(), outcome = \'failed\''
    bench.connection.execute(settle)
    asyncio.run(_refresh(bench.conninfo))
    assert bench.one(why, kept_back) == ("to be posted by the next run",)


def test_a_hold_does_not_touch_a_payment_that_another_run_claims_meanwhile(bench: Bench) -> None:
    key = bench.payment("LN-1")
    asyncio.run(_refresh(bench.conninfo))
    bench.connection.execute(
        'INSERT INTO "CORE"."CORE_HOLD" (source_key, reason_code, reason, facts) '
        "VALUES (%s, 'possible_duplicate', 'the same money?', '{}')",
        (key,),
    )
    claim = 'UPDATE "CORE"."CORE_OPEN_WORK" SET state = \'sending\''
    with ThreadPoolExecutor() as pool, psycopg.connect(bench.conninfo) as claiming:
        claiming.execute(claim)
        refreshed = pool.submit(asyncio.run, _refresh(bench.conninfo))
        waiting = "SELECT count(*) FROM pg_stat_activity "
        waiting += "WHERE wait_event_type = 'Lock' AND datname = current_database()"
        while bench.one(waiting) == (0,) and not refreshed.done():
            time.sleep(0.01)
        claiming.commit()
        refreshed.result()

    assert bench.states() == {key: "sending"}


def test_a_run_that_is_stopped_while_it_feeds_keeps_the_others_out_only_for_a_while(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = f"'{feed.LET_GO_SECONDS}s'"
    assert limit in feed._LET_GO
    monkeypatch.setattr(feed, "_LET_GO", feed._LET_GO.replace(limit, "'1s'"))
    key = bench.payment("LN-1")

    async def beside_one_that_is_stopped() -> None:
        async with await psycopg.AsyncConnection.connect(bench.conninfo) as stopped:
            await refresh(stopped)
            await asyncio.wait_for(_refresh(bench.conninfo), 20)
            with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
                await stopped.commit()

    asyncio.run(beside_one_that_is_stopped())

    assert bench.states() == {key: "waiting"}


def test_a_run_that_waits_too_long_for_another_that_feeds_is_told_which(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "LOCK_SECONDS", 0.3)
    with (
        held(bench.conninfo, feed.LOCK, "feeding", 5),
        pytest.raises(LockNotHad, match=r"open work up to date: the lock is held by session \d+"),
    ):
        bench.post()
    assert bench.post().run_id


async def _refresh(conninfo: str) -> None:
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        await refresh(connection)


def test_what_a_rebuild_of_core_changed_is_read_when_all_is_read_anew(bench: Bench) -> None:
    bench.loans("LN-1", "LN-2")
    posted, waiting = bench.payment("LN-1"), bench.payment("LN-2", lender="DMI")
    set_guards(bench.connection, "DMI", {"paused": True, "paused_why": "not today"}, "asha")
    bench.post()
    bench.connection.execute('UPDATE "CORE"."CORE_TRANSACTION_DATA" SET amount = amount + 1')

    assert proof.nothing_unaccounted(bench.conninfo).findings == [
        f"{waiting} (DMI) is on the list of open work, but no repayment in CORE, or another one"
    ]
    bench.connection.execute(READ_ANEW)
    bench.post()

    assert proof.nothing_unaccounted(bench.conninfo).findings == []
    assert bench.one('SELECT source_key, kind FROM "CORE"."CORE_EXCEPTION"') == (
        posted,
        "changed_after_posting",
    )


def appear(bench: Bench, payments: int) -> None:
    """That many new payments in CORE."""
    bench.batch += 1
    bench.connection.execute(
        """INSERT INTO "CORE"."CORE_TRANSACTION_DATA" (source_key, source_lender,
               loan_external_id, payment_date, amount, is_success, outcome, refunded_amount,
               key_rule, observations, sources, first_raw_id, last_raw_id, first_landed_at,
               last_landed_at, batch)
           SELECT md5(%(batch)s || '-' || n), 'DMI', 'LN-' || n, '2025-11-01', 100, true, 'success',
               0, 'new', 1, '{}', n, n, '2025-11-01', '2025-11-01', %(batch)s
           FROM generate_series(1, %(payments)s) n""",
        {"batch": bench.batch, "payments": payments},
    )


def rows_read(
    bench: Bench, what: Coroutine[Any, Any, object], table: str = "CORE_OPEN_WORK"
) -> int:
    """How many rows of the table something reads."""
    counted = """SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables
                 WHERE relname = %s"""
    before = bench.one(counted, table)[0]
    asyncio.run(what)
    return int(bench.one(counted, table)[0] - before)


async def _first_page(conninfo: str) -> None:
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        await look_up_by_key(connection)
        selection, allowance = Selection(("DMI",)), Allowance(None, {})
        assert await anext(due_loans(connection, selection, "run", POST_NEW, allowance))


def test_a_large_day_costs_no_more_where_the_list_was_empty_at_its_last_statistics(
    bench: Bench,
) -> None:
    """PostgreSQL then takes the list for empty, and any join of it for a small one."""
    appear(bench, 500)
    asyncio.run(_refresh(bench.conninfo))
    bench.connection.execute('DELETE FROM "CORE"."CORE_OPEN_WORK"')
    bench.connection.execute('ANALYZE "CORE"."CORE_OPEN_WORK", "CORE"."CORE_HOLD"')
    appear(bench, 2000)
    assert rows_read(bench, _refresh(bench.conninfo)) < 2000 * 10
    assert rows_read(bench, _first_page(bench.conninfo)) < 2000 * 10
    appear(bench, 500)
    assert rows_read(bench, _refresh(bench.conninfo)) < 2500 * 10


def test_many_payments_that_await_approval_are_read_once_and_not_for_each_that_is_open(
    bench: Bench,
) -> None:
    bench.connection.execute('ANALYZE "CORE"."CORE_POSTING_ATTEMPT"')
    bench.connection.execute(
        """INSERT INTO "CORE"."CORE_POSTING_ATTEMPT" (source_key, source_lender, loan_external_id,
               payment_date, amount, idempotency_key, run_id, worker, error_code)
           SELECT 'a' || n, 'DMI', 'A-' || n, '2025-11-01', 100, 'a' || n, 'run', 0,
                  'awaiting_approval'
           FROM generate_series(1, 300) n"""
    )
    appear(bench, 2000)

    assert rows_read(bench, _refresh(bench.conninfo), "CORE_POSTING_ATTEMPT") < 300 * 10


def entries_read(bench: Bench) -> int:
    """How many entries of the list's indexes are read to find its work, those of deleted rows
    included."""
    counted = """SELECT sum(idx_tup_read) FROM pg_stat_user_indexes
                 WHERE relname = 'CORE_OPEN_WORK'"""
    before = bench.one(counted)[0]
    asyncio.run(_refresh(bench.conninfo))
    asyncio.run(_first_page(bench.conninfo))
    return int(bench.one(counted)[0] - before)


def test_what_has_left_the_list_is_not_read_again_and_again_until_the_list_is_vacuumed(
    bench: Bench,
) -> None:
    bench.connection.execute('ALTER TABLE "CORE"."CORE_OPEN_WORK" SET (autovacuum_enabled = off)')
    appear(bench, 500)
    entries_read(bench)
    at_first = entries_read(bench)
    for _ in range(6):
        bench.connection.execute('DELETE FROM "CORE"."CORE_OPEN_WORK"')
        appear(bench, 500)
        entries_read(bench)

    # That it is gone for all is known a little later, and where it was read once more.
    wait_until(lambda: entries_read(bench) < at_first * 1.5)
