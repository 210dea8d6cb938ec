"""One HTTP exchange with Fineract, and whether a failed one may have reached it.

What belongs here: connection settings, time and size limits, which failures prove that nothing
was sent. What does not: what a request or an answer says (`client`, `replies`).
"""

import asyncio
import json
import ssl
from base64 import b64encode
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, Protocol

import httpx

MAX_REPLY_BYTES = 1 << 20
"""Of an answer about one transaction or loan; a usual one has two kilobytes."""
MAX_LISTING_BYTES = 64 << 20
"""Of a loan with all its transactions."""


class Secret(Protocol):
    """A password that does not show itself, such as pydantic's `SecretStr`."""

    def get_secret_value(self) -> str: ...


class NothingSentError(Exception):
    """No connection came about: the request can not have reached anybody."""


class NoAnswerError(Exception):
    """The request may have left, and no whole answer came back."""


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def from_cache(self) -> bool:
        """Fineract repeats what it said to another request with the same idempotency key."""
        return "x-served-from-cache" in self.headers

    @property
    def content_type(self) -> str:
        """Lower case, without parameters; empty where there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """The parsed body with exact numbers, or None where it is no strict JSON."""
        try:
            return json.loads(self.body, parse_float=Decimal, parse_constant=_no_such_number)
        except (ValueError, ArithmeticError, RecursionError):
            return None


def _no_such_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON number")


@cache
def default_tls() -> ssl.SSLContext:
    """The system's trust, loaded once: loading it for every client costs a visible moment."""
    return ssl.create_default_context()


class Wire:
    """One keep-alive connection to Fineract, for one worker.

    A pool shared by many workers spends its time in the pool's own bookkeeping, hence one each.
    A request is sent at most once: no retries, no redirects (they would carry money and the
    password elsewhere), no proxies from the environment. So all that httpx's client would add to
    its transport is not wanted here, and takes a fifth of the time.
    """

    def __init__(
        self,
        username: str,
        password: Secret,
        headers: dict[str, str],
        timeout_seconds: float,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._timeout_seconds = timeout_seconds
        # Connecting (TCP, then TLS) has to fail by itself before the total runs out: only then is
        # it certain that nothing was sent.
        connect, write = min(5.0, timeout_seconds / 3), min(10.0, timeout_seconds)
        limits = httpx.Timeout(connect=connect, read=timeout_seconds, write=write, pool=None)
        self._extensions = {"timeout": limits.as_dict()}
        login = b64encode(f"{username}:{password.get_secret_value()}".encode()).decode()
        self._headers = {
            "Authorization": f"Basic {login}",
            "User-Agent": "repayment-platform",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            **headers,
        }
        self._transport = httpx.AsyncHTTPTransport(
            verify=tls or default_tls(),
            trust_env=False,
            http1=True,
            http2=False,
            retries=0,
            limits=httpx.Limits(
                max_connections=1, max_keepalive_connections=1, keepalive_expiry=30
            ),
        )

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
        max_bytes: int = MAX_REPLY_BYTES,
    ) -> Answer:
        """Send once and read the whole answer within the total time-out.

        Raises:
            NothingSentError: connection refused, unknown host, TLS refused, connect time-out.
            NoAnswerError: anything else that went wrong, or an answer over `max_bytes`. A broken
                keep-alive connection is among these: the server may have read the request.
        """
        request = httpx.Request(
            method,
            url,
            headers={**self._headers, **(headers or {})},
            content=content,
            extensions=self._extensions,
        )
        try:
            async with asyncio.timeout(self._timeout_seconds):
                response = await self._transport.handle_async_request(request)
                try:
                    body = await _read(response, max_bytes)
                finally:
                    await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NothingSentError(f"no connection to Fineract: {_words(error)}") from error
        except (httpx.HTTPError, OSError) as error:
            raise NoAnswerError(f"no whole answer from Fineract: {_words(error)}") from error
        return Answer(response.status_code, response.headers, body)


async def _read(response: httpx.Response, max_bytes: int) -> bytes:
    """The raw bytes: compression was not asked for, and could unfold beyond any limit."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > max_bytes:
            raise NoAnswerError(f"Fineract's answer is longer than {max_bytes} bytes")
    return bytes(body)


def _words(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()
