"""The sandbox's own side door, /sandbox: seeding loans, reading the books, throwing switches.

What belongs here: what a test, a demo or an operator does to the stand-in. What does not:
anything a real Fineract offers (`api`).
"""

import json
import os
from collections.abc import AsyncIterator, Callable
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator
from pydantic.alias_generators import to_camel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from repayment_platform.sandbox import bookings, loans
from repayment_platform.sandbox.config import Config
from repayment_platform.sandbox.faults import Faults, Plan
from repayment_platform.sandbox.ledger import Ledger, Loan, Schedule
from repayment_platform.sandbox.machine import Capacity, Machine
from repayment_platform.sandbox.views import STATUS_IDS
from repayment_platform.sandbox.wire import WireLog

_PAGE = 5000


class LoanFields(BaseModel):
    """What can be set of a loan; dates are ISO, money is rupees (or the loan's currency)."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)

    status: int = bookings.ACTIVE
    disbursed_on: date = date(2020, 1, 1)
    principal: Decimal = Field(Decimal(1_000_000), gt=0)
    currency: Literal["INR", "USD", "JPY", "KWD"] = "INR"
    client_active: bool = True
    schedule: Schedule = "cumulative"

    @field_validator("status")
    @classmethod
    def _known(cls, status: int) -> int:
        if status not in STATUS_IDS:
            raise ValueError(f"no such loan status: {status}")
        return status


class NewLoan(LoanFields):
    external_id: str = Field(min_length=1, max_length=100)


_NEW_LOANS = TypeAdapter(list[NewLoan])


class Admin:
    """Handlers of /sandbox; a body that does not fit is answered 422 with pydantic's errors."""

    def __init__(
        self, config: Config, ledger: Ledger, faults: Faults, wire: WireLog, machine: Machine
    ) -> None:
        self.machine = machine
        self.config = config
        self.ledger = ledger
        self.faults = faults
        self.wire = wire

    def routes(self) -> list[Route]:
        return [
            Route("/sandbox/health", self.health),
            Route("/sandbox/ledger", self.list_ledger),
            Route("/sandbox/empty", self.empty, methods=["POST"]),
            Route("/sandbox/requests", self.list_requests),
            Route("/sandbox/loans", self.save_loans, methods=["POST"]),
            Route("/sandbox/loans/{external_id}", self.change_loan, methods=["PATCH"]),
            Route("/sandbox/undo/{external_id}", self.undo, methods=["POST"]),
            Route("/sandbox/replay/{external_id}", self.replay, methods=["POST"]),
            Route("/sandbox/faults", self.report_faults, methods=["GET"]),
            Route("/sandbox/faults", self.install_faults, methods=["POST"]),
            Route("/sandbox/machine", self.change_machine, methods=["POST"]),
        ]

    async def health(self, _request: Request) -> Response:
        ledger = str(self.config.ledger)
        return JSONResponse({"status": "UP", "ledger": ledger, "pid": os.getpid()})

    async def list_ledger(self, request: Request) -> Response:
        """All repayments as one JSON array; `after` (resourceId) and `limit` make pages.

        Undone ones are there, rows that a replay has reversed are not, as in a loan's list.
        """

        def page(after: int, limit: int) -> list[dict[str, Any]]:
            return [
                {
                    "resourceId": row.id,
                    "externalId": row.external_id,
                    "loanExternalId": loan.external_id,
                    "amount": str(row.amount),
                    "date": row.date.isoformat(),
                    "reversed": row.reversed_on is not None,
                }
                for row, loan in self.ledger.page(after, limit)
            ]

        return _stream(request, page, "resourceId")

    async def empty(self, _request: Request) -> Response:
        """Begin anew: no loans, no transactions, no wire log, no faults, the machine as it was at
        the start. There is no way back."""
        self.ledger.empty()
        self.machine.capacity = self.machine.at_start
        self.faults.install(Plan())
        return JSONResponse({"status": "EMPTY"})

    async def list_requests(self, request: Request) -> Response:
        """The wire log as one JSON array; `after` (id) and `limit` make pages."""
        return _stream(request, lambda after, limit: list(self.wire.page(after, limit)), "id")

    async def save_loans(self, request: Request) -> Response:
        """Add loans or bring existing ones up to date; saving the same again changes nothing."""
        try:
            wanted = _NEW_LOANS.validate_json(await request.body())
        except ValidationError as error:
            return _refusal(error)
        with self.ledger.transaction():
            for fields in wanted:
                self._save(fields)
        return JSONResponse({"saved": len(wanted)})

    def _save(self, fields: NewLoan) -> None:
        columns = fields.model_dump()
        loan = self.ledger.loan(external_id=fields.external_id)
        if loan is None:
            columns["balance"] = _balance(fields.status, fields.principal, fields.principal)
            self.ledger.insert_loan(**columns)
            return
        columns["balance"] = loan.balance + fields.principal - loan.principal
        if {fields.status, loan.status} <= bookings.LIVE:
            columns["status"] = bookings.status_for(columns["balance"])
        self.ledger.update_loan(loan.id, **columns)

    async def change_loan(self, request: Request) -> Response:
        """Set single fields; a status of 300, 600 or 700 moves the balance to fit."""
        loan = self.ledger.loan(external_id=request.path_params["external_id"])
        if loan is None:
            return JSONResponse({"error": "no such loan"}, 404)
        try:
            fields = LoanFields.model_validate_json(await request.body())
        except ValidationError as error:
            return _refusal(error)
        columns = fields.model_dump(exclude_unset=True)
        if "status" in columns:
            columns["balance"] = _balance(fields.status, loan.principal, loan.balance)
        if columns:
            with self.ledger.transaction():
                self.ledger.update_loan(loan.id, **columns)
        changed = loans.require_loan(self.ledger, loan.id, None)
        return JSONResponse(_loan_summary(changed))

    async def undo(self, request: Request) -> Response:
        """An operator's undo in Fineract's own screens."""
        return self._reverse(request, loans.undo)

    async def replay(self, request: Request) -> Response:
        """What a backdated payment does to a later one: the externalId moves to a new id."""
        return self._reverse(request, bookings.replay)

    def _reverse(self, request: Request, act: Callable[..., Any]) -> Response:
        row = self.ledger.find(external_id=request.path_params["external_id"])
        if row is None or row.reversed_on is not None:
            return JSONResponse({"error": "no such transaction that is not reversed"}, 404)
        with self.ledger.transaction():
            act(self.ledger, row, self.config.today())
        moved = self.ledger.find(external_id=row.external_id)
        return JSONResponse({"resourceId": moved.id if moved else row.id})

    async def report_faults(self, _request: Request) -> Response:
        return JSONResponse(self.faults.report())

    async def install_faults(self, request: Request) -> Response:
        """Replace the plan; `{}` switches everything off."""
        try:
            self.faults.install(Plan.model_validate_json(await request.body()))
        except ValidationError as error:
            return _refusal(error)
        return JSONResponse(self.faults.report())

    async def change_machine(self, request: Request) -> Response:
        """Another machine from now on: `cores`, `service_ms`, `overload_at`; what is not named
        stays. Requests that wait in line are taken on by the new one."""
        former = self.machine.capacity.model_dump()
        try:
            changed = Capacity.model_validate(former | json.loads(await request.body()))
        except ValidationError as error:
            return _refusal(error)
        self.machine.capacity = changed
        return JSONResponse(changed.model_dump())


