"""Fineract's pace as a run has found it, in the database for those who watch.

What belongs here: writing that one row. What does not: finding the pace (`pace`), showing it
(`monitoring.metrics`, `defs`).
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from repayment_platform.posting.pace import Pace
from repayment_platform.posting.work import Connection

EVERY_SECONDS = 5.0

_TELL = """
INSERT INTO "CORE"."CORE_POSTING_PACE" AS p
    (run_id, under_way, highest, latency_seconds, former, why, changed_at)
VALUES (%(run_id)s, %(limit)s, %(highest)s, %(latency)s, %(former)s, %(why)s,
        clock_timestamp() - make_interval(secs => %(ago)s))
ON CONFLICT ((true)) DO UPDATE SET
    run_id = EXCLUDED.run_id, under_way = EXCLUDED.under_way, highest = EXCLUDED.highest,
    latency_seconds = EXCLUDED.latency_seconds, former = EXCLUDED.former, why = EXCLUDED.why,
    changed_at = EXCLUDED.changed_at, told_at = EXCLUDED.told_at
"""


@asynccontextmanager
async def telling(connection: Connection, run_id: str, pace: Pace) -> AsyncIterator[None]:
    """Write the pace down every few seconds while the block runs, and after it; nothing while
    nothing was posted."""
    task = asyncio.create_task(_by_and_by(connection, run_id, pace))
    try:
        yield
    finally:
        task.cancel()
        [ended] = await asyncio.gather(task, return_exceptions=True)
    if isinstance(ended, Exception):
        raise ended
    await _tell(connection, run_id, pace)


async def _by_and_by(connection: Connection, run_id: str, pace: Pace) -> None:
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        await _tell(connection, run_id, pace)


async def _tell(connection: Connection, run_id: str, pace: Pace) -> None:
    known = pace.standing
    if known.latency_seconds is None:
        return
    facts = {
        "run_id": run_id,
        "limit": known.limit,
        "highest": known.highest,
        "latency": known.latency_seconds,
        "former": known.former,
        "why": known.why,
        "ago": None if known.changed_at is None else time.monotonic() - known.changed_at,
    }
    await connection.execute(_TELL, facts)
