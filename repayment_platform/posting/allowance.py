"""How much a run may pick up: its own limit, and each lender's count and rupees.

What belongs here: counting payments against limits, and deferring what is over them. What does
not: limits that hold a single payment (`feed`), setting limits (`guards`).
"""

from collections import Counter
from decimal import Decimal
from typing import Any

from psycopg import AsyncConnection

from repayment_platform.posting.model import Payment

_OVER = "over the lender's limit for one run; the next run goes on"
_TOO_LARGE = "larger than all that the lender's limit lets one run post"
_RUN_LIMITS = """
SELECT source_lender, max_run_count, max_run_amount FROM "CORE"."CORE_LENDER_SETTING"
WHERE max_run_count IS NOT NULL OR max_run_amount IS NOT NULL
"""
# One that failed stays so: it is tried after all that never was, if there is room.
_DEFER = """
UPDATE "CORE"."CORE_OPEN_WORK" w SET state = 'deferred', reason = r.reason, updated_at = now()
FROM unnest(%(keys)s::text[], %(reasons)s::text[]) AS r (source_key, reason)
WHERE w.source_key = r.source_key AND w.state = 'waiting'
RETURNING w.source_lender
"""


class Allowance:
    """What a run may still pick up. What is refused keeps back the later payments of its loan."""

    def __init__(self, limit: int | None, per_lender: dict[str, tuple[int | None, Decimal | None]]):
        self._left = limit
        self._per_lender = per_lender
        self._count: Counter[str] = Counter()
        self._rupees: dict[str, Decimal] = {}
        self._closed: set[tuple[str, str]] = set()
        self._refused: dict[str, str] = {}
        self.deferred: Counter[str] = Counter()
        """Payments by lender."""

    @classmethod
    async def of(cls, connection: AsyncConnection[Any], limit: int | None) -> "Allowance":
        rows = await (await connection.execute(_RUN_LIMITS)).fetchall()
        return cls(limit, {lender: (count, rupees) for lender, count, rupees in rows})

    @property
    def used_up(self) -> bool:
        return self._left is not None and self._left <= 0

    def grants(self, payment: Payment) -> bool:
        """Count the payment in, or refuse it."""
        if self.used_up:
            return False
        if refusal := self._refusal(payment):
            self._refused[payment.source_key] = refusal
            self._closed.add((payment.lender, payment.loan))
            return False
        self._count[payment.lender] += 1
        self._rupees[payment.lender] = self._spent(payment.lender) + payment.amount
        if self._left is not None:
            self._left -= 1
        return True

    def _refusal(self, payment: Payment) -> str | None:
        most, most_rupees = self._per_lender.get(payment.lender, (None, None))
        if most_rupees is not None and payment.amount > most_rupees:
            return _TOO_LARGE
        over = (
            (payment.lender, payment.loan) in self._closed
            or (most is not None and self._count[payment.lender] >= most)
            or (
                most_rupees is not None
                and self._spent(payment.lender) + payment.amount > most_rupees
            )
        )
        return _OVER if over else None

    def _spent(self, lender: str) -> Decimal:
        return self._rupees.get(lender, Decimal(0))

    async def defer_refused(self, connection: AsyncConnection[Any]) -> None:
        """Write down why those refused so far wait."""
        if self._refused:
            reasons = {"keys": list(self._refused), "reasons": list(self._refused.values())}
            cursor = await connection.execute(_DEFER, reasons)
            self.deferred.update(lender for (lender,) in await cursor.fetchall())
            self._refused.clear()
