"""The list of open work: fed from CORE, and kept true to what is asked and to settings.

What belongs here: SQL that decides which payments are open and in which state they wait.
What does not: what must be asked about them (`exceptions`), what is due (`work`), sending
(`engine`), outcomes (`results`).
"""

from typing import LiteralString

from repayment_platform.exceptions.comparison import OF_KEYS, kept_back, parameters
from repayment_platform.exceptions.plausibility import (
    LEAST_IMPLAUSIBLE,
    SUSPECTS,
    UNJUDGED,
    judge_suspects,
)
from repayment_platform.posting.work import Connection, looking_up_by_key
from repayment_platform.warehouse.advisory import take_in_transaction
from repayment_platform.warehouse.statements import statement

# A run whose process is stopped while it feeds (a suspended machine) must not keep all others out.
LET_GO_SECONDS = 10
_LET_GO = f"SET LOCAL idle_in_transaction_session_timeout = '{LET_GO_SECONDS}s'"
# Feeding is one at a time. The lock is no row's, so that a refresh with nothing new writes nothing.
LOCK = int.from_bytes(b"feed")
LOCK_SECONDS = 600.0
"""Longer than feeding all of history takes."""
# max(batch) is an index look-up.
_NEWS = """
SELECT f.batch, greatest(f.batch, (SELECT max(batch) FROM "CORE"."CORE_TRANSACTION_DATA")),
       EXISTS (SELECT FROM "CORE"."CORE_OPEN_WORK" WHERE tries > 0),
       EXISTS (SELECT FROM "CORE"."CORE_OPEN_WORK"),
       EXISTS (SELECT FROM "CORE"."CORE_TO_JUDGE")
       OR EXISTS (SELECT FROM "CORE"."CORE_EXCEPTION" WHERE closed_at IS NULL)
       OR (SELECT min(incarnation) <> "CORE".incarnation()
               OR max(incarnation) <> "CORE".incarnation()
           FROM "CORE"."CORE_LEDGER_ANSWER") IS TRUE
FROM "CORE"."CORE_WORK_FEED" f
"""
_BEGIN = f"{looking_up_by_key('LOCAL')};{_NEWS}"

_FEED = statement(__file__, "feed.sql", least_implausible=LEAST_IMPLAUSIBLE, suspects=SUSPECTS)

# A payment that was posted while the feed read it must not stay on the list.
_DROP_POSTED = """
DELETE FROM "CORE"."CORE_OPEN_WORK" w USING "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
WHERE p.source_key = w.source_key AND p.status = 'success'
"""

_NOTED = 'DELETE FROM "CORE"."CORE_TO_JUDGE" RETURNING source_key'
_TO_JUDGE = statement(__file__, "to_judge.sql")
_RESTATE = statement(
    __file__, "restate.sql", verdict=statement(__file__, "verdict.sql", kept_back=kept_back("w"))
)


READ_ANEW = 'UPDATE "CORE"."CORE_WORK_FEED" SET batch = 0'
"""After a rebuild of CORE, which may change facts of batches that were read: all is read anew."""


async def refresh(connection: Connection) -> None:
    """Bring the list of open work, and what is asked, up to date with CORE and lender settings.

    Call it in a transaction; one that is rolled back leaves no trace (a dry run).

    Raises:
        LockNotHad: another run has fed it for all of `LOCK_SECONDS`.
    """
    await _one_at_a_time(connection)
    cursor = await connection.execute(_BEGIN)
    await cursor.set_result(-1)
    row = await cursor.fetchone()
    fed, newest, some_were_sent, some_are_open, some_are_asked = row or (0, 0, True, True, True)
    is_new = fed < newest
    suspects: list[str] = []
    if is_new or some_were_sent:
        cursor = await connection.execute(_FEED, {"fed": fed, "newest": newest})
        suspects += [key for (keys,) in await cursor.fetchall() for key in keys]
    if some_are_open:
        cursor = await connection.execute(UNJUDGED)
        suspects += [key for (key,) in await cursor.fetchall()]
    if suspects:
        await judge_suspects(connection, suspects)
    if is_new or some_are_open or some_are_asked:
        await _compare(connection, _TO_JUDGE)
    if is_new or some_are_open:
        # In one message. Not as a pipeline: a process that is stopped within one is never let go.
        await connection.execute(f"{_DROP_POSTED};{_RESTATE}")


async def judge(connection: Connection) -> None:
    """Ask what became a question by what was posted, and close what it has answered.

    Raises:
        LockNotHad: see `refresh`.
    """
    await _one_at_a_time(connection)
    await connection.execute(looking_up_by_key("LOCAL"))
    await _compare(connection, _NOTED)


async def _one_at_a_time(connection: Connection) -> None:
    await connection.execute(_LET_GO)
    await take_in_transaction(connection, LOCK, "bringing open work up to date", LOCK_SECONDS)


async def _compare(connection: Connection, which: LiteralString) -> None:
    """Compare the payments that the statement names."""
    keys = [key for (key,) in await (await connection.execute(which)).fetchall()]
    if keys:
        await connection.execute(OF_KEYS, parameters(keys=keys))
