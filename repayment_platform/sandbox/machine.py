"""How much work the sandbox takes at once, and what happens beyond that.

What belongs here: cores, the time that a request holds one, and overload. What does not: faults
that are drawn (`faults`).
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

OVERLOAD_RATE = 3 / 400
"""Of 400 repayments sent 50 at a time to a Fineract on two cores, 3 were answered 500; all 400
had been posted."""


class Machine:
    """Requests wait in line for one of its cores."""

    def __init__(self, cores: int | None, service_ms: float, overload_at: int | None) -> None:
        """`cores` None: nobody waits; `overload_at`: more commands at once are too many."""
        self._cores = nullcontext() if cores is None else asyncio.Semaphore(cores)
        self._service_seconds = service_ms / 1000
        self._overload_at = overload_at
        self._under_way = 0
        self._rng = random.Random(0)  # noqa: S311 -- to be repeatable is the point

    async def serve(self, seconds: float = 0) -> None:
        """Hold a core for the service time, then wait `seconds` more without one."""
        if self._service_seconds:
            async with self._cores:
                await asyncio.sleep(self._service_seconds)
        if seconds:
            await asyncio.sleep(seconds)

    @asynccontextmanager
    async def command(self) -> AsyncIterator[bool]:
        """While a command is under way; whether its answer will be lost, its work done."""
        self._under_way += 1
        try:
            crowded = self._overload_at is not None and self._under_way > self._overload_at
            yield crowded and self._rng.random() < OVERLOAD_RATE
        finally:
            self._under_way -= 1
