"""Landing the deliveries of one RAW table while many arrive at once.

What belongs here: the connection, group commit, time-outs and what "the database is away"
means. What does not: what is written (`webhooks`) and HTTP.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo

from repayment_platform.landing.webhooks import Delivery, land
from repayment_platform.warehouse.group_commit import GroupCommit

log = logging.getLogger(__name__)

LARGEST_GROUP = 200
ANSWER_SECONDS = 4.0
"""Razorpay waits 5 s for an answer."""
STATEMENT_MS = 3000
"""Shorter than an answer may take, so that a lock's victim says that it was a lock."""
STUCK_SECONDS = 10.0
CONNECT_PARAMETERS: dict[str, str | int] = {
    "application_name": "webhooks",
    "connect_timeout": 2,
    "tcp_user_timeout": 5000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}


async def connect(conninfo: str) -> AsyncConnection[Any]:
    """A connection in autocommit mode that gives up before a provider does.

    Raises:
        psycopg.OperationalError: the database is away.
    """
    connection = await AsyncConnection.connect(
        make_conninfo(conninfo, **CONNECT_PARAMETERS), autocommit=True
    )
    await connection.execute(f"SET statement_timeout = {STATEMENT_MS}")
    return connection


class DatabaseAway(Exception):
    """The delivery is not known to have landed; its provider should send it again."""


class WebhookWriter:
    """Lands deliveries in one RAW table, many to a commit, on one connection.

    One connection for each table: it needs no pool to be found in, comes back at once after an
    outage, and a lock on one table does not hold up the others.
    """

    def __init__(self, conninfo: str, table: str) -> None:
        self._conninfo = conninfo
        self._table = table
        self._connection: AsyncConnection[Any] | None = None
        self._groups = GroupCommit(self._write, LARGEST_GROUP)
        self._away = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator["WebhookWriter"]:
        """Deliveries land as long as the block runs. The database need not be there yet."""
        async with self._groups.running():
            try:
                yield self
            finally:
                if self._connection is not None:
                    await self._connection.close()

    async def land(self, delivery: Delivery) -> bool:
        """Land a delivery; returns after commit, whether it is new.

        Raises:
            DatabaseAway: no answer of the database within `ANSWER_SECONDS`, or an error.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._groups.submit(delivery)
        except (psycopg.Error, TimeoutError) as error:
            raise DatabaseAway from error

    async def _write(self, deliveries: Sequence[Delivery]) -> Sequence[bool]:
        try:
            async with asyncio.timeout(STUCK_SECONDS):
                landed = await self._land_on_live_connection(deliveries)
        except (psycopg.Error, TimeoutError) as error:
            self._note(away=True, reason=_reason(error))
            raise
        self._note(away=False)
        return landed

    async def _land_on_live_connection(self, deliveries: Sequence[Delivery]) -> list[bool]:
        connection = self._connection
        if connection is not None and not connection.closed:
            try:
                return await land(connection, self._table, deliveries)
            except psycopg.OperationalError:
                if not connection.closed:
                    raise
                # The server may have gone and come back while nothing was sent: ask it anew.
        self._connection = await connect(self._conninfo)
        return await land(self._connection, self._table, deliveries)

    def _note(self, *, away: bool, reason: str = "") -> None:
        """Log the outage when it begins and when it ends, not with every delivery."""
        if away and not self._away:
            log.error("%s: deliveries cannot land: %s", self._table, reason)
        elif self._away and not away:
            log.warning("%s: deliveries land again", self._table)
        self._away = away


def _reason(error: psycopg.Error | TimeoutError) -> str:
    """The error without its detail, which could quote a row."""
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return error.diag.message_primary
    return " ".join(str(error).split()) or type(error).__name__
