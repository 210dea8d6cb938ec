"""Websockets that pass the door: for as long as the session stands, and for subscriptions only.

What belongs here: ASGI messages of a websocket. What does not: who may open one (`door`).
"""

import json
import time
from collections.abc import Awaitable, Callable

import psycopg
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from repayment_platform.defs import door_rules
from repayment_platform.web.operations.users import User

POLICY = 1008
"""The close code for what is against the rules."""
LOOK_SECONDS = 30.0
"""How long a log-out may take to end what is open."""
LARGEST_MESSAGE = 256 * 1024

Find = Callable[[Scope], Awaitable[User | None]]


async def close(receive: Receive, send: Send) -> None:
    """Refuse a websocket; before it was accepted that is answered as 403."""
    await receive()
    await send({"type": "websocket.close", "code": POLICY})


class GuardedSocket:
    """A websocket that ends when its session does, or when it asks for more than to be told."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, find: Find) -> None:
        self._scope, self._receive, self._send, self._find = scope, receive, send, find
        self._looked = time.monotonic()
        self._ended = False

    async def serve(self, app: ASGIApp) -> None:
        await app(self._scope, self.receive, self.send)

    async def receive(self) -> Message:
        """What the browser sends next, or its end."""
        message = await self._receive()
        is_word = message["type"] == "websocket.receive"
        if is_word and not (may_send(message) and await self._stands()):
            await self._end()
            return {"type": "websocket.disconnect", "code": POLICY}
        return message

    async def send(self, message: Message) -> None:
        """Tell the browser something, as long as there is one to be told."""
        if self._ended:
            return
        if message["type"] == "websocket.send" and not await self._stands():
            await self._end()
            return
        await self._send(message)

    async def _stands(self) -> bool:
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return True
        self._looked = time.monotonic()
        try:
            return await self._find(self._scope) is not None
        except psycopg.Error:
            return False

    async def _end(self) -> None:
        if not self._ended:
            self._ended = True
            await self._send({"type": "websocket.close", "code": POLICY})


def may_send(message: Message) -> bool:
    """Whether it is of the protocol, and starts nothing but subscriptions and queries."""
    text = message.get("text")
    if not isinstance(text, str) or len(text) > LARGEST_MESSAGE:
        return False
    try:
        sent = json.loads(text)
        if sent.get("type") != "start":
            return True
        asked = door_rules.asked(str(sent["payload"]["query"]))
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        return False
    return "mutation" not in asked.kinds
