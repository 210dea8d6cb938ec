"""One HTTP exchange with Fineract, and whether a failed one may have reached it.

What belongs here: connection settings, time and size limits, which failures prove that nothing
was sent. What does not: what a request or an answer says (`client`, `replies`).
"""

import asyncio
import json
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

import aiohttp
from yarl import URL

from repayment_platform.fineract.trust import trusting, why_no_tls, why_not_trusted

MAX_REPLY_BYTES = 1 << 20
"""Of an answer about one transaction or loan; a usual one has two kilobytes."""
MAX_LISTING_BYTES = 64 << 20
"""Of a loan with all its transactions."""


class Secret(Protocol):
    """A password that does not show itself, such as pydantic's `SecretStr`."""

    def get_secret_value(self) -> str: ...


class NothingSentError(Exception):
    """No connection came about: the request can not have reached anybody."""


class NotTrustedError(NothingSentError):
    """The server's certificate is not one to trust; that does not pass by itself."""


class NoAnswerError(Exception):
    """The request may have left, and no whole answer came back."""


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    """By name, in whatever case."""
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


class Wire:
    """One keep-alive connection to Fineract, for one worker.

    A request is sent at most once: no retries (aiohttp repeats none but look-ups, when a kept
    connection turns out to be closed), no redirects (they would carry money and the password
    elsewhere), no proxies from the environment.
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
        # Connecting (DNS, TCP, TLS) has to fail by itself before the total runs out: only then is
        # it certain that nothing was sent. The total is kept by `exchange`.
        connect = min(5.0, timeout_seconds / 3)
        self._limits = aiohttp.ClientTimeout(
            total=None, connect=connect, sock_connect=connect, ceil_threshold=timeout_seconds
        )
        self._tls = tls
        login = b64encode(f"{username}:{password.get_secret_value()}".encode()).decode()
        self._headers = {
            "Authorization": f"Basic {login}",
            "User-Agent": "repayment-platform",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            **headers,
        }
        self._session: aiohttp.ClientSession | None = None

    async def aclose(self) -> None:
        if self._session:
            await self._session.close()
            self._session = None

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
            NotTrustedError: its certificate cannot be verified.
            NothingSentError: connection refused, unknown host, TLS refused, connect time-out.
            NoAnswerError: anything else that went wrong, or an answer over `max_bytes`. A broken
                keep-alive connection is among these: the server may have read the request.
        """
        session = self._session = self._session or self._open()
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                session.request(
                    method,
                    URL(url, encoded=True),
                    headers=headers,
                    data=content,
                    allow_redirects=False,
                ) as response,
            ):
                body = await _read(response, max_bytes)
        except aiohttp.ClientConnectorCertificateError as error:
            raise NotTrustedError(_distrust(error)) from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NothingSentError(f"no connection to Fineract: {_words(error)}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise NoAnswerError(f"no whole answer from Fineract: {_words(error)}") from error
        return Answer(response.status, response.headers, body)

    def _open(self) -> aiohttp.ClientSession:
        """In the event loop that it will be used in."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=1, ssl=self._tls or trusting(None), keepalive_timeout=30
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
            timeout=self._limits,
            auto_decompress=False,
        )


async def _read(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """The raw bytes: compression was not asked for, and could unfold beyond any limit."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > max_bytes:
            raise NoAnswerError(f"Fineract's answer is longer than {max_bytes} bytes")
    return bytes(body)


def _distrust(error: aiohttp.ClientConnectorCertificateError) -> str:
    refused = error.certificate_error
    if isinstance(refused, ssl.SSLCertVerificationError):
        return why_not_trusted(refused, error.host)
    return f"Fineract's certificate cannot be verified: {_words(refused)}"


def _words(error: Exception) -> str:
    """Without addresses: the path holds the loan."""
    text = "" if "://" in str(error) else str(error)
    if isinstance(error, aiohttp.ClientConnectorError):
        text = why_no_tls(error.os_error) or text
    return f"{type(error).__name__} {text}".strip()
