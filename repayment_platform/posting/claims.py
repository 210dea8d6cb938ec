"""Intents: what is written and committed before a request may leave.

What belongs here: the transaction that re-reads a payment and records the intent to post it.
What does not: choosing what to post (`work`), results (`results`).
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from repayment_platform.exceptions.comparison import kept_back
from repayment_platform.posting.model import Payment, Selection
from repayment_platform.posting.work import Connection
from repayment_platform.warehouse.statements import statement

_CLAIM = statement(__file__, "claim.sql", kept_back=kept_back("w"))


@dataclass(frozen=True)
class Attempt:
    """An intent that stands in the database."""

    id: int
    payment: Payment
    external_id: str
    """That of the request: the payment's key, or after a repost another."""
    idempotency_key: str
    not_before: float = 0.0
    """By this process's monotonic clock, a moment no later than the intent's time stamp."""


class Claims:
    """Writes groups of intents on the connection that holds the run's lock."""

    def __init__(self, connection: Connection, run_id: str, selection: Selection) -> None:
        self._connection = connection
        self._run_id = run_id
        self._selection = selection

    async def write(self, asked: Sequence[tuple[Payment, int]]) -> list[Attempt | None]:
        """An attempt for each payment and its worker; None where the payment is not to be sent
        any more, or another run has it or its loan in hand."""
        payments = {payment.source_key: payment for payment, _ in asked}
        parameters = {
            "keys": [payment.source_key for payment, _ in asked],
            "loans": [payment.loan for payment, _ in asked],
            "dates": [payment.date for payment, _ in asked],
            "amounts": [payment.amount for payment, _ in asked],
            "workers": [worker for _, worker in asked],
            # Random, never counted: a counted key would come back after a restore and make
            # Fineract replay the answer to another request.
            "idempotency_keys": [secrets.token_hex(16) for _ in asked],
            "is_recon": self._selection.is_recon,
            "lenders": list(self._selection.lenders),
            "recon_request": self._selection.recon_request,
            "run_id": self._run_id,
        }
        now = time.monotonic()
        cursor = await self._connection.execute(_CLAIM, parameters)
        attempts = {
            source_key: Attempt(attempt_id, payments[source_key], external_id, idempotency_key, now)
            for source_key, attempt_id, external_id, idempotency_key in await cursor.fetchall()
        }
        return [attempts.get(payment.source_key) for payment, _ in asked]
