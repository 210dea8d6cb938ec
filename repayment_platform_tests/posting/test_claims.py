"""Claims of two runs that cross each other."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import psycopg

from repayment_platform.posting.claims import Attempt, Claims
from repayment_platform.posting.feed import refresh
from repayment_platform.posting.model import Payment
from repayment_platform_tests.posting.conftest import AUTOMATED, DAY, Bench

INTEND = """
INSERT INTO "CORE"."CORE_POSTING_ATTEMPT" (source_key, source_lender, loan_external_id,
    payment_date, amount, idempotency_key, run_id, worker)
VALUES (%s, 'DMI', %s, %s, 1, %s, 'other', 0)
"""
WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND datname = current_database()
"""


def test_a_claim_that_another_run_waits_for_in_a_circle_is_made_again(bench: Bench) -> None:
    first, second = bench.payment("LN-1"), bench.payment("LN-2")
    payments = [
        Payment(key, "ARTHMATE", loan, DAY, Decimal("100.00"), 0)
        for key, loan in ((first, "LN-1"), (second, "LN-2"))
    ]
    with ThreadPoolExecutor() as pool, psycopg.connect(bench.conninfo) as other:
        # The other run believes the second payment to be of LN-3, and something else of LN-1.
        other.execute(INTEND, (second, "LN-3", DAY, "key-1"))
        claimed = pool.submit(asyncio.run, _claim(bench.conninfo, payments))
        while bench.one(WAITING) == (0,) and not claimed.done():
            time.sleep(0.01)
        other.execute(INTEND, ("something else", "LN-1", DAY, "key-2"))
        other.rollback()
        attempts = claimed.result()

    assert [attempt.payment for attempt in attempts if attempt] == payments


async def _claim(conninfo: str, payments: list[Payment]) -> list[Attempt | None]:
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        async with connection.transaction():
            await refresh(connection)
        return await Claims(connection, "ours", AUTOMATED).write([(one, 0) for one in payments])
