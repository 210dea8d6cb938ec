"""Workers that handle things side by side, each with its own connection to Fineract.

What belongs here: sharing items out, and ending early when asked. What does not: what is done
with an item (`engine`).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from repayment_platform.fineract.client import FineractClient
from repayment_platform.ledger.identity import fineract_client
from repayment_platform.settings import Settings

T = TypeVar("T")
Handle = Callable[[int, FineractClient, T], Awaitable[None]]


class StopSwitch:
    """Asks a run to finish what is in flight, record it and end."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.reason: str | None = None
        self.is_request = False
        """A person or the system asked for it, through no fault of Fineract."""

    def stop(self, reason: str, *, is_request: bool = False) -> None:
        """The first reason counts."""
        if self.reason is None:
            self.reason = reason or "no reason was given"
            self.is_request = is_request
        self._event.set()

    @property
    def is_set(self) -> bool:
        return self._event.is_set()

    async def sleep(self, seconds: float) -> bool:
        """Sleep; False, and at once, when the run is asked to stop."""
        try:
            await asyncio.wait_for(self._event.wait(), seconds)
        except TimeoutError:
            return True
        return False


class Workers:
    """As many workers as POSTING_WORKERS says; one that has nothing to do opens no connection."""

    def __init__(self, settings: Settings, switch: StopSwitch) -> None:
        self._settings = settings
        self._switch = switch

    async def share_out(self, items: AsyncIterator[T], handle: Handle[T]) -> None:
        """Have every item handled; after a stop the items not yet begun are left alone.

        Raises what a worker raised first; the other workers are cancelled then.
        """
        count = self._settings.posting_workers
        waiting: asyncio.Queue[T | None] = asyncio.Queue(maxsize=2 * count)
        try:
            async with asyncio.TaskGroup() as group:
                for worker in range(count):
                    group.create_task(self._work(worker, waiting, handle))
                async for item in items:
                    if self._switch.is_set:
                        break
                    await waiting.put(item)
                for _ in range(count):
                    await waiting.put(None)
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None  # the others are its echo

    async def _work(self, worker: int, waiting: asyncio.Queue[T | None], handle: Handle[T]) -> None:
        item = await waiting.get()
        if item is None:
            return
        async with fineract_client(self._settings) as client:
            while item is not None:
                if not self._switch.is_set:
                    await handle(worker, client, item)
                item = await waiting.get()
