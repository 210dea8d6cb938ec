"""Advisory locks of the database: waited for with a deadline, and watched while they are held.

What belongs here: taking one, saying who has it, ending what rests on it when it is lost. What
does not: what a lock is for (`raw_cut`, `migrate`, `defs.run_liveness`, …).

A session's lock lasts as long as its connection. Where something rests on it, such as a dbt run,
the connection is asked all the while: when it is gone, another may have the lock, so what rests on
it ends at once.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from psycopg.rows import tuple_row

from repayment_platform.warehouse import WarehouseUnavailable

log = logging.getLogger(__name__)

ASK_SECONDS = 0.25
"""Between tries for a lock that another has."""
TABLE_SECONDS = 600.0
LOOK_SECONDS = 2.0
"""Between looks whether the lock is still held."""
_TRY: dict[bool, LiteralString] = {
    False: "SELECT pg_try_advisory_lock(%s)",
    True: "SELECT pg_try_advisory_xact_lock(%s)",
}
_HOLDER = """
SELECT a.pid, a.application_name, a.usename
FROM pg_locks AS l INNER JOIN pg_stat_activity AS a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND ((l.classid::bigint << 32) | l.objid::bigint) = %s
LIMIT 1
"""
_STILL_HELD = """
SELECT EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND pid = pg_backend_pid()
      AND ((classid::bigint << 32) | objid::bigint) = %s
)
"""


class LockNotHad(WarehouseUnavailable):
    """Another session has the lock for too long; the message is one line that says whose it is."""


class LockLost(WarehouseUnavailable):
    """The connection that held a lock is gone, and what rested on it was ended."""


def key_of(connection: psycopg.Connection[Any], name: str) -> int:
    """The number of a lock that has a name."""
    row = _ask(connection, "SELECT hashtextextended(%s, 0)", name)
    return int(row[0]) if row else 0


def take(
    connection: psycopg.Connection[Any],
    key: int,
    what: str,
    seconds: float,
    *,
    in_transaction: bool = False,
) -> None:
    """Take a lock, until the session or `in_transaction` the transaction ends.

    `what` is what the lock allows, such as "running dbt".

    Raises:
        LockNotHad: another session has had it for all of `seconds`.
    """
    wait = _Wait(what, seconds)
    while not _is_true(_ask(connection, _TRY[in_transaction], key)):
        if wait.must_say():
            wait.say(_holder(_ask(connection, _HOLDER, key)))
        time.sleep(ASK_SECONDS)


async def take_in_transaction(
    connection: psycopg.AsyncConnection[Any], key: int, what: str, seconds: float
) -> None:
    """`take` until the transaction ends, for those who must not keep an event loop waiting.

    Raises:
        LockNotHad: see `take`.
    """
    wait = _Wait(what, seconds)
    cursor = connection.cursor(row_factory=tuple_row)
    while not _is_true(await (await cursor.execute(_TRY[True], (key,))).fetchone()):
        if wait.must_say():
            wait.say(_holder(await (await cursor.execute(_HOLDER, (key,))).fetchone()))
        await asyncio.sleep(ASK_SECONDS)


def alone_with(connection: psycopg.Connection[Any], table: str) -> None:
    """Be the only one that reads again or corrects a RAW table, until this transaction ends.

    Raises:
        LockNotHad: see `take`.
    """
    key = key_of(connection, table)
    take(connection, key, f"correcting {table}", TABLE_SECONDS, in_transaction=True)


class _Wait:
    """How long a lock has been waited for, and what is said of it: for whom, once, and the end."""

    def __init__(self, what: str, seconds: float) -> None:
        self._what, self._seconds = what, seconds
        self._begun = time.monotonic()
        self._said = False

    def must_say(self) -> bool:
        return not self._said or self._is_over()

    def say(self, holder: str) -> None:
        """Raises LockNotHad at the deadline."""
        if self._is_over():
            raise LockNotHad(f"{self._what}: {holder}; gave up after {self._seconds:.0f} s")
        log.warning("%s: waiting, %s", self._what, holder)
        self._said = True

    def _is_over(self) -> bool:
        return time.monotonic() - self._begun > self._seconds


def _is_true(row: tuple[Any, ...] | None) -> bool:
    return bool(row and row[0])


def _holder(row: tuple[Any, ...] | None) -> str:
    if row is None:
        return "the lock has just been given back"
    pid, name, role = row
    return f"the lock is held by session {pid} of {role} ({name or 'nameless'})"


def _ask(
    connection: psycopg.Connection[Any], question: LiteralString, about: int | str
) -> tuple[Any, ...] | None:
    """The row of an answer, whatever rows the connection makes otherwise."""
    return connection.cursor(row_factory=tuple_row).execute(question, (about,)).fetchone()


class Held:
    """A lock that this process holds, for those whose work rests on it."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._lost: str | None = None
        self._ends: list[Callable[[], object]] = []
        self._guard = threading.Lock()

    @contextmanager
    def resting(self, end: Callable[[], object]) -> Iterator[None]:
        """What the block waits for rests on the lock: it is ended with `end`, in another thread,
        when the lock is lost.

        Raises:
            LockLost: on leaving, when that happened.
        """
        with self._guard:
            lost = self._lost
            self._ends.append(end)
        if lost:
            end()
        try:
            yield
        finally:
            with self._guard:
                self._ends.remove(end)
            self.check()

    def check(self) -> None:
        """Raises LockLost if the lock is not held any more."""
        if self._lost:
            raise LockLost(f"{self.what}: the lock was lost ({self._lost}); what it allowed ended")

    def lose(self, reason: str) -> None:
        """Note that the lock is gone, and end what rests on it."""
        log.error("%s: the lock is lost: %s", self.what, reason)
        with self._guard:
            self._lost = reason
            ends = list(self._ends)
        for end in ends:
            end()


@contextmanager
def held(conninfo: str, key: int | str, what: str, seconds: float) -> Iterator[Held]:
    """Hold a session's lock, by number or name, on a connection of its own, and watch it.

    Raises:
        LockNotHad: see `take`.
        LockLost: on leaving, when the lock was lost meanwhile.
    """
    with psycopg.connect(conninfo, autocommit=True) as connection:
        number = key if isinstance(key, int) else key_of(connection, key)
        take(connection, number, what, seconds)
        lock, left = Held(what), threading.Event()
        watch = threading.Thread(
            target=_watch, args=(connection, number, lock, left), name=what, daemon=True
        )
        watch.start()
        try:
            yield lock
        finally:
            left.set()
            watch.join()
            lock.check()


def _watch(
    connection: psycopg.Connection[Any], key: int, lock: Held, left: threading.Event
) -> None:
    while not left.wait(LOOK_SECONDS):
        try:
            row = _ask(connection, _STILL_HELD, key)
        except psycopg.Error as error:
            lock.lose(" ".join(str(error).split()) or type(error).__name__)
            return
        if not _is_true(row):
            lock.lose("the session does not hold it any more")
            return
