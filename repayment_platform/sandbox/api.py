"""Fineract's API: who may come in, which resource is asked for, and the faults around it.

What belongs here: authentication, routing and the order in which a request is answered. What does
not: the ledger's rules (`loans`), idempotency (`commands`), the sandbox's own switches (`admin`).
"""

import asyncio
import base64
import re
import time
from dataclasses import replace
from typing import Any, cast

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from repayment_platform.sandbox import about, bookings, loans, pages, replies, views
from repayment_platform.sandbox.changes import Changes
from repayment_platform.sandbox.commands import NoAnswer
from repayment_platform.sandbox.config import API, Config
from repayment_platform.sandbox.faults import Faults
from repayment_platform.sandbox.ledger import Ledger, Loan, Transaction
from repayment_platform.sandbox.machine import Machine
from repayment_platform.sandbox.replies import FineractError, Reply, to_json
from repayment_platform.sandbox.wire import Exchange, WireLog

_CHECKER_PATH = re.compile(API + r"/makercheckers/(?P<command>\d+)")
HEALTH = "/fineract-provider/actuator/health"


class Fineract:
    """The ASGI application below /fineract-provider."""

    def __init__(
        self, config: Config, ledger: Ledger, faults: Faults, wire: WireLog, machine: Machine
    ) -> None:
        self.config = config
        self.ledger = ledger
        self.faults = faults
        self.wire = wire
        self.changes = Changes(config, ledger, faults, machine)
        token = base64.b64encode(f"{config.user}:{config.password}".encode()).decode()
        self._authorization = f"Basic {token}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started_at = time.monotonic()
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        exchange = self.wire.open(request, body, started_at)
        try:
            reply = await self._answer(exchange)
        except NoAnswer as silence:
            self.wire.close(exchange, None)
            await _end_without_reply(receive, silence.hang_seconds)
            return
        self.wire.close(exchange, reply.status)
        # Fineract's server hangs up after a 400.
        connection = "close" if reply.status == 400 else "keep-alive"
        headers = {**reply.headers, "Connection": connection}
        response = Response(reply.body, reply.status, headers, media_type=reply.content_type)
        await response(scope, receive, send)

    async def _answer(self, exchange: Exchange) -> Reply:
        if early := self._before_fineract(exchange) or self._refuse_stranger(exchange):
            return early
        try:
            reply = self._locked(exchange) or await self._route(exchange)
        except FineractError as error:
            reply = error.reply()
        headers = {**reply.headers, "X-Notification-Refresh": "false"}
        return self._after_commit(exchange, replace(reply, headers=headers))

    def _before_fineract(self, exchange: Exchange) -> Reply | None:
        """What a network and a gateway in front of Fineract may do to a request."""
        hits = exchange.hits
        if hits.take("reset_before_work"):
            raise NoAnswer
        if rule := hits.take("hang_before_work"):
            raise NoAnswer(rule.ms / 1000 or None)
        if rule := hits.take("too_many_requests"):
            return replies.gateway_page(429, {"Retry-After": str(rule.retry_after)})
        if rule := hits.take("gateway", applied=False):
            return replies.gateway_page(rule.status)
        return None

    def _refuse_stranger(self, exchange: Exchange) -> Reply | None:
        """The servlet filters: tenant and user."""
        if exchange.path in (HEALTH, about.INFO):
            return None
        request = exchange.request
        headers, query = request.headers, request.query_params
        tenant = headers.get("fineract-platform-tenantid") or query.get("tenantIdentifier")
        if tenant != self.config.tenant:
            return replies.servlet_error(400, exchange.path, replies.REALM)
        login = headers.get("authorization")
        known = login == self._authorization or (login is None and exchange.path == about.LOG_IN)
        if not known or exchange.hits.take("unauthorized"):
            return replies.servlet_error(401, exchange.path, replies.REALM)
        return None

    def _locked(self, exchange: Exchange) -> Reply | None:
        """The filter that keeps loans to the end-of-day job."""
        target = exchange.target
        named = target.loan is not None and target.operation != "lookup"
        loan = self.ledger.loan(id=target.loan_id, external_id=target.loan_external_id)
        passes = self.faults.plan.may("BYPASS_LOAN_WRITE_PROTECTION")
        if named and not passes and loan is not None and exchange.hits.take("loan_locked"):
            return replies.loan_locked(loan.id)
        return None

    def _after_commit(self, exchange: Exchange, reply: Reply) -> Reply:
        """What may still happen to money that is in the ledger, and to the answer about it."""
        if exchange.posted is None:
            return reply
        hits, today = exchange.hits, self.config.today()
        posted = self.ledger.find(id=exchange.posted)
        if posted is None:
            return reply  # it was only tried, and waits for a checker
        with self.ledger.transaction():
            if hits.take("replay"):
                number = bookings.replay(self.ledger, posted, today)
                posted = cast(Transaction, self.ledger.find(id=number))
            if hits.take("operator_undo"):
                loans.undo(self.ledger, posted, today)
        if hits.take("reset_after_commit"):
            raise NoAnswer
        if rule := hits.take("hang_after_commit"):
            raise NoAnswer(rule.ms / 1000 or None)
        if rule := hits.take("gateway", applied=True):
            return replies.gateway_page(rule.status)
        return reply

    async def _route(self, exchange: Exchange) -> Reply:
        method, operation = exchange.request.method, exchange.target.operation
        if operation == "lookup":
            await self.changes.delay(exchange)
            return self._look_up(exchange)
        if operation in ("repayment", "adjustment") and exchange.target.transactions:
            return await self.changes.ask(exchange)
        if checked := _CHECKER_PATH.fullmatch(exchange.path):
            return await self.changes.check(exchange, int(checked["command"]))
        if exchange.target.transactions:
            return replies.servlet_error(405, exchange.path)
        if (method, exchange.path) == ("GET", f"{API}/paymenttypes"):
            return Reply(200, to_json(views.payment_types_view()))
        if (method, exchange.path) == ("GET", HEALTH):
            return Reply(200, '{"status":"UP"}')
        if told := about.answer(self.config, self.faults.plan, exchange):
            return told
        return replies.servlet_error(404, exchange.path)

    def _look_up(self, exchange: Exchange) -> Reply:
        self.faults.plan.require("READ_LOAN")
        loan, target, query = self._loan(exchange), exchange.target, exchange.request.query_params
        if target.external_id is not None or target.transaction_id is not None:
            view = views.transaction_view(self._transaction(exchange, loan), loan)
            hideable = views.TRANSACTION_FIELDS
        elif target.transactions:
            number, size = _whole(query.get("page"), 0), _whole(query.get("size"), 50)
            rows = self.ledger.transactions_of(loan.id)
            return Reply(200, to_json(pages.transaction_page(rows, loan, number, max(size, 1))))
        else:
            wanted = not {"transactions", "all"}.isdisjoint(
                query.get("associations", "").split(",")
            )
            rows_shown = self.ledger.transactions_of(loan.id) if wanted else None
            view = views.loan_view(loan, rows_shown, self.ledger.undone_of(loan.id))
            hideable = views.LOAN_FIELDS
        if fields := query.get("fields"):
            hidden = hideable.difference(fields.split(","))
            view = {name: value for name, value in view.items() if name not in hidden}
        return Reply(200, to_json(view))

    def _loan(self, exchange: Exchange) -> Loan:
        target = exchange.target
        return loans.require_loan(self.ledger, target.loan_id, target.loan_external_id)

    def _transaction(self, exchange: Exchange, loan: Loan) -> Transaction:
        target = exchange.target
        return loans.require_transaction(
            self.ledger, loan, target.transaction_id, target.external_id
        )


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isdecimal() else otherwise


async def _end_without_reply(receive: Receive, hang_seconds: float | None) -> None:
    """Hold the connection for so long (None: until the client hangs up), then reset it."""
    gone = asyncio.ensure_future(_wait_for_disconnect(receive))
    await asyncio.wait([gone], timeout=hang_seconds)
    if not gone.done():
        # uvicorn's `receive` is bound to the exchange that owns the connection's transport.
        cast(Any, receive).__self__.transport.abort()
    await gone


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
