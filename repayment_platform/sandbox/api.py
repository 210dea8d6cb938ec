"""Fineract's API: who may come in, which resource is asked for, and the faults around it.

What belongs here: authentication, routing and the order in which a request is answered. What does
not: the ledger's rules (`loans`), idempotency (`commands`), the sandbox's own switches (`admin`).
"""

import asyncio
import base64
import time
from typing import Any, cast

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from repayment_platform.sandbox import loans, replies, validation, views
from repayment_platform.sandbox.commands import Commands, NoAnswer
from repayment_platform.sandbox.config import API, Config
from repayment_platform.sandbox.faults import Faults
from repayment_platform.sandbox.ledger import Ledger, Loan, Transaction
from repayment_platform.sandbox.replies import FineractError, Reply, to_json
from repayment_platform.sandbox.wire import Exchange, WireLog

HEALTH = "/fineract-provider/actuator/health"


class Fineract:
    """The ASGI application below /fineract-provider."""

    def __init__(self, config: Config, ledger: Ledger, faults: Faults, wire: WireLog) -> None:
        self.config = config
        self.ledger = ledger
        self.faults = faults
        self.wire = wire
        self.commands = Commands(ledger, lambda: faults.plan.retry_seconds)
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
        response = Response(
            reply.body, reply.status, dict(reply.headers), media_type=reply.content_type
        )
        await response(scope, receive, send)

    async def _answer(self, exchange: Exchange) -> Reply:
        if early := self._before_fineract(exchange) or self._refuse_stranger(exchange):
            return early
        try:
            reply = await self._route(exchange)
        except FineractError as error:
            reply = error.reply()
        return self._after_commit(exchange, reply)

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
        """The servlet filters: tenant, user, and the lock of the end-of-day job."""
        if exchange.path == HEALTH:
            return None
        request = exchange.request
        headers, query = request.headers, request.query_params
        tenant = headers.get("fineract-platform-tenantid") or query.get("tenantIdentifier")
        if tenant != self.config.tenant:
            return replies.servlet_error(400, exchange.path, replies.REALM)
        known = headers.get("authorization") == self._authorization
        if not known or exchange.hits.take("unauthorized"):
            return replies.servlet_error(401, exchange.path, replies.REALM)
        loan = self._find_loan(exchange) if exchange.target.operation != "lookup" else None
        if loan is not None and exchange.hits.take("loan_locked"):
            return replies.loan_locked(loan.id)
        return None

    def _after_commit(self, exchange: Exchange, reply: Reply) -> Reply:
        """What may still happen to money that is in the ledger, and to the answer about it."""
        if exchange.posted is None:
            return reply
        hits, today = exchange.hits, self.config.today()
        posted = cast(Transaction, self.ledger.find(id=exchange.posted))
        with self.ledger.transaction():
            if hits.take("replay"):
                number = loans.replay(self.ledger, posted, today)
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
            await self._delay(exchange)
            return self._look_up(exchange)
        if operation in ("repayment", "adjustment") and exchange.target.transactions:
            return await self._command(exchange)
        if (method, exchange.path) == ("GET", f"{API}/paymenttypes"):
            return Reply(200, to_json(views.payment_types_view()))
        if (method, exchange.path) == ("GET", HEALTH):
            return Reply(200, '{"status":"UP"}')
        return replies.servlet_error(404, exchange.path)

    def _look_up(self, exchange: Exchange) -> Reply:
        loan, target = self._loan(exchange), exchange.target
        if target.external_id is not None or target.transaction_id is not None:
            view = views.transaction_view(self._transaction(exchange, loan), loan)
        elif target.transactions:
            return replies.servlet_error(405, exchange.path)
        else:
            asked = set(exchange.request.query_params.get("associations", "").split(","))
            wanted = not asked.isdisjoint({"transactions", "all"})
            view = views.loan_view(loan, self.ledger.transactions_of(loan.id) if wanted else None)
        fields = exchange.request.query_params.get("fields")
        if fields:
            view = {name: view[name] for name in fields.split(",") if name in view}
        return Reply(200, to_json(view))

    async def _command(self, exchange: Exchange) -> Reply:
        """Checks before the idempotency key is looked at; they leave it unused."""
        target = exchange.target
        if target.loan_external_id is not None:
            loan = self._loan(exchange)
            if target.external_id is not None:
                self._transaction(exchange, loan)
        adjusting = target.operation == "adjustment"
        if not adjusting:
            _refuse_unknown_command(exchange.request)
        action = "ADJUST" if adjusting else "REPAYMENT"
        if exchange.hits.take("not_authorized"):
            raise replies.not_authorized(f"{action}_LOAN")
        if exchange.hits.take("job_running"):
            raise replies.job_running("Update Loan Arrears Ageing")
        body = validation.parse_object(exchange.body)

        def work() -> dict[str, Any]:
            return self._adjust(exchange, body) if adjusting else self._repay(exchange, body)

        return await self.commands.execute(
            action,
            exchange.idempotency_key,
            exchange.body.decode(errors="replace"),
            exchange.hits,
            work,
            lambda: self._delay(exchange),
        )

    def _repay(self, exchange: Exchange, body: validation.Body | None) -> dict[str, Any]:
        entry = validation.validate_repayment(body)
        now = self._circumstances(exchange)
        result = loans.repay(self.ledger, self._loan(exchange), entry, now)
        exchange.posted = result["resourceId"]
        return result

    def _adjust(self, exchange: Exchange, body: validation.Body | None) -> dict[str, Any]:
        entry = validation.validate_adjustment(body)
        loan = self._loan(exchange)
        old = self._transaction(exchange, loan)
        return loans.adjust(self.ledger, loan, old, entry, self._circumstances(exchange))

    def _circumstances(self, exchange: Exchange) -> loans.Circumstances:
        behind = exchange.hits.take("business_date_behind")
        mysql = exchange.hits.take("mysql_duplicate")
        return loans.Circumstances(
            today=self.config.today(behind.days if behind else 0),
            flavour="mysql" if mysql else self.config.duplicate_flavour,
            request_id=exchange.id,
        )

    def _find_loan(self, exchange: Exchange) -> Loan | None:
        target = exchange.target
        if target.loan is None:
            return None
        return self.ledger.loan(id=target.loan_id, external_id=target.loan_external_id)

    def _loan(self, exchange: Exchange) -> Loan:
        target = exchange.target
        return loans.require_loan(self.ledger, target.loan_id, target.loan_external_id)

    def _transaction(self, exchange: Exchange, loan: Loan) -> Transaction:
        target = exchange.target
        return loans.require_transaction(
            self.ledger, loan, target.transaction_id, target.external_id
        )

    async def _delay(self, exchange: Exchange) -> None:
        seconds = self.config.latency_ms / 1000 + exchange.hits.latency(self.faults.rng)
        if seconds:
            await asyncio.sleep(seconds)


def _refuse_unknown_command(request: Request) -> None:
    command = request.query_params.get("command")
    if command is None or command.strip().lower() != "repayment":
        message = f"The query parameter command has an unsupported value of: {command}"
        code = "error.msg.query.parameter.value.unsupported"
        raise replies.invalid(replies.item(code, message, "command", "command", command))


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
