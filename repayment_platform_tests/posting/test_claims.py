"""Claims: what is read again before a request leaves, and two runs that cross each other."""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from repayment_platform.posting.claims import Attempt, Claims
from repayment_platform.posting.feed import refresh
from repayment_platform.posting.model import Payment
from repayment_platform.warehouse.group_commit import GroupCommit
from repayment_platform_tests.posting.conftest import AUTOMATED, DAY, Bench

INTEND = """
INSERT INTO "CORE"."CORE_POSTING_ATTEMPT" (source_key, source_lender, loan_external_id,
    payment_date, amount, payment_ref, idempotency_key, run_id, worker)
VALUES (%s, 'ARTHMATE', %s, %s, 1, %s, md5(random()::text), 'other', 0)
"""
POSTED = """
WITH settled AS (
    UPDATE "CORE"."CORE_POSTING_ATTEMPT" SET outcome = 'success', settled_at = now()
    WHERE run_id = 'other' RETURNING *
)
INSERT INTO "CORE"."CORE_TRANSACTION_DATA_PROCESSED" (source_key, source_lender, status,
    loan_external_id, payment_date, amount, payment_ref, run_id)
SELECT source_key, source_lender, outcome, loan_external_id, payment_date, amount, payment_ref,
       run_id FROM settled
"""
WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND datname = current_database()
"""
Claimed = Future[list[Attempt | None]]


@contextmanager
def claiming(
    bench: Bench, payments: list[Payment], other: psycopg.Connection[Any]
) -> Iterator[Claimed]:
    """A claim of these that is under way and waits for what `other` has not committed."""
    with ThreadPoolExecutor() as pool:
        claimed = pool.submit(asyncio.run, _claim(bench.conninfo, payments))
        while bench.one(WAITING) == (0,) and not claimed.done():
            time.sleep(0.01)
        yield claimed
        other.rollback()


def payment(bench: Bench, loan: str, payment_ref: str | None = None) -> Payment:
    key = bench.payment(loan, payment_ref=payment_ref)
    return Payment(key, "ARTHMATE", loan, DAY, Decimal("100.00"))


def test_a_claim_that_another_run_waits_for_in_a_circle_is_made_again(bench: Bench) -> None:
    first, second = payment(bench, "LN-1"), payment(bench, "LN-2")
    with psycopg.connect(bench.conninfo) as other:
        # The other run believes the second payment to be of LN-3, and something else of LN-1.
        other.execute(INTEND, (second.source_key, "LN-3", DAY, None))
        with claiming(bench, [first, second], other) as claimed:
            other.execute(INTEND, ("something else", "LN-1", DAY, None))

    assert [attempt.payment for attempt in claimed.result() if attempt] == [first, second]


@pytest.mark.parametrize("same", ["source key", "reference"])
def test_what_is_posted_while_a_claim_waits_is_not_claimed_after_it(
    bench: Bench, same: str
) -> None:
    first, second = payment(bench, "LN-1"), payment(bench, "LN-2", "razorpay:pay_1")
    key = second.source_key if same == "source key" else "another key"
    bench.connection.execute(INTEND, (key, "LN-3", DAY, "razorpay:pay_1"))
    with psycopg.connect(bench.conninfo) as other:
        other.execute(INTEND, ("something else", "LN-1", DAY, None))
        with claiming(bench, [first, second], other) as claimed:
            bench.connection.execute(POSTED)

    assert [attempt and attempt.payment for attempt in claimed.result()] == [first, None]


HELD = """
INSERT INTO "CORE"."CORE_HOLD" (source_key, reason_code, reason, facts)
SELECT source_key, 'possible_duplicate', 'is it?', '{}' FROM "CORE"."CORE_TRANSACTION_DATA"
"""
MEANWHILE = {
    "held": HELD,
    "ruled out": HELD + """; UPDATE "CORE"."CORE_HOLD" SET decision = 'not_a_repayment'""",
    "returned": 'UPDATE "CORE"."CORE_TRANSACTION_DATA" SET is_success = false',
    "of another amount": 'UPDATE "CORE"."CORE_TRANSACTION_DATA" SET amount = amount + 1',
    "of another day": 'UPDATE "CORE"."CORE_TRANSACTION_DATA" SET payment_date = payment_date - 1',
    "of another loan": """UPDATE "CORE"."CORE_TRANSACTION_DATA" SET loan_external_id = 'LN-9'""",
    "left to reconciliation": """UPDATE "CORE"."CORE_TRANSACTION_DATA" SET recon_source = 'NACH'""",
    "paused": """INSERT INTO "CORE"."CORE_LENDER_SETTING" (source_lender, paused)
                 VALUES ('ARTHMATE', true)""",
    "too old": """INSERT INTO "CORE"."CORE_LENDER_SETTING" (source_lender, post_from)
                  VALUES ('ARTHMATE', '2100-01-01')""",
}


@pytest.mark.parametrize("what", MEANWHILE)
def test_what_became_of_a_payment_since_it_was_chosen_keeps_it_from_being_sent(
    bench: Bench, what: str
) -> None:
    chosen = payment(bench, "LN-1")

    def meanwhile() -> None:
        bench.connection.execute(MEANWHILE[what])

    assert asyncio.run(_claim(bench.conninfo, [chosen], meanwhile)) == [None]
    assert bench.one('SELECT count(*) FROM "CORE"."CORE_POSTING_ATTEMPT"') == (0,)


def test_a_payment_of_which_nothing_has_changed_since_it_was_chosen_is_claimed(
    bench: Bench,
) -> None:
    [attempt] = asyncio.run(_claim(bench.conninfo, [payment(bench, "LN-1")]))
    assert attempt


async def _claim(
    conninfo: str, payments: list[Payment], meanwhile: Callable[[], None] = lambda: None
) -> list[Attempt | None]:
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        async with connection.transaction():
            await refresh(connection)
        meanwhile()
        claims = GroupCommit(Claims(connection, "ours", AUTOMATED).write, len(payments))
        async with claims.running():
            return list(await asyncio.gather(*(claims.submit((one, 0)) for one in payments)))
