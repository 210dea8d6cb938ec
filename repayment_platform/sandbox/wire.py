"""The wire log: every request as it came and went, kept with the ledger.

What belongs here: reading a request's target and recording it. What does not: answering it
(`api`).
"""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from repayment_platform.sandbox.config import API
from repayment_platform.sandbox.faults import Faults, Hits, Operation
from repayment_platform.sandbox.ledger import Ledger

_LOAN_PATH = re.compile(
    API + r"/loans/(?:external-id/(?P<loan>[^/]+)|(?P<loan_id>\d+))"
    r"(?P<transactions>/transactions"
    r"(?:/(?:external-id/(?P<transaction>[^/]+)|(?P<transaction_id>\d+)))?)?"
)


@dataclass(frozen=True)
class Target:
    """What a path names: a loan by one of its two ids, a transaction by one of its two."""

    operation: Operation
    loan_external_id: str | None = None
    loan_id: int | None = None
    transactions: bool = False
    external_id: str | None = None
    transaction_id: int | None = None

    @classmethod
    def of(cls, method: str, path: str) -> "Target":
        found = _LOAN_PATH.fullmatch(path)
        if found is None:
            return cls("other")
        one = bool(found["transaction"] or found["transaction_id"])
        operations: dict[tuple[str, bool], Operation] = {
            ("POST", False): "repayment",
            ("POST", True): "adjustment",
        }
        return cls(
            operation="lookup" if method == "GET" else operations.get((method, one), "other"),
            loan_external_id=found["loan"],
            loan_id=int(found["loan_id"]) if found["loan_id"] else None,
            transactions=found["transactions"] is not None,
            external_id=found["transaction"],
            transaction_id=int(found["transaction_id"]) if found["transaction_id"] else None,
        )

    @property
    def loan(self) -> str | None:
        return self.loan_external_id or (str(self.loan_id) if self.loan_id else None)


@dataclass
class Exchange:
    """One request on its way through the sandbox."""

    id: int
    request: Request
    body: bytes
    target: Target
    idempotency_key: str | None
    hits: Hits
    posted: int | None = None
    """The loan transaction this request added."""

    @property
    def path(self) -> str:
        return self.request.url.path


class WireLog:
    """Rows are written on arrival and completed before the reply leaves."""

    def __init__(self, ledger: Ledger, faults: Faults) -> None:
        self.ledger = ledger
        self.faults = faults

    def open(self, request: Request, body: bytes, started_at: float) -> Exchange:
        """Record a request that has arrived and draw its faults."""
        target = Target.of(request.method, request.url.path)
        external_id = target.external_id or _external_id(body)
        key = request.headers.get("idempotency-key")
        cursor = self.ledger.db.execute(
            "INSERT INTO request"
            " (started_at, method, path, operation, loan, external_id, idempotency_key)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(started_at, request.method, _path(request)),
                *(target.operation, target.loan, external_id, key),
            ),
        )
        hits = self.faults.draw(target.operation, target.loan, external_id)
        return Exchange(int(cursor.lastrowid or 0), request, body, target, key, hits)

    def close(self, exchange: Exchange, status: int | None) -> None:
        """Record how it went; a status of None is a connection that got no reply."""
        self.ledger.db.execute(
            "UPDATE request SET ended_at = ?, status = ?, faults = ? WHERE id = ?",
            (time.monotonic(), status, json.dumps(exchange.hits.taken), exchange.id),
        )

    def page(self, after: int, limit: int) -> Iterator[dict[str, Any]]:
        """Requests in order of arrival; `applied` is read from the ledger itself."""
        rows = self.ledger.db.execute(
            "SELECT request.*, EXISTS (SELECT 1 FROM loan_transaction t"
            " WHERE t.request_id = request.id) AS applied"
            " FROM request WHERE id > ? ORDER BY id LIMIT ?",
            (after, limit),
        ).fetchall()
        for row in rows:
            yield {
                "id": row["id"],
                "startedAt": row["started_at"],
                "endedAt": row["ended_at"],
                "method": row["method"],
                "path": row["path"],
                "operation": row["operation"],
                "loan": row["loan"],
                "externalId": row["external_id"],
                "idempotencyKey": row["idempotency_key"],
                "status": row["status"],
                "applied": bool(row["applied"]),
                "faults": json.loads(row["faults"]),
            }


def _path(request: Request) -> str:
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")


def _external_id(body: bytes) -> str | None:
    """The externalId of a body that is JSON; what else is wrong with it shows elsewhere."""
    try:
        parsed = json.loads(body)
    except ValueError:
        return None
    value = parsed.get("externalId") if isinstance(parsed, dict) else None
    return None if value is None else str(value)
