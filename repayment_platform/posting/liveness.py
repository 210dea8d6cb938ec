"""Which posting runs are alive, told by a lock that dies with its holder.

What belongs here: a run's advisory lock on a connection of its own, and taking over what dead
runs left open. What does not: what becomes of it then (`settlement`).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection

from repayment_platform.posting.work import Connection

# A half-dead network must not keep a dead run's lock: the server, whose own default is two hours,
# and we both notice within seconds.
_PATIENCE = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
_USER_TIMEOUT_MS = 10_000
_KEEPALIVE: dict[str, Any] = {"keepalives": 1, **_PATIENCE, "tcp_user_timeout": _USER_TIMEOUT_MS}
_LET_GO = "; ".join(
    f"SET tcp_{name} = {value}"
    for name, value in {**_PATIENCE, "user_timeout": _USER_TIMEOUT_MS}.items()
)
_LOCK_KEY = "hashtextextended('posting run ' || %s, 0)"
_OPEN_RUNS = """
SELECT DISTINCT run_id FROM "CORE"."CORE_POSTING_ATTEMPT"
WHERE settled_at IS NULL AND run_id <> %s
"""
_TAKE_OVER = """
UPDATE "CORE"."CORE_POSTING_ATTEMPT" SET run_id = %s WHERE run_id = %s AND settled_at IS NULL
"""


class RunAlreadyActive(Exception):
    """Another process is posting under the same run id."""


@asynccontextmanager
async def live_run(conninfo: str, run_id: str) -> AsyncIterator[Connection]:
    """A direct connection that holds the run's lock; intents are committed on it and nowhere else,
    so a run that lost its lock cannot start another request.

    Raises:
        RunAlreadyActive: the lock is held.
    """
    connection = await AsyncConnection.connect(
        conninfo, autocommit=True, application_name=f"posting {run_id}"[:63], **_KEEPALIVE
    )
    async with connection:
        await connection.execute(_LET_GO)
        await keep_plans(connection)
        if not await _try_lock(connection, run_id):
            raise RunAlreadyActive(f"run {run_id} is posting already")
        yield connection


async def keep_plans(connection: Connection) -> None:
    """Plan each statement once: those of a run look up a few rows by their keys, thousands of
    times, and planning would take longer. No scans: the tables may be empty when it is planned."""
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    await connection.execute("SET enable_seqscan = off")
    connection.prepare_threshold = 0


async def take_over_dead_runs(connection: Connection, run_id: str) -> int:
    """Make the open attempts of runs that are gone this run's own; returns how many.

    From then on the former run's late results are refused: the attempt bears another run's id.
    """
    taken = 0
    rows = await (await connection.execute(_OPEN_RUNS, (run_id,))).fetchall()
    for (other,) in rows:
        if await _try_lock(connection, other):
            cursor = await connection.execute(_TAKE_OVER, (run_id, other))
            taken += cursor.rowcount
            await connection.execute(f"SELECT pg_advisory_unlock({_LOCK_KEY})", (other,))
    return taken


async def _try_lock(connection: Connection, run_id: str) -> bool:
    cursor = await connection.execute(f"SELECT pg_try_advisory_lock({_LOCK_KEY})", (run_id,))
    row = await cursor.fetchone()
    return bool(row and row[0])
