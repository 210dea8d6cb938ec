"""A balancer between the runs and the sandbox, of three ways that can be lost.

What belongs here: passing bytes on, and the two ways in which connections break: a third of them
is lost, or now and then some of those open are cut. What does not: when that happens (`play`).
"""

import asyncio
import os
import random
import signal
from pathlib import Path

from repayment_platform_tests.faults.campaign.processes import Child, fork
from repayment_platform_tests.ports import free_port

WAYS = 3
CUT_EVERY_SECONDS, CUT_RATE = 0.25, 0.03
LOSE, FIND, CUT, LEAVE = b"lose", b"find", b"cut\n", b"done"
"""What it is told to do, four bytes each."""


class Balancer:
    """A process that passes connections on to a port, each by the next of its ways."""

    def __init__(self, home: Path, target: int) -> None:
        self.port = free_port()
        orders, self._tell = os.pipe()

        def serve() -> int:
            os.close(self._tell)
            asyncio.run(_Ways(target).serve(self.port, orders))
            return 0

        self._child: Child = fork(serve, home / "balancer.log")
        os.close(orders)

    def tell(self, order: bytes) -> None:
        os.write(self._tell, order)

    def end(self) -> None:
        self._child.signal(signal.SIGKILL)
        self._child.wait(20)
        os.close(self._tell)


class _Ways:
    def __init__(self, target: int) -> None:
        self._target = target
        self._count = 0
        self._open: dict[asyncio.StreamWriter, int] = {}
        self._is_lost = False
        self._cuts = False

    async def serve(self, port: int, orders: int) -> None:
        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        loop.add_reader(orders, self._obey, orders, over)
        async with await asyncio.start_server(self._pass_on, "127.0.0.1", port, backlog=1024):
            cutting = asyncio.create_task(self._cut_now_and_then())
            await over.wait()
            cutting.cancel()

    def _obey(self, orders: int, over: asyncio.Event) -> None:
        match order := os.read(orders, 4):
            case b"":
                asyncio.get_running_loop().remove_reader(orders)
                over.set()
            case _ if order == LOSE:
                self._is_lost = True
                self._abort([w for w, way in self._open.items() if way == 0])
            case _ if order == FIND:
                self._is_lost = False
            case _:
                self._cuts = order == CUT

    async def _cut_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(CUT_EVERY_SECONDS)
            if self._cuts:
                self._abort([w for w in self._open if random.random() < CUT_RATE])

    def _abort(self, writers: list[asyncio.StreamWriter]) -> None:
        for writer in writers:
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._count += 1
        way = self._count % WAYS
        if way == 0 and self._is_lost:
            writer.transport.abort()
            return
        self._open[writer] = way
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        except OSError:
            writer.transport.abort()
        finally:
            del self._open[writer]


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    except OSError:
        target.transport.abort()
    target.close()