def _refusal(error: ValidationError) -> Response:
    return Response(error.json(include_url=False), 422, media_type="application/json")


def _balance(status: int, principal: Decimal, balance: Decimal) -> Decimal:
    """What a loan of this status owes: nothing when closed, less than nothing when overpaid."""
    if status == bookings.CLOSED:
        return Decimal(0)
    if status == bookings.OVERPAID:
        return min(balance, Decimal(-1))
    return balance if balance > 0 or status != bookings.ACTIVE else principal


def _loan_summary(loan: Loan) -> dict[str, Any]:
    return {
        "externalId": loan.external_id,
        "id": loan.id,
        "status": loan.status,
        "balance": str(loan.balance),
    }


def _stream(
    request: Request, page: Callable[[int, int], list[dict[str, Any]]], cursor: str
) -> Response:
    """A JSON array written page by page, so that a large ledger is never in memory.

    An async generator: it must run in the thread that owns the ledger's connection.
    """
    after = int(request.query_params.get("after", 0))
    remaining = int(request.query_params.get("limit", 2**62))

    async def chunks() -> AsyncIterator[str]:
        nonlocal after, remaining
        opening = "["
        while rows := page(after, min(_PAGE, remaining)):
            yield opening + ",\n".join(map(json.dumps, rows))
            opening = ",\n"
            after = rows[-1][cursor]
            remaining -= len(rows)
        yield "[]" if opening == "[" else "]"

    return StreamingResponse(chunks(), media_type="application/json")
