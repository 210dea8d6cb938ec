"""How much work the sandbox takes at once, and what happens beyond that.

What belongs here: cores, the time that a request holds one, and overload. What does not: faults
that are drawn (`faults`).
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import BaseModel, ConfigDict, Field

OVERLOAD_RATE = 3 / 400
"""Of 400 repayments sent 50 at a time to a Fineract on two cores, 3 were answered 500; all 400
had been posted."""


class Capacity(BaseModel):
    """What a machine can do."""

    model_config = ConfigDict(extra="forbid")

    cores: int | None = Field(None, ge=1)
    """As many requests are worked on at once; None: nobody waits."""
    service_ms: float = Field(0, ge=0)
    """How long a request holds its core."""
    overload_at: int | None = Field(None, ge=1)
    """More commands under way at once are too many; None: never."""


class Machine:
    """Requests wait in line for one of its cores."""

    def __init__(self, capacity: Capacity) -> None:
        self.at_start = self._capacity = capacity
        self._busy = 0
        self._line: deque[asyncio.Future[None]] = deque()
        self._under_way = 0
        self._rng = random.Random(0)  # noqa: S311 -- to be repeatable is the point

    @property
    def capacity(self) -> Capacity:
        return self._capacity

    @capacity.setter
    def capacity(self, capacity: Capacity) -> None:
        """What is being worked on goes on as it began."""
        self._capacity = capacity
        self._call()

    async def serve(self, seconds: float = 0) -> None:
        """Hold a core for the service time, then wait `seconds` more without one."""
        if self._capacity.service_ms:
            async with self._core():
                await asyncio.sleep(self._capacity.service_ms / 1000)
        if seconds:
            await asyncio.sleep(seconds)

    @asynccontextmanager
    async def _core(self) -> AsyncIterator[None]:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        self._call()
        try:
            await turn
            yield
        finally:
            if not turn.cancelled():
                self._busy -= 1
                self._call()

    def _call(self) -> None:
        """The next in line, as long as there are cores."""
        cores = self._capacity.cores
        while self._line and (cores is None or self._busy < cores):
            turn = self._line.popleft()
            if not turn.cancelled():
                self._busy += 1
                turn.set_result(None)

    @asynccontextmanager
    async def command(self) -> AsyncIterator[bool]:
        """While a command is under way; whether its answer will be lost, its work done."""
        self._under_way += 1
        most = self._capacity.overload_at
        try:
            crowded = most is not None and self._under_way > most
            yield crowded and self._rng.random() < OVERLOAD_RATE
        finally:
            self._under_way -= 1
