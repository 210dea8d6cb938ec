"""Fineract without HTTP: the sandbox's ledger in memory, behind the platform's own client.

What belongs here: answering the client's requests as the sandbox would. What does not: lending
rules and shapes of answers, which are the sandbox's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote

from repayment_platform.fineract.wire import Answer
from repayment_platform.sandbox import bookings, loans, validation, views
from repayment_platform.sandbox.ledger import Ledger, Transaction
from repayment_platform.sandbox.loans import Circumstances
from repayment_platform.sandbox.replies import FineractError, Reply, to_json
from repayment_platform.settings import API_PATH

_ANY_DAY = date(2100, 1, 1)
"""Fineract's business date: no day is in its future, so what the platform lets through is seen."""


@dataclass(frozen=True)
class Posted:
    """A live repayment in the ledger. Rupees."""

    id: int
    external_id: str | None
    loan: str
    amount: Decimal
    date: date


class Books:
    """The ledger of one game."""

    def __init__(self) -> None:
        self.ledger = Ledger(Path(":memory:"))
        self.touched: set[str] = set()
        """Loans on which somebody did something that the platform did not."""
        self._circumstances = Circumstances(_ANY_DAY, "postgres", request_id=0)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Have every client of this process ask these books."""
        with patch("repayment_platform.fineract.client.Wire", lambda *_: self):
            yield

    def open_loans(self, names: list[str]) -> None:
        with self.ledger.transaction():
            for name in names:
                self.ledger.insert_loan(
                    external_id=name, status=bookings.ACTIVE, client_active=True, currency="INR",
                    disbursed_on=date(2020, 1, 1), principal=Decimal(10**8), balance=Decimal(10**8),
                )  # fmt: skip

    def live(self) -> list[Posted]:
        rows = self.ledger.page(0, 10**9)
        return [
            Posted(row.id, row.external_id, loan.external_id, row.amount, row.date)
            for row, loan in rows
            if row.reversed_on is None
        ]

    def undo(self, posted: Posted) -> None:
        """What a person does in Fineract's own screens."""
        self.touched.add(posted.loan)
        with self.ledger.transaction():
            loans.undo(self.ledger, self._row_of(posted), _ANY_DAY)

    def lose(self, posted: Posted) -> None:
        """What a restored backup does."""
        self.touched.add(posted.loan)
        number = self._row_of(posted).id
        self.ledger.db.execute("DELETE FROM loan_transaction WHERE id = ?", (number,))

    def _row_of(self, posted: Posted) -> Transaction:
        """Where it stands now: an undo before it moves a repayment to another row."""
        by_number = posted.external_id is None
        found = self.ledger.find(
            id=posted.id if by_number else None, external_id=posted.external_id
        )
        assert found
        return found

    async def aclose(self) -> None:
        """A client's connection ends; there is none."""

    async def exchange(
        self, method: str, url: str, *, content: bytes | None = None, **_: Any
    ) -> Answer:
        """The answer to a request of the client."""
        path, query = (url.partition(f"{API_PATH}/")[2] + "?").split("?")[:2]
        parts = [unquote(part) for part in path.split("/")]
        try:
            reply = Reply(200, to_json(self._answer(method, parts, query, content or b"")))
        except FineractError as error:
            reply = error.reply()
        return Answer(reply.status, {"content-type": "application/json"}, reply.body.encode())

    def _answer(self, method: str, parts: list[str], query: str, content: bytes) -> dict[str, Any]:
        loan = loans.require_loan(self.ledger, None, parts[2])
        if method == "POST":
            entry = validation.validate_repayment(validation.parse_object(content))
            with self.ledger.transaction():
                return loans.repay(self.ledger, loan, entry, self._circumstances)
        if len(parts) > 4:
            found = loans.require_transaction(self.ledger, loan, None, parts[5])
            return views.transaction_view(found, loan)
        wanted = "associations=transactions" in query
        return views.loan_view(loan, self.ledger.transactions_of(loan.id) if wanted else None)
