"""The webhook receiver: what Razorpay and Cashfree call, and what a load balancer asks.

What belongs here: the answers, and the order of the checks that lead to them. What does not:
signatures (`sources.signatures`), the transaction (`landing`), the meaning of an event (dbt).

    200  the delivery is committed, now or when it came before
    400  the request is not HTTP (answered by the server itself)
    401  no signature, a wrong one, or one of another time; nothing landed
    404  no such provider and lender
    405  not a POST
    408  the body did not arrive in time
    413  the body is over 1 MiB
    429  too many requests of this address
    503  the database is away, or no secret is configured; to be sent again

No answer and no log line quotes a delivery.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from repayment_platform.landing.webhook_writer import DatabaseAway, WebhookWriter, connect
from repayment_platform.landing.webhooks import read_delivery
from repayment_platform.settings import Settings
from repayment_platform.sources.registry import SOURCES, Kind, Source
from repayment_platform.sources.signatures import BadSignature, signed_by
from repayment_platform.web.counts import answers
from repayment_platform.web.rate_limit import RateLimit

log = logging.getLogger(__name__)

LARGEST_BODY = 1024 * 1024
BODY_SECONDS = 5.0
"""A provider sends a body in one go, and waits no longer than this for an answer."""
RETRY_AFTER = {"Retry-After": "5"}
CLOSE = {"Connection": "close"}
READY_SECONDS = 1.0
"""How long an answer of /readyz is remembered, so that asking costs no connection each time."""


@dataclass(frozen=True)
class Endpoint:
    """What stands behind one URL."""

    source: Source
    secrets: tuple[SecretStr, ...]
    secrets_name: str
    writer: WebhookWriter


class Receiver:
    """The state of the receiver and its answers."""

    def __init__(self, settings: Settings, conninfo: str) -> None:
        self._conninfo = conninfo
        self._max_age = timedelta(hours=settings.webhook_max_age_hours)
        self._limit = RateLimit(settings.webhook_rate_per_second)
        self._ready: tuple[float, Response] | None = None
        self._endpoints = {
            (source.kind.value, source.lender.lower()): Endpoint(
                source,
                settings.webhook_secrets(source.kind, source.lender),
                f"{source.kind}_WEBHOOK_SECRETS_{source.lender}".upper(),
                WebhookWriter(conninfo, source.table),
            )
            for source in SOURCES.values()
            if source.kind in (Kind.RAZORPAY, Kind.CASHFREE)
        }

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        """The writers run from before the first request to after the last answer."""
        async with AsyncExitStack() as stack:
            for endpoint in self._endpoints.values():
                await stack.enter_async_context(endpoint.writer.running())
                if not endpoint.secrets:
                    log.warning(
                        "%s: %s is not set; its deliveries are refused",
                        endpoint.source.table,
                        endpoint.secrets_name,
                    )
            yield

    async def deliver(self, request: Request) -> Response:
        """Land one delivery and count the answer."""
        endpoint, status = None, 500
        try:
            endpoint = self._endpoint(request)
            response = await self._land(endpoint, request)
            status = response.status_code
            return response
        except HTTPException as refused:
            status = refused.status_code
            raise
        finally:
            table = endpoint.source.table if endpoint else ""
            answers.labels(table, str(status)).inc()

    async def _land(self, endpoint: Endpoint, request: Request) -> Response:
        body = await _read_body(request)
        try:
            position = signed_by(
                endpoint.source.kind,
                request.headers,
                body,
                endpoint.secrets,
                now=datetime.now(UTC),
                max_age=self._max_age,
            )
        except BadSignature as error:
            log.warning("%s: a delivery was refused: %s", endpoint.source.table, error)
            raise HTTPException(401, "signature refused") from None
        delivery = read_delivery(endpoint.source.kind, request.headers, body, signed_by=position)
        try:
            await endpoint.writer.land(delivery)
        except DatabaseAway:
            raise HTTPException(503, "database away", RETRY_AFTER) from None
        return Response()

    def _endpoint(self, request: Request) -> Endpoint:
        """The endpoint of a request that may be read on."""
        provider, lender = request.path_params["provider"], request.path_params["lender"]
        endpoint = self._endpoints.get((provider.lower(), lender.lower()))
        if endpoint is None:
            raise HTTPException(404)
        address = request.client.host if request.client else ""
        if not self._limit.allows(address, time.monotonic()):
            raise HTTPException(429, headers={"Retry-After": "1"})
        if not endpoint.secrets:
            log.error("%s: refused, %s is not set", endpoint.source.table, endpoint.secrets_name)
            raise HTTPException(503, "no secret configured", RETRY_AFTER)
        return endpoint

    async def healthz(self, _request: Request) -> Response:
        """The process answers."""
        return PlainTextResponse("ok")

    async def readyz(self, _request: Request) -> Response:
        """The process can land deliveries: the database answers and has the RAW tables."""
        now = time.monotonic()
        if self._ready is None or now - self._ready[0] > READY_SECONDS:
            self._ready = (now, await self._ask_database())
        return self._ready[1]

    async def _ask_database(self) -> Response:
        tables = [f'"RAW"."{endpoint.source.table}"' for endpoint in self._endpoints.values()]
        try:
            async with await connect(self._conninfo) as connection:
                await connection.execute(
                    "SELECT t::regclass FROM unnest(%s::text[]) AS t", [tables]
                )
        except psycopg.OperationalError:
            return PlainTextResponse("database away", 503, RETRY_AFTER)
        except psycopg.ProgrammingError:
            return PlainTextResponse("tables missing: run the migrations", 503, RETRY_AFTER)
        return PlainTextResponse("ready")


async def _read_body(request: Request) -> bytes:
    """The body as sent. Stops reading as soon as it is known to be too large or too slow."""
    too_large = HTTPException(413, "over 1 MiB", CLOSE)
    if int(request.headers.get("content-length", 0)) > LARGEST_BODY:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LARGEST_BODY:
                    raise too_large
    except TimeoutError:
        raise HTTPException(408, headers=CLOSE) from None
    except ClientDisconnect:
        raise HTTPException(400, "body incomplete", CLOSE) from None
    return bytes(body)


def create_app(settings: Settings, conninfo: str) -> Starlette:
    """The receiver as an ASGI application.

    Starlette without FastAPI on top: nothing of a delivery may be parsed before its signature
    was checked over the raw bytes, so there is nothing for FastAPI to do.

    Args:
        conninfo: libpq's address of the warehouse; it need not answer yet.
    """
    receiver = Receiver(settings, conninfo)
    app = Starlette(
        routes=[
            Route("/webhooks/{provider}/{lender}", receiver.deliver, methods=["POST"]),
            Route("/healthz", receiver.healthz),
            Route("/readyz", receiver.readyz),
        ],
        lifespan=receiver.lifespan,
    )
    # A provider takes a redirect for a failure.
    app.router.redirect_slashes = False
    return app
