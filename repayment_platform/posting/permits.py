"""Permits to ask Fineract something: no more than `pace` lets be under way.

What belongs here: waiting for one's turn, and which of Fineract's answers are signs that it has
too much to do. What does not: how many there are (`pace`), whether Fineract answers at all
(`patience`).
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from repayment_platform.fineract.contract import (
    Posted,
    Reply,
    Transient,
    Unknown,
    Unreached,
)
from repayment_platform.posting.pace import Pace


class Permits:
    """Each request is sent with one. Who waits longest is first."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self._in_use = 0
        self._taken: dict[asyncio.Task[object] | None, float] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Hold a permit. Nobody waits for a second one while holding the first."""
        await self._take()
        me = asyncio.current_task()
        self._taken[me] = time.monotonic()
        try:
            yield
        finally:
            del self._taken[me]
            self._in_use -= 1
            self._hand_out()

    def replied(self, reply: Reply, sent: float) -> None:
        """To a repayment that the caller sent, with its permit, at that moment of the monotonic
        clock. Look-ups have permits too, but say nothing of the pace: they take another time."""
        taken, now = self._taken[asyncio.current_task()], time.monotonic()
        if isinstance(reply, Posted):
            self.pace.answered(taken, sent, now)
        elif _is_trouble(reply):
            self.pace.troubled(taken, sent, now)

    async def _take(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._hand_out()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._in_use -= 1
                self._hand_out()
            raise

    def _hand_out(self) -> None:
        while self._waiting and self._in_use < self.pace.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self._in_use += 1
        if self._in_use >= self.pace.limit:
            self.pace.full()


def _is_trouble(reply: Reply) -> bool:
    """Whether Fineract, or the way to it, has too much to do. A loan that its end-of-day job has
    locked says nothing of that."""
    match reply:
        case Unreached() | Unknown(server_trouble=True):
            return True
        case Transient(code=code):
            return code == "http.429" or code.endswith(".conflict")
        case _:
            return False
