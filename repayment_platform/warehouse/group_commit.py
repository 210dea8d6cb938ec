"""Many small database writes as few transactions.

What belongs here: gathering what concurrent tasks want written and writing it together. What
does not: any SQL, any meaning.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from psycopg import errors

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")


class GroupCommit(Generic[T, R]):
    """Writes whatever has gathered while the previous write was under way.

    No timer: a lone item is written at once, and under load groups grow by themselves.
    """

    def __init__(self, write: Callable[[Sequence[T]], Awaitable[Sequence[R]]], most: int) -> None:
        """`write` takes items in one transaction and returns a result for each, in order."""
        self._write = write
        self._most = most
        self._waiting: asyncio.Queue[tuple[T, asyncio.Future[R]]] = asyncio.Queue()

    async def submit(self, item: T) -> R:
        """Have the item written; returns after commit, raises what the write raised.

        An item whose submitter has given up before its turn is not written.
        """
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((item, future))
        return await future

    @asynccontextmanager
    async def running(self) -> AsyncIterator["GroupCommit[T, R]"]:
        """Items are written as long as the block runs."""
        task = asyncio.create_task(self._run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            group = [await self._waiting.get()]
            while len(group) < self._most and not self._waiting.empty():
                group.append(self._waiting.get_nowait())
            wanted = [(item, future) for item, future in group if not future.done()]
            if wanted:
                await self._write_group(wanted)

    async def _write_group(self, group: list[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self._write_again_if_crossed([item for item, _ in group])
        except Exception as error:  # noqa: BLE001 (handed to every waiter)
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
        else:
            for (_, future), result in zip(group, results, strict=True):
                if not future.done():
                    future.set_result(result)

    async def _write_again_if_crossed(self, items: Sequence[T]) -> Sequence[R]:
        """PostgreSQL ends a circle of waiting transactions by rolling one back: nothing of it was
        written, and the others go on."""
        while True:
            try:
                return await self._write(items)
            except errors.DeadlockDetected:
                log.warning("a group of %d was crossed by another run's; writing again", len(items))
