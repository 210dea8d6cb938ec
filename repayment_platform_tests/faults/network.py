"""A network between one host and a server, which a test can cut and mend.

What belongs here: forwarding bytes, and ceasing to. What does not: what is at either end.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
T = TypeVar("T")


class Link:
    """A TCP proxy in front of one server, on a port of its own.

    Cut, it carries nothing more either way. The server learns of it, as its keepalives would tell
    it; the host does not: its connections stay open and silent, and so are new ones. Mended, the
    connections of before are reset.
    """

    def __init__(self, connect: Callable[[], Awaitable[Streams]]) -> None:
        self._connect = connect
        self._is_cut = False
        self._hosts: set[asyncio.StreamWriter] = set()
        self._servers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._server = self._do(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        self._do(self._cut())

    def mend(self) -> None:
        self._do(self._mend())

    def end(self) -> None:
        self._do(self._mend())
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _do(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    async def _cut(self) -> None:
        self._is_cut = True
        for server in self._servers:
            server.transport.abort()
        self._servers.clear()

    async def _mend(self) -> None:
        self._is_cut = False
        for stream in self._hosts | self._servers:
            stream.transport.abort()
        self._hosts.clear()
        self._servers.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._hosts.add(writer)
        if self._is_cut:
            return
        from_server, to_server = await self._connect()
        self._servers.add(to_server)
        await asyncio.gather(
            self._carry(reader, to_server), self._carry(from_server, writer), return_exceptions=True
        )

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (data := await reader.read(65536)) and not self._is_cut:
            writer.write(data)
            await writer.drain()
        if not self._is_cut:
            writer.close()


@contextmanager
def links(*connects: Callable[[], Awaitable[Streams]]) -> Iterator[list[Link]]:
    """A link to each server."""
    made = [Link(connect) for connect in connects]
    try:
        yield made
    finally:
        for link in made:
            link.end()
